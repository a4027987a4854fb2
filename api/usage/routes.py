"""Routes of usage, its cost, and monthly budgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from api.auth import Administrator, Reader
from api.errors.problems import (
    BudgetNotFoundProblem,
    FieldProblem,
    InvalidRequestProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.middleware.json_content import require_json
from api.request_model import Timestamp
from api.services import ServicesDependency
from api.usage.schemas import BudgetList, BudgetModel, BudgetRequest, UsageModel, UsageReport
from domain.tenants.usage import UsageKind, month_of
from infra.db.repositories import usage
from infra.db.repositories.usage import Bucket

_DEFAULT_RANGE: Final = timedelta(days=30)
_LONGEST: Final = {Bucket.HOUR: timedelta(days=31), Bucket.DAY: timedelta(days=366)}
_MAX_ROWS: Final = 10_000
_HOUR: Final = timedelta(hours=1)
router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get("/stats", operation_id="getUsage", responses=documented(*WITH_KEY))
async def get_usage(
    *,
    caller: Reader,
    services: ServicesDependency,
    since: Annotated[
        Timestamp | None,
        Query(description="Defaults to 30 days before `until`; rounded down to the hour."),
    ] = None,
    until: Annotated[
        Timestamp | None, Query(description="Defaults to now; rounded up to the hour.")
    ] = None,
    bucket: Annotated[
        Bucket, Query(description="By day at most 366 days, by hour at most 31 days.")
    ] = Bucket.DAY,
    by_stream: Annotated[bool, Query(description="Return one row per stream.")] = False,
    kind: Annotated[
        list[UsageKind],
        Query(description="Repeatable. Defaults to all kinds.", max_length=len(UsageKind)),
    ] = [],  # noqa: B006 - FastAPI copies it
    stream_id: UUID | None = None,
) -> UsageReport:
    """Read usage and its cost, by day or hour, kind and stream.

    Everything is counted exactly once, within a minute. Requests are counted within seconds; those
    of the last seconds before a process was killed are lost. Usage of deleted streams is kept.
    """
    end = _hour_after(until or datetime.now(UTC))
    start = _hour(since) if since is not None else end - _DEFAULT_RANGE
    _check_range(start, end, bucket)
    async with services.database.session(caller.tenant_id) as session:
        sums = await usage.stats(
            session,
            tenant_id=caller.tenant_id,
            since=start,
            until=end,
            bucket=bucket,
            by_stream=by_stream,
            kinds=kind,
            stream_id=stream_id,
            limit=_MAX_ROWS + 1,
        )
    if len(sums) > _MAX_ROWS:
        raise _invalid(
            "query/since", f"over {_MAX_ROWS:,} rows: request a shorter range or fewer kinds"
        )
    prices = services.settings.price_table()
    data = [UsageModel.of(each, prices) for each in sums]
    return UsageReport(
        since=start,
        until=end,
        bucket=bucket,
        data=data,
        cost_usd=sum(each.cost_usd for each in data),
    )


@router.get("/budgets", operation_id="listBudgets", responses=documented(*WITH_KEY))
async def list_budgets(caller: Reader, services: ServicesDependency) -> BudgetList:
    """List your budgets with this month's usage."""
    async with services.database.session(caller.tenant_id) as session:
        rows = await usage.list_budgets(session, tenant_id=caller.tenant_id)
        used = [
            await usage.used(
                session,
                tenant_id=caller.tenant_id,
                kind=UsageKind(row.kind),
                month=month_of(datetime.now(UTC)),
            )
            for row in rows
        ]
    return BudgetList(
        data=[BudgetModel.of(row, used=sum_) for row, sum_ in zip(rows, used, strict=True)]
    )


@router.put(
    "/budgets/{kind}",
    operation_id="putBudget",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def put_budget(
    kind: UsageKind, body: BudgetRequest, caller: Administrator, services: ServicesDependency
) -> BudgetModel:
    """Set a monthly budget for a kind of usage. It notifies you and blocks nothing."""
    async with services.database.session(caller.tenant_id) as session:
        row = await usage.put_budget(
            session, tenant_id=caller.tenant_id, kind=kind, monthly=body.monthly
        )
        used = await usage.used(
            session,
            tenant_id=caller.tenant_id,
            kind=kind,
            month=month_of(datetime.now(UTC)),
        )
    return BudgetModel.of(row, used=used)


@router.delete(
    "/budgets/{kind}",
    operation_id="deleteBudget",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, BudgetNotFoundProblem),
)
async def delete_budget(
    kind: UsageKind, caller: Administrator, services: ServicesDependency
) -> Response:
    """Delete a budget. You are no longer notified about this kind of usage."""
    async with services.database.session(caller.tenant_id) as session:
        if not await usage.delete_budget(session, tenant_id=caller.tenant_id, kind=kind):
            raise BudgetNotFoundProblem
    return Response(status_code=204)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hour_after(at: datetime) -> datetime:
    hour = _hour(at)
    return hour if hour == at else hour + _HOUR


def _check_range(since: datetime, until: datetime, bucket: Bucket) -> None:
    if since >= until:
        raise _invalid("query/since", "must be before `until`")
    longest = _LONGEST[bucket]
    if until - since > longest + _HOUR:
        raise _invalid("query/since", f"by {bucket} at most {longest.days} days before `until`")


def _invalid(pointer: str, detail: str) -> InvalidRequestProblem:
    return InvalidRequestProblem(errors=[FieldProblem(pointer=pointer, detail=detail)])
