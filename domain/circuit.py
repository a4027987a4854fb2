"""A circuit breaker: after failures in a row, leave a service alone for a while."""

from __future__ import annotations

from typing import Final

from pydantic import NonNegativeInt

from domain.model import Model

FAILURES: Final = 4
"""Failures in a row that open the circuit."""

COOL_OFF: Final = 60.0
"""Seconds for which it then stays open; after them one caller may try."""


class Circuit(Model):
    """A value: each method returns the circuit as it is afterwards. Times in s of any clock.

    Attributes:
        failures: in a row.
        opened_at: when it opened, or was last tried; None while it is closed.
    """

    failures: NonNegativeInt = 0
    opened_at: float | None = None

    def admits(self, now: float) -> bool:
        """Tell whether a call may be made."""
        return self.opened_at is None or now >= self.opened_at + COOL_OFF

    def tried(self, now: float) -> Circuit:
        """Return it with a call under way: of an open circuit, the only one until it ends."""
        return self if self.opened_at is None else self.model_copy(update={"opened_at": now})

    def failed(self, now: float) -> Circuit:
        """Return it after a failure."""
        failures = self.failures + 1
        opened_at = now if failures >= FAILURES else self.opened_at
        return Circuit(failures=failures, opened_at=opened_at)

    def succeeded(self) -> Circuit:
        """Return it after a success: closed."""
        return Circuit()
