"""The commands of docs/webhooks-100ms.md, run as they stand against the whole stack."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Stack
from tests.e2e.guide import program, running, sections
from tests.e2e.tenant import Tenant
from tests.factories.media import make_video

pytestmark = [pytest.mark.stack, pytest.mark.slow]

LIMIT = 120.0
TESTING = sections("webhooks-100ms.md")["Testing with the simulator"]


async def test_a_reader_tries_events_with_a_100ms_of_his_own(
    stack: Stack, tenant: Tenant, tmp_path: Path
) -> None:
    make_video(tmp_path / "match.mp4", seconds=16)
    replaced = {
        "http://localhost:8000": stack.running.api_url,
        "hl_live_…": stack.running.api_key or "",
        ".venv/bin/python": sys.executable,
    }
    async with (
        running(program(TESTING, replaced), tmp_path) as process,
        asyncio.timeout(LIMIT),
    ):
        output, _ = await process.communicate()
    said = output.decode()
    assert process.returncode == 0, said
    assert said.count("200  hls.started.success #1") == 1 + 3
    assert '{"id":"by-hand","is_new":true}' in said
    (connection,) = await tenant.connections("Simulator")
    outcomes = await until_all_is_done(tenant, connection)
    await tenant.disconnect(connection)
    assert outcomes["hls.started.success"] == ["started"] * 2
    assert outcomes["hls.stopped.success"] == ["ended_before", "ended"]
    assert outcomes["hls.recording.success"] == ["recording"] * 2


async def until_all_is_done(tenant: Tenant, connection: str) -> dict[str, list[str | None]]:
    async with asyncio.timeout(LIMIT):
        while True:
            outcomes = await tenant.outcomes(connection)
            if all(None not in each for each in outcomes.values()):
                return outcomes
            await asyncio.sleep(0.1)
