"""Routes of highlights."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from api.auth import Reader, SearchReader
from api.errors.problems import (
    HighlightNotFoundProblem,
    InvalidCursorProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.highlights.schemas import (
    HighlightDetail,
    HighlightIds,
    HighlightModel,
    HighlightQuery,
    HighlightResult,
    HighlightResults,
    preview_of,
)
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.services import ServicesDependency
from app.services.highlights import explanation_of
from domain.tenants.keys import Scope, permits
from infra.db.repositories import clips, highlights, streams
from infra.db.repositories.highlights import ORDERS, Sort

router = APIRouter(prefix="/v1/highlights", tags=["highlights"])


@router.get(
    "/list",
    operation_id="listHighlights",
    responses=documented(*WITH_KEY, InvalidCursorProblem),
)
async def list_highlights(
    *,
    caller: SearchReader,
    services: ServicesDependency,
    criteria: HighlightQuery,
    sort: Annotated[
        Sort, Query(description="A leading minus sign means descending.")
    ] = Sort.NEWEST,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[HighlightModel]:
    """List highlights that match all filters."""
    order = ORDERS[sort]
    by_time = sort in {Sort.NEWEST, Sort.OLDEST}
    after = decode(cursor, sort=sort, by_time=by_time)
    async with services.database.session(caller.tenant_id) as session:
        rows = await highlights.list_page(
            session,
            tenant_id=caller.tenant_id,
            criteria=criteria,
            sort=sort,
            after=after,
            limit=limit + 1,
        )
        page = rows[:limit]
        newest = await clips.latest_by_highlight(
            session, tenant_id=caller.tenant_id, highlight_ids=[row.id for row in page]
        )
    return Page(
        data=[HighlightModel.of(row, newest.get(row.id), services) for row in page],
        next_cursor=next_cursor(rows, limit=limit, column=order.column.key, sort=sort),
    )


@router.post(
    "/batch-get",
    operation_id="batchGetHighlights",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def batch_get_highlights(
    body: HighlightIds, caller: Reader, services: ServicesDependency
) -> HighlightResults:
    """Read up to 100 highlights, with their clips, in one request."""
    ids = list(dict.fromkeys(body.ids))
    async with services.database.session(caller.tenant_id) as session:
        rows = await highlights.get_many(session, tenant_id=caller.tenant_id, highlight_ids=ids)
        newest = await clips.latest_by_highlight(
            session, tenant_id=caller.tenant_id, highlight_ids=list(rows)
        )
    missing = HighlightNotFoundProblem().of_item()
    return HighlightResults(
        data=[
            HighlightResult(
                id=identity,
                highlight=HighlightModel.of(rows[identity], newest.get(identity), services),
            )
            if identity in rows
            else HighlightResult(id=identity, problem=missing)
            for identity in ids
        ]
    )


@router.get(
    "/{highlight_id}",
    operation_id="getHighlight",
    responses=documented(*WITH_KEY, HighlightNotFoundProblem),
)
async def get_highlight(
    highlight_id: UUID, caller: Reader, services: ServicesDependency
) -> HighlightDetail:
    """Read a highlight with its score, its clip and an explanation of the decision."""
    async with services.database.session(caller.tenant_id) as session:
        row = await highlights.get(session, tenant_id=caller.tenant_id, highlight_id=highlight_id)
        if row is None:
            raise HighlightNotFoundProblem
        newest = await clips.latest_by_highlight(
            session, tenant_id=caller.tenant_id, highlight_ids=[highlight_id]
        )
    pinned = await services.pinned.find(caller.tenant_id, row.profile_id, row.profile_version)
    detail = HighlightDetail.of(row, newest.get(highlight_id), services)
    may_review = permits(caller.scopes, Scope.WRITE)
    return detail.explained(
        explanation_of(row, pinned),
        hold=streams.hold_of(row),
        preview=preview_of(row, newest.get(highlight_id), services) if may_review else None,
    )
