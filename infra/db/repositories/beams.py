"""The state of beams, one row each, and the sessions that are over."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.hms.beam import Beam, BeamEnd, BeamRecording
from domain.hms.effects import BeamRef, EndKind, EndSession, beam_stream_id
from domain.hms.reconciliation import KnownBeam
from domain.streams.status import TERMINAL
from infra.db.tables import BeamRow, ClosedSession, Stream

RECENT: Final = timedelta(days=2)
"""How long an ended beam is compared with 100ms's list; no stream of 100ms lasts as long."""

_IS_LISTED: Final = BeamRow.key == func.concat("beam:", BeamRow.job_id)


async def lock(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, ref: BeamRef
) -> BeamRow:
    """Return a beam's row, locked until the transaction ends; inserted if there is none.

    Events and reconciliation may name one beam by two keys. They belong to the same session, whose
    events are processed one after the other, so that the second finds the row of the first.
    """
    mine = (BeamRow.tenant_id == tenant_id, BeamRow.connection_id == connection_id)
    row = await _first(session, *mine, BeamRow.key == ref.key)
    if row is None:
        row = await _first(session, *mine, _is_of(ref)) or await _only_listed(session, *mine, ref)
    if row is None:
        await session.execute(
            insert(BeamRow)
            .values(
                tenant_id=tenant_id,
                connection_id=connection_id,
                key=ref.key,
                stream_id=beam_stream_id(
                    tenant_id=tenant_id, connection_id=connection_id, key=ref.key
                ),
                room_id=ref.room_id,
                session_id=ref.session_id,
                job_id=ref.job_id,
            )
            .on_conflict_do_nothing()
        )
        row = await _first(session, *mine, BeamRow.key == ref.key)
    assert row is not None  # noqa: S101 - inserted above, in this transaction
    _learn(row, ref)
    return row


def _learn(row: BeamRow, ref: BeamRef) -> None:
    row.room_id = row.room_id or ref.room_id
    row.session_id = row.session_id or ref.session_id
    if ref.key == ref.listed_key:
        return  # the list does not say whose id it has
    if row.key != ref.key:
        row.told_as = row.told_as or ref.key
    else:
        row.job_id = ref.job_id or row.job_id


