"""The snippets of docs/integration.md and README.md, run as they stand against the whole stack.

A section's snippets are run one after the other, as one program. Only what a reader replaces too is
replaced: addresses and the key.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import httpx
import pytest

from app.dev.supervisor import free_ports
from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from demo.playback import playback_problem
from tests.e2e.conftest import Stack
from tests.e2e.guide import FENCE, program, readme_sections, running, sections
from tests.e2e.installation import ROOT
from tldrtv_highlights import AsyncHighlightsClient

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PACE = 4.0
LIMIT = 180.0
GUIDE = (ROOT / "docs" / "integration.md").read_text("utf-8")
SECTIONS = sections("integration.md")
FOLLOWING = ("With curl", "With Python", "With asyncio")
RECEIVING = "Webhooks instead of polling"


def test_every_snippet_belongs_to_a_section_that_is_run() -> None:
    assert SECTIONS.keys() == {*FOLLOWING, RECEIVING}
    snippets = [FENCE.findall(section) for section in SECTIONS.values()]
    assert all(snippets)
    assert sum(map(len, snippets)) == len(FENCE.findall(GUIDE))


@pytest.mark.parametrize("section", FOLLOWING)
async def test_a_reader_who_follows_it_watches_a_clip(
    section: str, stack: Stack, match: Match, tmp_path: Path
) -> None:
    async with LiveOrigin(match.video, OriginOptions(pace=PACE, autostart=False)) as origin:
        command = program(SECTIONS[section], replaced(stack, url=origin.master_url))
        async with running(command, tmp_path) as process, asyncio.timeout(LIMIT):
            kick_off = asyncio.create_task(begin_when_followed(origin))
            output, _ = await process.communicate()
            kick_off.cancel()
    assert process.returncode == 0, output.decode()
    assert (
        await playback_problem(
            tmp_path / "first.mp4",
            duration=length_of(tmp_path / "first.mp4"),
            video=True,
            audio=True,
        )
        is None
    )


async def test_the_curl_loop_ends_when_the_stream_fails(stack: Stack, tmp_path: Path) -> None:
    not_a_playlist = f"{stack.running.api_url}/healthz"
    command = program(SECTIONS["With curl"], replaced(stack, url=not_a_playlist))
    async with running(command, tmp_path) as process, asyncio.timeout(LIMIT):
        output, _ = await process.communicate()
    assert process.returncode == 1, output.decode()
    assert "no highlight: the stream is failed: The URL is no HLS playlist" in output.decode()


async def test_the_commands_of_the_readme_run_as_written(
    stack: Stack, match: Match, tmp_path: Path
) -> None:
    async with LiveOrigin(match.video, OriginOptions(pace=PACE)) as origin:
        section = readme_sections()["The service on one machine"]
        names = replaced(stack, url=origin.master_url)
        del names["hl_live_…"], names["cup-final-2026"]
        command = program(section, names | {"hl_test_…": stack.running.api_key or ""})
        async with running(command, tmp_path) as process, asyncio.timeout(LIMIT):
            output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    started, listed = documents(output.decode())
    assert started["game"] == "soccer"
    assert listed["data"] == []
    async with AsyncHighlightsClient(stack.running.api_url, stack.running.api_key or "") as client:
        stopped = await client.streams.stop(started["id"])
    assert stopped.status == "ending"


def documents(text: str) -> list[Any]:
    """Read JSON documents that follow one another."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while rest := text[at:].lstrip():
        at = len(text) - len(rest)
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found


def replaced(stack: Stack, *, url: str) -> dict[str, str]:
    """What a reader replaces."""
    return {
        "http://localhost:8000": stack.running.api_url,
        "hl_live_…": stack.running.api_key or "",
        "https://cdn.example.com/live/master.m3u8": url,
        "cup-final-2026": str(uuid4()),
    }


async def begin_when_followed(origin: LiveOrigin) -> None:
    await origin.wait_requested()
    origin.begin()


def length_of(clip: Path) -> float:
    with av.open(str(clip)) as container:
        return (container.duration or 0) / av.time_base


async def test_a_receiver_accepts_only_signed_events(stack: Stack, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    names = {
        "http://localhost:8000": stack.running.api_url,
        "hl_live_…": stack.running.api_key or "",
        "https://hooks.example.com/highlights": url,
        "8080": str(port),
    }
    async with (
        running(program(SECTIONS[RECEIVING], names), tmp_path) as process,
        asyncio.timeout(LIMIT),
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20)) as stranger,
        AsyncHighlightsClient(stack.running.api_url, stack.running.api_key or "") as client,
    ):
        forged = {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
        assert (await stranger.post(url, content=b"{}", headers=forged)).status_code == 400
        (endpoint,) = [each async for each in client.webhooks.list() if each.url == url]
        delivery = await client.webhooks.test(endpoint.id)
        assert process.stdout is not None
        told = b""
        while b"endpoint.test" not in told:
            told = await process.stdout.readline()
            assert told, "the receiver has ended"
        assert told.startswith(f"{delivery.event_id} endpoint.test".encode())
