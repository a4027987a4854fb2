"""What a tenant may spend on Gemini, in an hour and in a month of UTC."""

from __future__ import annotations

from pydantic import NonNegativeFloat

from domain.model import Model


class TenantSpending(Model):
    """Dollars that all streams of a tenant have cost in the hour and the month that are running."""

    hour: NonNegativeFloat = 0.0
    month: NonNegativeFloat = 0.0


class TenantBudget(Model):
    """Dollars that all streams of a tenant may cost."""

    dollars_per_hour: NonNegativeFloat = 5.0
    dollars_per_month: NonNegativeFloat = 500.0

    def left(self, spent: TenantSpending) -> float:
        """Return the dollars that may still be spent: in the hour or the month, whichever ends."""
        rest = min(self.dollars_per_hour - spent.hour, self.dollars_per_month - spent.month)
        return max(0.0, rest)
