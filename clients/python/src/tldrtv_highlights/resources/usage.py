"""Usage and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tldrtv_highlights._endpoint import Identity, Sent
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Budget, BudgetList, UsageReport


class UsageStats(Resource[Transport]):
    """What was used, and what it costs."""

    @operation("GET /v1/usage/stats", UsageReport)
    def stats(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: str | None = None,
        by_stream: bool | None = None,
        kind: Sequence[str] | None = None,
        stream_id: Identity | None = None,
    ) -> Sent:
        """Read what was used, with its cost.

        Args:
            since: by default 30 days before `until`.
            until: by default now.
            bucket: `day` (the default) or `hour`.
            by_stream: keep streams apart.
            kind: by default all kinds.
            stream_id: of one stream.
        """
        return Sent(
            query={
                "since": since,
                "until": until,
                "bucket": bucket,
                "by_stream": by_stream,
                "kind": kind,
                "stream_id": stream_id,
            }
        )

    @operation("GET /v1/usage/budgets", BudgetList)
    def budgets(self) -> Sent:
        """List your budgets, with what is used of each this month."""
        return Sent()

    @operation("PUT /v1/usage/budgets/{kind}", Budget)
    def put_budget(self, kind: str, *, monthly: float) -> Sent:
        """Set a budget for a month. Webhooks report it; it is not enforced."""
        return Sent(path={"kind": kind}, body={"monthly": monthly})

    @operation("DELETE /v1/usage/budgets/{kind}", type(None), repeatable=False)
    def delete_budget(self, kind: str) -> Sent:
        """Delete a budget."""
        return Sent(path={"kind": kind})