async def _first(session: AsyncSession, *conditions: ColumnElement[bool]) -> BeamRow | None:
    found: BeamRow | None = await session.scalar(
        select(BeamRow)
        .where(*conditions)
        .order_by(BeamRow.ended_at.is_not(None), BeamRow.created_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found


def _is_of(ref: BeamRef) -> ColumnElement[bool]:
    """The row is of the beam, by its key, or by its job where either was listed."""
    by_key = or_(BeamRow.key == ref.key, BeamRow.told_as == ref.key)
    if ref.listed_key is None:
        return by_key
    if ref.key == ref.listed_key:
        return or_(by_key, BeamRow.job_id == ref.job_id)
    unclaimed = BeamRow.told_as.is_(None) | (BeamRow.told_as == ref.key)
    return or_(by_key, and_(BeamRow.key == ref.listed_key, _IS_LISTED, unclaimed))


async def _only_listed(
    session: AsyncSession,
    of_tenant: ColumnElement[bool],
    of_connection: ColumnElement[bool],
    ref: BeamRef,
) -> BeamRow | None:
    """Return the one beam of the session that was listed, for an event that names no job."""
    if ref.job_id is not None or ref.session_id is None:
        return None
    rows = await session.scalars(
        select(BeamRow)
        .where(of_tenant, of_connection, BeamRow.session_id == ref.session_id)
        .limit(2)
    )
    found = list(rows)
    if len(found) != 1:
        return None
    only = found[0]
    return await _first(
        session,
        of_tenant,
        of_connection,
        BeamRow.key == only.key,
        _IS_LISTED,
        BeamRow.told_as.is_(None),
    )


async def stream_of(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, ref: BeamRef
) -> Stream | None:
    """Return the stream of a beam, or None if there is none."""
    found: Stream | None = await session.scalar(
        select(Stream)
        .join(BeamRow, (BeamRow.tenant_id == Stream.tenant_id) & (BeamRow.stream_id == Stream.id))
        .where(BeamRow.tenant_id == tenant_id, BeamRow.connection_id == connection_id, _is_of(ref))
        .order_by(BeamRow.key != ref.key, BeamRow.ended_at.is_not(None), BeamRow.created_at.desc())
        .limit(1)
    )
    return found


async def recording_of(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID
) -> BeamRecording | None:
    """Return the latest recording of a stream's beam, or None if there is none."""
    found = await session.scalar(
        select(BeamRow.recording)
        .where(
            BeamRow.tenant_id == tenant_id,
            BeamRow.stream_id == stream_id,
            BeamRow.recording.is_not(None),
        )
        .order_by(BeamRow.updated_at.desc())
        .limit(1)
    )
    return None if found is None else BeamRecording.model_validate(found)


def beam_of(row: BeamRow) -> Beam:
    """Return the state that a row holds."""
    end = None
    if row.end_kind is not None:
        end = BeamEnd(
            how=EndKind(row.end_kind),
            message=row.end_message or "",
            error_type=row.error_type or "",
        )
    return Beam(
        opened=row.opened_at is not None,
        end=end,
        recording=None if row.recording is None else BeamRecording.model_validate(row.recording),
    )


def write(row: BeamRow, beam: Beam) -> None:
    """Write a beam's state to its row; times are those of the database."""
    if beam.opened and row.opened_at is None:
        row.opened_at = func.now()
    if beam.end is not None and row.ended_at is None:
        row.ended_at = func.now()
        row.end_kind = beam.end.how.value
        row.end_message = beam.end.message
        row.error_type = beam.end.error_type
    if beam.recording is not None:
        row.recording = beam.recording.model_dump(mode="json")
    row.updated_at = func.now()


async def is_session_closed(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, session_id: str | None
) -> bool:
    """Return True if a session is known to be over."""
    if session_id is None:
        return False
    found = await session.get(ClosedSession, (tenant_id, connection_id, session_id))
    return found is not None


async def close_session(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, session_id: str
) -> None:
    """Record that a session is over."""
    await session.execute(
        insert(ClosedSession)
        .values(tenant_id=tenant_id, connection_id=connection_id, session_id=session_id)
        .on_conflict_do_nothing()
    )


async def unfinished(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, effect: EndSession
) -> tuple[BeamRef, ...]:
    """Return the opened beams of a session, else of a room, whose streams have not ended."""
    query = (
        select(BeamRow)
        .join(Stream, (Stream.tenant_id == BeamRow.tenant_id) & (Stream.id == BeamRow.stream_id))
        .where(
            BeamRow.tenant_id == tenant_id,
            BeamRow.connection_id == connection_id,
            BeamRow.opened_at.is_not(None),
            Stream.status.not_in(TERMINAL),
        )
        .order_by(BeamRow.created_at)
    )
    if effect.session_id is not None:
        query = query.where(BeamRow.session_id == effect.session_id)
    else:
        query = query.where(BeamRow.room_id == effect.room_id)
    return tuple(_ref(row) for row in await session.scalars(query))


async def known(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID
) -> tuple[KnownBeam, ...]:
    """Return the running beams, and those of the last two days."""
    rows = await session.scalars(
        select(BeamRow).where(
            BeamRow.tenant_id == tenant_id,
            BeamRow.connection_id == connection_id,
            or_(
                BeamRow.created_at > func.now() - RECENT,
                BeamRow.opened_at.is_not(None) & BeamRow.ended_at.is_(None),
            ),
        )
    )
    return tuple(KnownBeam(ref=_ref(row), is_running=beam_of(row).is_running) for row in rows)


def _ref(row: BeamRow) -> BeamRef:
    return BeamRef(key=row.key, room_id=row.room_id, session_id=row.session_id, job_id=row.job_id)
