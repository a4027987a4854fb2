"""Usage and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tldrtv_highlights._endpoint import Endpoint, Identity, Sent
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Budget, BudgetList, UsageReport


class UsageStats(Resource[Transport]):
    """What was used, and what it costs."""

    @operation(
        Endpoint(operation_id="getUsage", method="GET", path="/v1/usage/stats", answer=UsageReport)
    )
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

    @operation(
        Endpoint(
            operation_id="listBudgets", method="GET", path="/v1/usage/budgets", answer=BudgetList
        )
    )
    def budgets(self) -> Sent:
        """List your budgets, with what is used of each this month."""
        return Sent()

    @operation(
        Endpoint(
            operation_id="putBudget", method="PUT", path="/v1/usage/budgets/{kind}", answer=Budget
        )
    )
    def put_budget(self, kind: str, *, monthly: float) -> Sent:
        """Set how much of a kind you mean to use in a month. It is told of, never enforced."""
        return Sent(path={"kind": kind}, body={"monthly": monthly})

    @operation(
        Endpoint(
            operation_id="deleteBudget",
            method="DELETE",
            path="/v1/usage/budgets/{kind}",
            answer=type(None),
            repeatable=False,
        )
    )
    def delete_budget(self, kind: str) -> Sent:
        """Take a budget away."""
        return Sent(path={"kind": kind})
