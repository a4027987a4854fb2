"""Clips as recorded: forward only, and their tenant's only."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from domain.clips.models import ClipStatus
from domain.webhooks.events import EventType
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, events
from tests.factories.rows import clip_record, new_clip, new_highlight, used


@pytest.fixture
async def highlight(database: Database, tenant: UUID, stream: UUID) -> UUID:
    return await new_highlight(database, tenant, stream)


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        (ClipStatus.RENDERING, ClipStatus.READY, "ready"),
        (ClipStatus.READY, ClipStatus.RENDERING, "ready"),
        (ClipStatus.READY, ClipStatus.FAILED, "ready"),
        (ClipStatus.FAILED, ClipStatus.READY, "ready"),
        (ClipStatus.READY, ClipStatus.DELETED, "deleted"),
        (ClipStatus.DELETED, ClipStatus.READY, "deleted"),
    ],
)
async def test_a_clip_goes_on_only(
    database: Database,
    tenant: UUID,
    stream: UUID,
    highlight: UUID,
    *,
    first: ClipStatus,
    second: ClipStatus,
    stands: str,
) -> None:
    for status in (first, second, second):
        clip = await new_clip(database, tenant, stream, highlight, status=status)
    async with database.session(tenant) as session:
        row = await clips.get(session, tenant_id=tenant, clip_id=clip)
    assert row is not None
    assert row.status == stands
    assert row.revision == (2 if second.value == stands else 1)


async def test_a_ready_clip_has_its_file(
    database: Database, tenant: UUID, stream: UUID, highlight: UUID
) -> None:
    clip = await new_clip(database, tenant, stream, highlight)
    async with database.session(tenant) as session:
        row = await clips.get(session, tenant_id=tenant, clip_id=clip)
    assert row is not None
    assert (row.size, row.width, row.height, row.has_audio) == (1000, 1280, 720, True)
    assert row.key == f"{tenant}/{stream}/{clip}.mp4"
    assert row.ready_at is not None


async def test_a_deleted_clip_is_not_its_highlights_clip(
    database: Database, tenant: UUID, stream: UUID, highlight: UUID
) -> None:
    async def latest() -> list[UUID]:
        async with database.session(tenant) as session:
            found = await clips.latest_by_highlight(
                session, tenant_id=tenant, highlight_ids=[highlight]
            )
        return [clip.id for clip in found.values()]

    clip = await new_clip(database, tenant, stream, highlight)
    assert await latest() == [clip]
    await new_clip(database, tenant, stream, highlight, status=ClipStatus.DELETED)
    assert await latest() == []


async def test_the_clip_that_is_ready_is_shown_until_the_next_one_is(
    database: Database, tenant: UUID, stream: UUID, highlight: UUID
) -> None:
    first = await new_clip(database, tenant, stream, highlight)
    again = clip_record(tenant, stream, highlight, status=ClipStatus.RENDERING)
    spec = again.spec.model_copy(update={"id": uuid4()})
    shown = []
    for status in (ClipStatus.RENDERING, ClipStatus.FAILED, ClipStatus.READY):
        ready = clip_record(tenant, stream, highlight, status=status)
        async with database.session(tenant) as session:
            await clips.record_clip(session, ready.model_copy(update={"spec": spec}))
            (found,) = (
                await clips.latest_by_highlight(
                    session, tenant_id=tenant, highlight_ids=[highlight]
                )
            ).values()
            shown.append(found.id)
    assert shown == [first, first, spec.id]
    async with database.session(tenant) as session:
        told = await events.undispatched(session, tenant_id=tenant)
    ready_ids = [each.data["clip_id"] for each in told if each.type is EventType.CLIP_READY]
    assert ready_ids == [str(first), str(spec.id)]


async def test_another_tenants_clips_can_be_neither_read_nor_written(
    database: Database, tenant: UUID, other_tenant: UUID, stream: UUID, highlight: UUID
) -> None:
    clip = await new_clip(database, tenant, stream, highlight)
    async with database.session(other_tenant) as session:
        for claimed in (tenant, other_tenant):
            assert await clips.get(session, tenant_id=claimed, clip_id=clip) is None
            found = await clips.latest_by_highlight(
                session, tenant_id=claimed, highlight_ids=[highlight]
            )
            assert found == {}
    for claimed in (tenant, other_tenant):
        with pytest.raises(RecordMissingError):
            async with database.session(other_tenant) as session:
                await clips.record_clip(session, clip_record(claimed, stream, highlight))


async def test_a_clip_of_a_deleted_highlight_is_refused_for_good(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    with pytest.raises(RecordMissingError):
        await new_clip(database, tenant, stream, uuid4())


async def test_a_clip_is_metered_when_it_is_ready_and_only_once(
    database: Database, tenant: UUID, stream: UUID, highlight: UUID
) -> None:
    for status in (ClipStatus.RENDERING, ClipStatus.READY, ClipStatus.READY, ClipStatus.DELETED):
        await new_clip(database, tenant, stream, highlight, status=status)
    assert await used(database, tenant) == {"clip_rendered": 1, "clip_bytes": 1000}
