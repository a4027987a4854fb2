"""Streams with their gaps, windows, quota and changes, their deletions and legal holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, bindparam, case, delete, func, literal, or_, select, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipStatus
from domain.highlights.publication import PublicationPolicy
from domain.ids import deletion_id
from domain.streams.backfill.messages import BackfillRecord
from domain.streams.deletion import (
    DeletionInProgressError,
    DeletionProof,
    DeletionStatus,
    LegalHold,
    LegalHoldError,
)
from domain.streams.messages import StreamRecord, WindowRecord
from domain.streams.status import (
    TERMINAL,
    EndReason,
    StreamEnd,
    StreamProgress,
    StreamStatus,
    may_follow,
)
from domain.tenants.usage import PLANS, PlanName, UsageKind, require_stream_quota, usage_event
from domain.text import Language
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories import tenants, usage
from infra.db.repositories.events import append_stream_event
from infra.db.repositories.publication.policies import stored_policy
from infra.db.tables import (
    Clip,
    Deletion,
    Export,
    Highlight,
    HighlightFeedbackRow,
    HighlightTerm,
    HighlightWord,
    Stream,
    StreamGap,
    StreamWindow,
)

_INSERT: Final = insert(Stream).returning(Stream)  # the row in one statement, with its defaults
NEWEST: Final = Order(column=Stream.created_at, id=Stream.id, descending=True)
_NOTHING_ELSE: Final[dict[str, Any]] = {"gaps": (), "windows": ()}
_COUNTERS: Final = (
    "position",
    "analyzed",
    "segments",
    "missed",
    "windows",
    "highlights",
    "clips",
    "refused_marks",
)


async def create(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    playlist_url: str,
    game: str,
    profile_id: str,
    profile_version: str,
    profile_match: dict[str, Any] | None = None,
    title: str = "",
    language: Language | None = None,
    languages: Sequence[str] = (),
    criteria: dict[str, Any] | None = None,
    external_id: str | None = None,
    options: dict[str, Any] | None = None,
    correlation_id: str | None = None,
    is_recording: bool = False,
    policy: PublicationPolicy | None = None,
) -> Stream:
    """Insert a stream that is about to start."""
    created = await session.scalars(
        _INSERT,
        {
            "tenant_id": tenant_id,
            "id": stream_id,
            "external_id": external_id,
            "playlist_url": playlist_url,
            "game": game,
            "title": title,
            "language": language,
            "languages": list(languages),
            "criteria": criteria,
            "profile_id": profile_id,
            "profile_version": profile_version,
            "profile_match": profile_match,
            "options": options or {},
            "correlation_id": correlation_id,
            "is_recording": is_recording,
            "policy": stored_policy(policy),
            "status": StreamStatus.STARTING,
        },
    )
    return created.one()


async def get(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> Stream | None:
    """Return a stream, or None when the tenant has none of this id."""
    return await session.get(Stream, (tenant_id, stream_id))


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    status: StreamStatus | None = None,
    game: str | None = None,
    external_id: str | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> list[Stream]:
    """Return streams, newest first."""
    query = select(Stream).where(Stream.tenant_id == tenant_id)
    if status is not None:
        query = query.where(Stream.status == status)
    if game is not None:
        query = query.where(Stream.game == game)
    if external_id is not None:
        query = query.where(Stream.external_id == external_id)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def gaps(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> list[StreamGap]:
    """Return a stream's gaps in order of media time."""
    return list(
        await session.scalars(
            select(StreamGap)
            .where(StreamGap.tenant_id == tenant_id, StreamGap.stream_id == stream_id)
            .order_by(StreamGap.start, StreamGap.first_sequence)
        )
    )


async def windows(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, limit: int = 100
) -> list[StreamWindow]:
    """Return a stream's latest windows, newest first."""
    return list(
        await session.scalars(
            select(StreamWindow)
            .where(StreamWindow.tenant_id == tenant_id, StreamWindow.stream_id == stream_id)
            .order_by(StreamWindow.index.desc())
            .limit(limit)
        )
    )


