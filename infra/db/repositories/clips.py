"""Clips: what to render for a highlight, and the file once it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    SQLColumnExpression,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipSpec, ClipStatus
from domain.clips.spans import MAX_PARTS
from domain.ids import requested_clip_id
from domain.streams.messages import ClipRecord
from domain.tenants.usage import PLANS, PlanName, UsageKind, require_clip_quota, usage_event
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories import tenants, usage
from infra.db.repositories.events import append_clip_event
from infra.db.tables import Clip, Highlight

_MANAGED: Final = frozenset({"tenant_id", "id", "title", "created_at", "updated_at", "revision"})
_CONTENT: Final = tuple(
    column.name
    for column in Clip.__table__.columns
    if column.computed is None and column.name not in _MANAGED
)


NEWEST: Final = Order(column=Clip.created_at, id=Clip.id, descending=True)


class ClipRow(NamedTuple):
    """The columns of a clip that lists show (see `HighlightRow`)."""

    tenant_id: UUID
    id: UUID
    stream_id: UUID
    highlight_id: UUID
    title: str
    status: str
    start: float
    duration: float
    key: str | None
    thumbnail_key: str | None
    size: int | None
    width: int | None
    height: int | None
    has_audio: bool | None
    sha256: str | None
    thumbnail_hash: str | None
    message: str
    ready_at: datetime | None
    created_at: datetime
    updated_at: datetime
    revision: int


# States only advance: a repeated or late write of an earlier state changes nothing.
_STAGE: Final = {
    ClipStatus.RENDERING.value: 0,
    ClipStatus.FAILED.value: 1,
    ClipStatus.READY.value: 2,
    ClipStatus.DELETED.value: 3,
}
_COLUMN: Final = Clip.__table__.c
_SHOWN: Final = (
    select(*(_COLUMN[name] for name in ClipRow._fields))
    .where(
        _COLUMN.tenant_id == bindparam("tenant_id"),
        # An array is one parameter, and the statement the same for any number of ids.
        _COLUMN.highlight_id == any_(bindparam("highlight_ids", type_=ARRAY(Uuid))),
        _COLUMN.status != ClipStatus.DELETED,
    )
    .ext(distinct_on(_COLUMN.highlight_id))
    .order_by(
        _COLUMN.highlight_id,
        (_COLUMN.status == ClipStatus.READY).desc(),
        _COLUMN.created_at.desc(),
        _COLUMN.id,
    )
)
"""The clip that each of some highlights shows."""


async def get(
    session: AsyncSession, *, tenant_id: UUID, clip_id: UUID, lock: bool = False
) -> Clip | None:
    """Return a clip, or None when the tenant has none of this id."""
    return await session.get(Clip, (tenant_id, clip_id), with_for_update=lock)


async def of_request(session: AsyncSession, *, tenant_id: UUID, request_id: UUID) -> list[Clip]:
    """Return the clips on demand that a request has created, in order of media time."""
    ids = [requested_clip_id(request=request_id, part=part) for part in range(MAX_PARTS)]
    found = await session.scalars(
        select(Clip).where(Clip.tenant_id == tenant_id, Clip.id.in_(ids)).order_by(Clip.start)
    )
    return list(found)


async def with_files(session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID) -> list[Clip]:
    """Return the clips of a highlight that have files, locked until the transaction ends.

    None of a highlight that may not be deleted (legal hold).
    """
    found = await session.scalars(
        select(Clip)
        .join(Highlight, (Highlight.tenant_id == Clip.tenant_id) & (Highlight.id == highlight_id))
        .where(
            Clip.tenant_id == tenant_id,
            Clip.highlight_id == highlight_id,
            Clip.key.is_not(None),
            Highlight.legal_hold.is_(None),
        )
        .with_for_update(of=Clip)
    )
    return list(found)


def mark_deleted(row: Clip) -> None:
    """Mark a clip as deleted; rendering that goes on deletes its own files."""
    row.status = ClipStatus.DELETED.value
    row.key = row.thumbnail_key = row.thumbnail_hash = None
    row.updated_at = func.now()
    row.revision += 1


async def latest_by_highlight(
    session: AsyncSession, *, tenant_id: UUID, highlight_ids: Sequence[UUID]
) -> dict[UUID, ClipRow]:
    """Return the clip of each highlight that has one, deleted ones aside.

    It is the newest ready clip, so that a clip that is rendered again replaces the earlier one only
    when it is ready; if none is ready, it is the newest.
    """
    found = await session.execute(_SHOWN, {"tenant_id": tenant_id, "highlight_ids": highlight_ids})
    return {row.highlight_id: ClipRow(*row) for row in found}


async def record_clip(session: AsyncSession, record: ClipRecord) -> bool:
    """Write a clip's state; repeated or late writes undo nothing.

    A clip that has become ready is metered, once. A change of state that tenants are notified of
    is an event in the same transaction. Returns True if there was one.

    Raises:
        RecordMissingError: the highlight does not exist, or the clip on demand was deleted.
    """
    highlight_id = record.spec.highlight_id
    if highlight_id is not None:
        await _hold_highlight(session, record.spec, highlight_id)
    own = and_(Clip.tenant_id == record.spec.tenant_id, Clip.id == record.spec.id)
    before = await session.scalar(select(Clip.status).where(own).with_for_update())
    if highlight_id is None and before in {None, ClipStatus.DELETED}:
        raise RecordMissingError("clip", record.spec.id)
    statement = insert(Clip).values(_values(record))
    new = statement.excluded
    changed = await session.scalar(
        statement.on_conflict_do_update(
            index_elements=[Clip.tenant_id, Clip.id],
            set_={name: new[name] for name in _CONTENT}
            | {"updated_at": func.now(), "revision": Clip.revision + 1},
            where=and_(
                _stage(new["status"]) >= _stage(Clip.status),
                tuple_(*(getattr(Clip, name) for name in _CONTENT)).is_distinct_from(
                    tuple_(*(new[name] for name in _CONTENT))
                ),
            ),
        )
        .returning(Clip)
        .execution_options(populate_existing=True)
    )
    if changed is None:
        return False
    await _meter(session, record)
    about = None
    if highlight_id is not None:
        about = await session.get_one(Highlight, (changed.tenant_id, highlight_id))
    return await append_clip_event(
        session, changed, about, before=ClipStatus(before) if before is not None else None
    )


async def create_requested(session: AsyncSession, spec: ClipSpec, *, title: str) -> Clip:
    """Insert a clip on demand that is about to be rendered."""
    created = await session.scalars(
        insert(Clip).returning(Clip),
        {
            "tenant_id": spec.tenant_id,
            "id": spec.id,
            "stream_id": spec.stream_id,
            "highlight_id": None,
            "title": title,
            "status": ClipStatus.RENDERING.value,
            "start": spec.start,
            "duration": spec.duration,
            "message": "",
        },
    )
    return created.one()


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    after: Position | None,
    limit: int,
) -> list[Clip]:
    """Return a stream's clips, of highlights and on demand, newest first; deleted ones aside."""
    query = select(Clip).where(
        Clip.tenant_id == tenant_id,
        Clip.stream_id == stream_id,
        Clip.status != ClipStatus.DELETED,
    )
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def reserve_requested(
    session: AsyncSession, *, tenant_id: UUID, count: int, default_plan: PlanName
) -> None:
    """Check that the tenant may have `count` more clips on demand; call it before creating them.

    Deleted clips count. Transactions that ask for the same tenant follow one another.

    Raises:
        ClipQuotaExceededError: the plan allows fewer in 24 hours.
        RecordMissingError: there is no such tenant.
    """
    own = await tenants.plan_of(session, tenant_id=tenant_id, lock=True)
    made = await session.scalar(
        select(func.count()).where(
            Clip.tenant_id == tenant_id,
            Clip.highlight_id.is_(None),
            Clip.created_at > func.now() - timedelta(days=1),
        )
    )
    require_clip_quota(PLANS[own or default_plan], made=made or 0, count=count)


