"""`highlights audit` agrees with a real finished stream, and finds each fault made by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.container import Container
from app.services.consistency.stream_audit import AuditOptions, ConsistencyAudit
from app.settings import read_settings, require_database
from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from domain.consistency.findings import AuditFinding, FindingCode
from domain.ids import export_batch_workflow_id
from domain.streams.status import StreamStatus
from infra.db.tables import Highlight
from infra.temporal.client import WorkflowExecutions
from infra.temporal.histories import WorkflowHistories
from tests.e2e.conftest import Stack
from tests.e2e.installation import ROOT, command
from tests.e2e.tenant import Tenant
from tests.fakes.webhook_receiver import receiver

pytestmark = [pytest.mark.stack, pytest.mark.slow]

LIMIT = 120.0
COPIED = {
    f'"{column.name}"': "gen_random_uuid()" if column.name == "id" else f'"{column.name}"'
    for column in Highlight.__table__.columns
    if column.computed is None
}
"""Columns of a copy of a candidate, each with its value."""

ROWS = {
    FindingCode.WINDOWS_MISSING: "DELETE FROM windows WHERE stream_id = $1 AND index = 1",
    FindingCode.WINDOWS_OVERLAP: "UPDATE windows SET start = start - 1 WHERE stream_id = $1 "
    "AND index = 3",
    FindingCode.SEGMENTS_DIFFER: "UPDATE windows SET segments = 9 WHERE stream_id = $1 "
    "AND index = 2",
    FindingCode.GAPS_DIFFER: "UPDATE streams SET missed = 3 WHERE id = $1",
    FindingCode.HIGHLIGHTS_DIFFER: "UPDATE streams SET highlights = 9 WHERE id = $1",
    FindingCode.CLIPS_DIFFER: "UPDATE streams SET clips = 9 WHERE id = $1",
    FindingCode.MEDIA_LEFT: "UPDATE streams SET media_until = NULL WHERE id = $1",
    FindingCode.EVENT_MISSING: "DELETE FROM events WHERE stream_id = $1 AND type = 'clip.ready'",
    FindingCode.EVENT_REPEATED: "INSERT INTO events (tenant_id, id, type, subject, ordering_key, "
    "stream_id, data, dispatched_at) SELECT tenant_id, gen_random_uuid(), type, subject, "
    "ordering_key, stream_id, data, dispatched_at FROM events WHERE stream_id = $1 "
    "AND type = 'stream.ended'",
    FindingCode.EVENT_NOT_SENT: "DELETE FROM deliveries WHERE event_id IN (SELECT id FROM events "
    "WHERE stream_id = $1 AND type = 'stream.ended')",
    FindingCode.ATTEMPTS_DIFFER: "UPDATE deliveries SET attempts = attempts + 1 WHERE event_id IN "
    "(SELECT id FROM events WHERE stream_id = $1 AND type = 'stream.started')",
    FindingCode.USAGE_HOURS_DIFFER: "UPDATE usage_hourly SET quantity = quantity + 1 "
    "WHERE stream_id = $1 AND kind = 'analyzed_seconds'",
    FindingCode.USAGE_REPEATED: "INSERT INTO usage_events (tenant_id, id, kind, stream_id, "
    "quantity) SELECT tenant_id, gen_random_uuid(), kind, stream_id, quantity FROM usage_events "
    "WHERE stream_id = $1 AND kind = 'clip_rendered' LIMIT 1",
    FindingCode.USAGE_MISSING: "DELETE FROM usage_events WHERE stream_id = $1 "
    "AND kind = 'clip_bytes'",
    FindingCode.HIGHLIGHT_UNDECIDED: "UPDATE highlights SET status = 'pending' "
    "WHERE stream_id = $1 AND status = 'confirmed'",
    FindingCode.DECISIONS_DIFFER: "UPDATE highlights SET status = 'rejected' WHERE id = "
    "(SELECT id FROM highlights WHERE stream_id = $1 AND status = 'pending' LIMIT 1)",
    FindingCode.CANDIDATES_UNKNOWN: f"INSERT INTO highlights ({', '.join(COPIED)}) "  # noqa: S608
    f"SELECT {', '.join(COPIED.values())} FROM highlights WHERE stream_id = $1 LIMIT 1",
    FindingCode.CANDIDATES_MISSING: "DELETE FROM highlights WHERE id = "
    "(SELECT highlight_id FROM clips WHERE stream_id = $1 AND highlight_id IS NOT NULL LIMIT 1)",
    FindingCode.WORKFLOW_MISSING: "UPDATE streams SET status = 'live', updated_at = now() "
    "WHERE id = $1",
}
"""A fault of the rows for each code that one can cause, in an order that each shows itself."""


@asynccontextmanager
async def owner(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """A connection that may change what the application cannot, as a broken tool would."""
    running = stack.running
    assert running.database_owner_url is not None
    connection = await asyncpg.connect(running.database_owner_url.replace("+asyncpg", ""))
    try:
        await connection.execute("SELECT set_config('app.tenant_id', $1, false)", running.tenant_id)
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def stream_id(tenant: Tenant, match: Match) -> str:
    """A stream that was played to its end, with a webhook endpoint that received its events."""
    async with receiver() as endpoint:
        await tenant.subscribe(endpoint.url)
        options = OriginOptions(pace=6.0, window=60, autostart=False)
        async with LiveOrigin(match.video, options) as origin:
            stream_id = await tenant.analyze(origin.master_url)
            await origin.wait_requested()
            origin.begin()
            stream = await tenant.until_over(stream_id, seconds=LIMIT)
        assert stream.status is StreamStatus.COMPLETED
        assert stream.clips > 0
        await endpoint.until_true(lambda: "stream.ended" in endpoint.types, seconds=LIMIT)
    return stream_id


@pytest.fixture
async def container(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Container]:
    """The adapters of a command that is run next to `highlights dev`."""
    monkeypatch.setenv("HIGHLIGHTS_STATE_DIR", str(stack.state))
    async with Container(require_database(read_settings())) as container:
        yield container


def audit_of(container: Container) -> ConsistencyAudit:
    return ConsistencyAudit(
        container.database,
        WorkflowExecutions(container.temporal.client),
        WorkflowHistories(container.temporal.client),
        segments=container.segments,
        files=container.clips,
        retention=container.settings.retention_policy(),
        options=AuditOptions(grace=0.0, checksums=True, pause=0.0),
    )


async def found(container: Container, stack: Stack, stream_id: str) -> set[AuditFinding]:
    tenant_id = UUID(stack.running.tenant_id)
    return {each async for each in audit_of(container).stream(tenant_id, UUID(stream_id))}


def files(directory: Path, pattern: str) -> list[Path]:
    return sorted(directory.glob(pattern))


async def run_command(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command("audit", *arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    return process.returncode or 0, printed.decode()


async def test_a_finished_stream_agrees_until_something_is_changed_by_hand(
    stack: Stack, stream_id: str, container: Container
) -> None:
    code, printed = await run_command(stream_id, "--grace", "0", "--checksums")
    assert (code, printed.splitlines()[-1:]) == (0, ["everything agrees"]), printed

    tenant_id = stack.running.tenant_id
    clips = files(Path(stack.running.clips), f"{tenant_id}/{stream_id}/*.mp4")
    media = files(stack.state, f"**/{tenant_id}/{stream_id}/media/[!i]*/*")
    before: set[AuditFinding] = set()
    unseen: list[FindingCode] = []

    async def note(expected: FindingCode) -> None:
        nonlocal before
        now = await found(container, stack, stream_id)
        if expected not in {each.code for each in now - before}:
            unseen.append(expected)
        before = now

    media[len(media) // 2].unlink()
    await note(FindingCode.MEDIA_MISSING)
    clips[0].with_name(f"{uuid4()}.mp4").write_bytes(b"left")
    await note(FindingCode.FILE_LEFT)
    data = bytearray(clips[-1].read_bytes())
    data[-1] ^= 1
    clips[-1].write_bytes(data)
    await note(FindingCode.FILE_DIFFERS)
    clips[0].unlink()
    await note(FindingCode.FILE_MISSING)
    async with owner(stack) as connection:
        for expected, change in ROWS.items():
            await connection.execute(change, UUID(stream_id))
            await note(expected)
    assert unseen == []
    code, printed = await run_command(stream_id, "--grace", "0", "--json")
    assert code == 1
    codes = {each["code"] for each in json.loads(printed)["findings"]}
    assert {"file_left", "usage_repeated"} < codes


async def test_a_batch_that_nothing_advances_is_found_and_ends_when_it_is_resumed(
    stack: Stack, tenant: Tenant, stream_id: str, container: Container
) -> None:
    tenant_id = UUID(stack.running.tenant_id)

    async def stuck() -> set[str]:
        subjects = {each.subject async for each in audit_of(container).tenant(tenant_id)}
        return {each for each in subjects if each.startswith(("batch ", "export "))}

    batch_id = await tenant.export(stream_id)
    client = await container.temporal.client()
    name = export_batch_workflow_id(tenant_id=tenant_id, batch=UUID(batch_id))
    await client.get_workflow_handle(name).terminate("by an operator")
    assert await stuck() == {f"batch {batch_id}"}
    await tenant.resume_export(batch_id)
    async with asyncio.timeout(LIMIT):
        while True:
            batch = await tenant.export_batch(batch_id)
            if batch["status"] not in {"queued", "running"}:
                break
            await asyncio.sleep(0.2)
    assert (batch["status"], batch["ready"]) == ("ready", batch["exports"]), batch["message"]
    assert await stuck() == set()


async def test_an_unknown_stream_is_a_finding(container: Container, stack: Stack) -> None:
    (only,) = await found(container, stack, str(uuid4()))
    assert only.code is FindingCode.STREAM_UNKNOWN


async def test_objects_of_no_stream_are_found(container: Container, stack: Stack) -> None:
    tenant_id, unknown = UUID(stack.running.tenant_id), uuid4()
    key = f"{tenant_id}/{unknown}/media/720p/0.ts"
    await container.segments.put(key, b"left")
    left = [
        each.subject
        async for each in audit_of(container).tenant(tenant_id)
        if each.code is FindingCode.MEDIA_LEFT and each.stream_id is None
    ]
    await container.segments.delete(key)
    assert left == [f"{tenant_id}/{unknown}/"]