async def delete_unstarted(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Delete a stream whose workflow could not be started; one that has begun stays."""
    await session.execute(
        delete(Stream).where(
            Stream.tenant_id == tenant_id,
            Stream.id == stream_id,
            Stream.status == StreamStatus.STARTING,
            Stream.windows == 0,
        )
    )


async def get_many(
    session: AsyncSession, *, tenant_id: UUID, stream_ids: Sequence[UUID]
) -> dict[UUID, Stream]:
    """Return those of these streams that the tenant has, by id."""
    found = await session.scalars(
        select(Stream).where(Stream.tenant_id == tenant_id, Stream.id.in_(stream_ids))
    )
    return {row.id: row for row in found}


async def record_stream(session: AsyncSession, record: StreamRecord) -> bool:
    """Write a stream's progress, new gaps and windows; repeated or late writes take nothing back.

    Counters never fall, a notice stays before one of earlier analysis, and a status gives way only
    to one that may follow it, so that a terminal status stays. The number of windows tells which
    record is the later one: positions are also written by `advance`, ahead of it. The media that
    was analysed is metered with its windows, each of which is written, and so counted, once. A
    change of state that tenants are notified of is an event in the same transaction. Returns True
    if there was one.

    Raises:
        RecordMissingError: the stream does not exist.
    """
    stream = await session.scalar(
        select(Stream)
        .where(Stream.tenant_id == record.tenant_id, Stream.id == record.stream_id)
        .with_for_update()
    )
    if stream is None:
        raise RecordMissingError("stream", record.stream_id)
    before = StreamStatus(stream.status)
    changes = _changes(stream, record.progress)
    if changes:
        for name, value in changes.items():
            setattr(stream, name, value)
        stream.revision += 1
        await session.flush()
    await _record_gaps(session, record)
    await _meter(session, stream, await _record_windows(session, record))
    return await append_stream_event(session, stream, before=before)


async def advance(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    position: float,
    analyzed: float,
    last_segment_at: datetime | None,
) -> None:
    """Write how far a running stream has got, between two records; nothing is taken back.

    The rest of its progress comes with the next record.
    """
    await session.execute(
        update(Stream)
        .where(
            Stream.tenant_id == tenant_id,
            Stream.id == stream_id,
            Stream.status.not_in(TERMINAL),
            or_(Stream.position < position, Stream.analyzed < analyzed),
        )
        .values(
            position=func.greatest(Stream.position, position),
            analyzed=func.greatest(Stream.analyzed, analyzed),
            last_segment_at=func.greatest(Stream.last_segment_at, last_segment_at),
            updated_at=func.now(),
            revision=Stream.revision + 1,
        )
    )


async def keep_media(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    seconds: float,
    recording_seconds: float,
) -> bool:
    """Record until when the media of a stream or a recording stays. Return False without a stream.

    Args:
        session: of the tenant.
        tenant_id: whose stream it is.
        stream_id: the stream, which has ended.
        seconds: for which the media of a live stream stays.
        recording_seconds: for which that of a recording does.
    """
    stays = case(
        (Stream.is_recording, timedelta(seconds=recording_seconds)),
        else_=timedelta(seconds=seconds),
    )
    kept = await session.scalar(
        update(Stream)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .values(media_until=func.now() + stays)
        .returning(Stream.id)
    )
    return kept is not None


async def with_expired_media(session: AsyncSession, *, tenant_id: UUID, limit: int) -> list[UUID]:
    """Return streams whose media is not kept any longer, that render no clip and are not held."""
    rendering = select(Clip.id).where(
        Clip.tenant_id == Stream.tenant_id,
        Clip.stream_id == Stream.id,
        Clip.status == ClipStatus.RENDERING,
    )
    held = select(Highlight.id).where(
        Highlight.tenant_id == Stream.tenant_id,
        Highlight.stream_id == Stream.id,
        Highlight.legal_hold.is_not(None),
    )
    found = await session.scalars(
        select(Stream.id)
        .where(
            Stream.tenant_id == tenant_id,
            Stream.media_until < func.now(),
            Stream.legal_hold.is_(None),
            ~rendering.exists(),
            ~held.exists(),
        )
        .order_by(Stream.media_until)
        .limit(limit)
    )
    return list(found)


async def note_media_deleted(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Record that nothing of a stream is stored any more."""
    await session.execute(
        update(Stream)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .values(media_until=None)
    )


async def fail(session: AsyncSession, record: StreamRecord, *, message: str) -> None:
    """End a stream as failed when nothing else of its record can be written.

    Raises:
        RecordMissingError: the stream does not exist.
    """
    end = StreamEnd(reason=EndReason.INTERNAL, message=message)
    progress = StreamProgress(status=StreamStatus.FAILED, end=end)
    await record_stream(session, record.model_copy(update=_NOTHING_ELSE | {"progress": progress}))


async def _meter(session: AsyncSession, stream: Stream, windows: Sequence[WindowRecord]) -> None:
    """Count the media that was analysed in windows not written before: each once, gaps not."""
    seconds = sum(Decimal(f"{window.billable_seconds:.6f}") for window in windows)
    if seconds <= 0:
        return
    event = usage_event(
        UsageKind.ANALYZED_SECONDS,
        seconds,
        subject=f"{stream.id}/window/{min(window.index for window in windows)}",
        stream_id=stream.id,
    )
    await usage.meter(session, tenant_id=stream.tenant_id, events=[event])


async def meter_recording(session: AsyncSession, record: BackfillRecord) -> None:
    """Count the media of a recording that was analysed; that of one window counts once."""
    events = [
        usage_event(
            UsageKind.ANALYZED_SECONDS,
            media.seconds,
            subject=f"{record.stream_id}/recording/{media.start:.3f}",
            stream_id=record.stream_id,
        )
        for media in record.analyzed
        if round(media.seconds, 6) > 0
    ]
    await usage.meter(session, tenant_id=record.tenant_id, events=events)


def _changes(stream: Stream, progress: StreamProgress) -> dict[str, Any]:
    before = StreamStatus(stream.status)
    new: dict[str, Any] = {
        name: max(getattr(stream, name), getattr(progress, name)) for name in _COUNTERS
    }
    times = [time for time in (stream.last_segment_at, progress.last_segment_at) if time]
    new["last_segment_at"] = max(times, default=None)
    if progress.duration is not None:
        new["duration"] = progress.duration
    if progress.windows > stream.windows or (
        progress.windows == stream.windows and progress.analyzed >= stream.analyzed
    ):
        new["notice"] = progress.notice
        new["problems"] = [each.model_dump(mode="json") for each in progress.problems]
    # Live and stalled follow each other both ways; of those two the one with more windows is later.
    late = progress.windows < stream.windows and progress.status not in TERMINAL
    if may_follow(before, progress.status) and not (late and may_follow(progress.status, before)):
        new["status"] = progress.status.value
        if progress.end is not None:
            new |= {"end_reason": progress.end.reason.value, "end_message": progress.end.message}
        if progress.status in TERMINAL:
            new["problems"] = []
    changes = {name: value for name, value in new.items() if getattr(stream, name) != value}
    if changes:
        changes["updated_at"] = func.now()
    if progress.status in TERMINAL and "status" in changes:
        changes["ended_at"] = func.now()
    return changes


async def _record_gaps(session: AsyncSession, record: StreamRecord) -> None:
    if not record.gaps:
        return
    rows = [
        {
            "tenant_id": record.tenant_id,
            "stream_id": record.stream_id,
            "start": gap.start,
            "duration": gap.duration,
            "first_sequence": gap.first_sequence,
            "last_sequence": gap.last_sequence,
            "reason": gap.reason.value,
            "detail": gap.detail,
            "anchor_at": gap.anchor_at,
            "anchor_wall": gap.anchor_wall,
        }
        for gap in record.gaps
    ]
    await session.execute(insert(StreamGap).values(rows).on_conflict_do_nothing())


async def _record_windows(session: AsyncSession, record: StreamRecord) -> list[WindowRecord]:
    """Write windows; return those that had not been written before."""
    if not record.windows:
        return []
    owner = {"tenant_id": record.tenant_id, "stream_id": record.stream_id}
    rows = [owner | window.model_dump(exclude={"analyzed_seconds"}) for window in record.windows]
    written = set(
        await session.scalars(
            insert(StreamWindow).values(rows).on_conflict_do_nothing().returning(StreamWindow.index)
        )
    )
    return [window for window in record.windows if window.index in written]


_quota_column: Final = Stream.__table__.c
_UNDER_WAY: Final = and_(
    _quota_column.tenant_id == bindparam("tenant_id"),
    _quota_column.status.in_([status for status in StreamStatus if status not in TERMINAL]),
)
_COUNT: Final = select(func.count()).where(_UNDER_WAY)
_RUNNING: Final = (
    select(_quota_column.id).where(_UNDER_WAY).order_by(_quota_column.created_at, _quota_column.id)
)


async def reserve_slot(session: AsyncSession, *, tenant_id: UUID, default_plan: PlanName) -> None:
    """Check that the tenant may have one more stream; call it just before creating the stream.

    Transactions that ask for the same tenant follow one another: the next one counts the stream
    that this one creates. Every way of creating a stream has to come through here.

    Args:
        session: the tenant's, in the transaction that creates the stream.
        tenant_id: the tenant.
        default_plan: the plan of tenants that have none.

    Raises:
        StreamQuotaExceededError: its plan allows no more than are under way.
        RecordMissingError: there is no such tenant.
    """
    own = await tenants.plan_of(session, tenant_id=tenant_id, lock=True)
    # Only after the lock: READ COMMITTED shows a statement what was committed when it began.
    count = await session.scalar(_COUNT, {"tenant_id": tenant_id})
    plan = PLANS[own or default_plan]
    if (count or 0) < plan.concurrent_streams:
        return
    # Only the error names the streams; by now the quota may suffice.
    running = await session.scalars(_RUNNING, {"tenant_id": tenant_id})
    require_stream_quota(plan, list(running))


@dataclass(frozen=True, kw_only=True)
class HighlightChange:
    """A highlight or clip with the time of its last change."""

    stream_id: UUID
    highlight_id: UUID
    of_clip: bool
    at: datetime


@dataclass(frozen=True)
class StreamRevision:
    """The revision of a stream's row, and when the transaction began that read it."""

    revision: int
    at: datetime


async def revisions(
    session: AsyncSession, *, tenant_id: UUID, stream_ids: Collection[UUID]
) -> dict[UUID, StreamRevision]:
    """Return the revisions of these streams, by id; deleted ones have none."""
    rows = await session.execute(
        select(Stream.id, Stream.revision, func.now().label("at")).where(
            Stream.tenant_id == tenant_id, Stream.id.in_(stream_ids)
        )
    )
    return {row.id: StreamRevision(revision=row.revision, at=row.at) for row in rows}


async def changes_since(
    session: AsyncSession, *, tenant_id: UUID, stream_ids: Collection[UUID], start: datetime
) -> list[HighlightChange]:
    """Return what of streams has changed at `start` or later, each at its last change, in order.

    Times are those at which transactions began: one that ends later may add a change that lies
    before what was seen. Ask again for as long a time as a transaction may take.
    """
    changed = union_all(
        select(
            Highlight.stream_id.label("stream_id"),
            Highlight.id.label("highlight_id"),
            literal(value=False).label("of_clip"),
            Highlight.updated_at.label("at"),
        ).where(
            Highlight.tenant_id == tenant_id,
            Highlight.stream_id.in_(stream_ids),
            Highlight.updated_at >= start,
        ),
        select(Clip.stream_id, Clip.highlight_id, literal(value=True), Clip.updated_at).where(
            Clip.tenant_id == tenant_id,
            Clip.stream_id.in_(stream_ids),
            Clip.highlight_id.is_not(None),
            Clip.updated_at >= start,
        ),
    ).subquery()
    rows = await session.execute(select(changed).order_by(changed.c.at, changed.c.highlight_id))
    return [
        HighlightChange(
            stream_id=row.stream_id, highlight_id=row.highlight_id, of_clip=row.of_clip, at=row.at
        )
        for row in rows
    ]


_NEWEST_DELETION: Final = Order(column=Deletion.created_at, id=Deletion.id, descending=True)
_OF_STREAM: Final = (Highlight, Clip, Export, StreamGap, StreamWindow)
_OF_HIGHLIGHT: Final = (HighlightFeedbackRow, HighlightTerm, HighlightWord)


async def request_deletion(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, reason: str
) -> Deletion:
    """Return the deletion of a stream, inserted if there is none; nothing can be held from then on.

    Raises:
        RecordMissingError: the tenant has no such stream, and has deleted none.
        LegalHoldError: the stream or a highlight of it is held.
    """
    identity = deletion_id(stream=stream_id)
    stream = await _locked_stream(session, tenant_id, stream_id)
    found = await session.get(Deletion, (tenant_id, identity))
    if found is not None:
        return found
    if stream is None:
        raise RecordMissingError("stream", stream_id)
    await require_not_held(session, tenant_id=tenant_id, stream_id=stream_id)
    await session.execute(
        insert(Deletion).values(
            tenant_id=tenant_id,
            id=identity,
            stream_id=stream_id,
            external_id=stream.external_id,
            reason=reason,
            status=DeletionStatus.RUNNING.value,
        )
    )
    return await session.get_one(Deletion, (tenant_id, identity))


async def get_deletion(
    session: AsyncSession, *, tenant_id: UUID, deletion_id: UUID
) -> Deletion | None:
    """Return a deletion, or None when the tenant has none of this id."""
    return await session.get(Deletion, (tenant_id, deletion_id))


async def list_deletions(
    session: AsyncSession, *, tenant_id: UUID, after: Position | None = None, limit: int = 50
) -> list[Deletion]:
    """Return deletions, newest first."""
    query = select(Deletion).where(Deletion.tenant_id == tenant_id)
    return list(await session.scalars(_NEWEST_DELETION.page(query, after=after, limit=limit)))


def proof_of(row: Deletion) -> DeletionProof:
    """Return what was deleted so far."""
    return DeletionProof.model_validate(row.proof)


async def delete_rows(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Delete a stream with all of its rows, and record how many; usage and events stay.

    Raises:
        RecordMissingError: the deletion was not requested.
    """
    deletion = await _locked_deletion(session, tenant_id, stream_id)
    if await _locked_stream(session, tenant_id, stream_id) is None:
        return
    counted = {"streams": 1}
    for table in _OF_STREAM:
        counted[table.__tablename__] = await _count_rows(
            session,
            select(func.count()).where(table.tenant_id == tenant_id, table.stream_id == stream_id),
        )
    of_stream = select(Highlight.id).where(
        Highlight.tenant_id == tenant_id, Highlight.stream_id == stream_id
    )
    for part in _OF_HIGHLIGHT:
        counted[part.__tablename__] = await _count_rows(
            session,
            select(func.count()).where(
                part.tenant_id == tenant_id, part.highlight_id.in_(of_stream)
            ),
        )
    await session.execute(
        delete(Stream).where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
    )
    at = datetime.now(UTC).isoformat()
    deletion.proof = {**deletion.proof, "rows": counted, "rows_deleted_at": at}
    await session.flush()


async def record_deleted_objects(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, files: int, media: int
) -> None:
    """Add to the number of files and media objects that were deleted.

    Raises:
        RecordMissingError: the deletion was not requested.
    """
    deletion = await _locked_deletion(session, tenant_id, stream_id)
    before = proof_of(deletion)
    counts = {"files": before.files + files, "media": before.media + media}
    deletion.proof = {**deletion.proof, **counts}
    await session.flush()


async def finish_deletion(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    cdn_expires_at: datetime | None,
    cdn_invalidation_id: str | None = None,
) -> DeletionProof:
    """Record that nothing of a stream is left. Idempotent.

    Raises:
        RecordMissingError: the deletion was not requested.
    """
    deletion = await _locked_deletion(session, tenant_id, stream_id)
    if deletion.status != DeletionStatus.DONE:
        expires = None if cdn_expires_at is None else cdn_expires_at.isoformat()
        verified = {
            "verified_at": datetime.now(UTC).isoformat(),
            "cdn_expires_at": expires,
            "cdn_invalidation_id": cdn_invalidation_id,
        }
        deletion.proof = {**deletion.proof, **verified}
        deletion.status = DeletionStatus.DONE.value
        deletion.finished_at = func.now()
        await session.flush()
    return proof_of(deletion)


async def hold_stream(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, reason: str | None
) -> LegalHold | None:
    """Hold a stream, or for None lift its hold. Return the hold.

    Raises:
        RecordMissingError: the tenant has no such stream.
        DeletionInProgressError: it is being deleted.
    """
    row = await _held_stream(session, tenant_id, stream_id)
    row.legal_hold = _changed(row.legal_hold, reason)
    await session.flush()
    return hold_of(row)


async def hold_highlight(
    session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID, reason: str | None
) -> LegalHold | None:
    """Hold a highlight, or for None lift its hold. Return the hold.

    Raises:
        RecordMissingError: the tenant has no such highlight.
        DeletionInProgressError: its stream is being deleted.
    """
    row = await session.get(Highlight, (tenant_id, highlight_id))
    if row is None:
        raise RecordMissingError("highlight", highlight_id)
    await _held_stream(session, tenant_id, row.stream_id)
    hold = _changed(row.legal_hold, reason)
    await session.execute(
        update(Highlight)
        .where(Highlight.tenant_id == tenant_id, Highlight.id == highlight_id)
        .values(legal_hold=hold)
        .execution_options(synchronize_session=False)
    )
    return None if hold is None else LegalHold.model_validate(hold)


def hold_of(row: Stream | Highlight) -> LegalHold | None:
    """Return the hold of a stream or highlight; None if there is none."""
    return None if row.legal_hold is None else LegalHold.model_validate(row.legal_hold)


async def is_held(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> bool:
    """Return True if a stream or a highlight of it is under legal hold."""
    highlight = select(Highlight.id).where(
        Highlight.tenant_id == tenant_id,
        Highlight.stream_id == stream_id,
        Highlight.legal_hold.is_not(None),
    )
    found = await session.scalar(
        select(Stream.id).where(
            Stream.tenant_id == tenant_id,
            Stream.id == stream_id,
            or_(Stream.legal_hold.is_not(None), highlight.exists()),
        )
    )
    return found is not None


async def require_not_held(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Raise if a stream or a highlight of it is under legal hold.

    Raises:
        LegalHoldError: it is.
    """
    if await is_held(session, tenant_id=tenant_id, stream_id=stream_id):
        raise LegalHoldError(
            f"The stream {stream_id}, or a highlight of it, is under legal hold. Lift the holds "
            "of the stream and of its highlights first; an admin key can."
        )


def _changed(before: dict[str, Any] | None, reason: str | None) -> dict[str, Any] | None:
    """Return a hold with a new reason; it lasts since it was first placed."""
    if reason is None:
        return None
    since = datetime.now(UTC) if before is None else LegalHold.model_validate(before).since
    return LegalHold(reason=reason, since=since).model_dump(mode="json")


async def _held_stream(session: AsyncSession, tenant_id: UUID, stream_id: UUID) -> Stream:
    row = await _locked_stream(session, tenant_id, stream_id)
    if row is None:
        raise RecordMissingError("stream", stream_id)
    if await session.get(Deletion, (tenant_id, deletion_id(stream=stream_id))) is not None:
        raise DeletionInProgressError
    return row


async def _locked_stream(session: AsyncSession, tenant_id: UUID, stream_id: UUID) -> Stream | None:
    found: Stream | None = await session.scalar(
        select(Stream)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .with_for_update()
    )
    return found


async def _locked_deletion(session: AsyncSession, tenant_id: UUID, stream_id: UUID) -> Deletion:
    row: Deletion | None = await session.scalar(
        select(Deletion)
        .where(Deletion.tenant_id == tenant_id, Deletion.id == deletion_id(stream=stream_id))
        .with_for_update()
    )
    if row is None:
        raise RecordMissingError("deletion", stream_id)
    return row


async def _count_rows(session: AsyncSession, query: Any) -> int:  # noqa: ANN401 - a select of one number
    return await session.scalar(query) or 0