async def needed_from(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> float | None:
    """Return the earliest start (s of media time) of a clip on demand that is being rendered."""
    return await session.scalar(
        select(func.min(Clip.start)).where(
            Clip.tenant_id == tenant_id,
            Clip.stream_id == stream_id,
            Clip.highlight_id.is_(None),
            Clip.status == ClipStatus.RENDERING,
        )
    )


async def _hold_highlight(session: AsyncSession, spec: ClipSpec, highlight_id: UUID) -> None:
    """Lock the highlight until the transaction ends."""
    held = await session.scalar(
        select(Highlight.id)
        .where(Highlight.tenant_id == spec.tenant_id, Highlight.id == highlight_id)
        .with_for_update(read=True, key_share=True)
    )
    if held is None:
        raise RecordMissingError("highlight", highlight_id)


async def _meter(session: AsyncSession, record: ClipRecord) -> None:
    spec, rendered = record.spec, record.rendered
    if rendered is None:
        return
    used = {UsageKind.CLIP_RENDERED: 1, UsageKind.CLIP_BYTES: rendered.size}
    events = [
        usage_event(kind, quantity, subject=str(spec.id), stream_id=spec.stream_id)
        for kind, quantity in used.items()
        if quantity > 0
    ]
    await usage.meter(session, tenant_id=spec.tenant_id, events=events)


def _stage(status: SQLColumnExpression[str]) -> ColumnElement[int]:
    return case(_STAGE, value=status)


def _values(record: ClipRecord) -> dict[str, Any]:
    spec, rendered = record.spec, record.rendered
    values: dict[str, Any] = {
        "tenant_id": spec.tenant_id,
        "id": spec.id,
        "stream_id": spec.stream_id,
        "highlight_id": spec.highlight_id,
        "status": record.status.value,
        "start": spec.start,
        "duration": spec.duration,
        "message": record.message,
    }
    if rendered is not None:
        values |= {
            "start": rendered.start,
            "duration": rendered.duration,
            "key": rendered.key,
            "thumbnail_key": rendered.thumbnail_key,
            "size": rendered.size,
            "width": rendered.width,
            "height": rendered.height,
            "has_audio": rendered.has_audio,
            "sha256": rendered.sha256,
            "thumbnail_hash": rendered.thumbnail_hash,
            "ready_at": rendered.rendered_at,
        }
    return values
