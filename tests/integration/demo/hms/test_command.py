"""`python -m demo.hms` plays a whole session by itself."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.fakes.webhook_receiver import hms_receiver


async def test_the_command_plays_every_session_to_its_end(video: Path) -> None:
    async with hms_receiver() as endpoint:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "demo.hms", "--file", str(video), "--webhook", endpoint.url),
            *("--header", "X-Secret: token", "--pace", "40", "--sessions", "2", "--linger", "0"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        assert endpoint.types.count("hls.recording.success") == 2
        assert {each.headers["x-secret"] for each in endpoint.received} == {"token"}
        assert b"management token" in output
