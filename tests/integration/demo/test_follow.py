"""Following a stream over HTTP: the live origin is real, the API is scripted to say rare things."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.display import Display
from demo.errors import StackError, StandstillError
from demo.follow import Follower, clip_name
from demo.origin import LiveOrigin, OriginOptions
from demo.origin.server import bind, serving
from tests.factories.media import make_video
from tldrtv_highlights import ApiError, AsyncHighlightsClient, RetryPolicy

READY_AT = datetime(2026, 1, 1, tzinfo=UTC)


PROFILE = {"id": "soccer", "version": "1"}
TIMES = {"created_at": READY_AT.isoformat(), "updated_at": READY_AT.isoformat()}


def highlight(number: int, status: str = "confirmed", clip: str = "ready") -> dict[str, Any]:
    return {
        **TIMES,
        "id": f"h{number}",
        "stream_id": "s",
        "status": status,
        "tier": "standard",
        "start": number + 0.5,
        "peak": number + 1.0,
        "end": number + 2.0,
        "score": 0.9,
        "dimensions": {"rarity": 0.9},
        "confidence": 0.8,
        "title": "",
        "description": "",
        "tags": ["goal"],
        "reasons": [{"code": "spacing", "words": "a better moment is near"}],
        "evidence": [],
        "game": "soccer",
        "profile": PROFILE,
        "peak_wall_clock": None,
        "clip": {
            "id": f"c{number}",
            "status": clip,
            "start": number,
            "end": number + 2.5,
            "duration": 2.5,
            "url": "/clip",
            "thumbnail_url": None,
            "ready_at": READY_AT.isoformat(),
            **dict.fromkeys(("width", "height", "size")),
        },
    }


def stream(status: str) -> dict[str, Any]:
    return {
        **TIMES,
        "id": "s",
        "url": "https://cdn.example.com/master.m3u8",
        "title": "x",
        "status": status,
        "game": "soccer",
        "profile": PROFILE,
        "position": 2.0,
        "analyzed": 2.0,
        "segments": 1,
        "missed": 1,
        "windows": 1,
        "highlights": 0,
        "clips": 0,
        **dict.fromkeys(
            ("external_id", "profile_match", "end", "last_segment_at", "ended_at"),
        ),
    }


class ScriptedApi:
    """Answers each look at the stream with the next scene; the last one stays."""

    def __init__(self, *scenes: tuple[str, list[dict[str, Any]]]) -> None:
        self._scenes = iter(scenes)
        self._scene = next(self._scenes)
        self.authorization = ""

    async def stream(self, request: Request) -> Response:
        self.authorization = request.headers["authorization"]
        answer = JSONResponse(stream(self._scene[0]))
        self._waiting = self._scene
        self._scene = next(self._scenes, self._scene)
        return answer

    async def highlights(self, request: Request) -> Response:
        # Two to a page, so that a client that ignores cursors misses some.
        items = self._waiting[1]
        first = int(request.query_params.get("cursor", 0))
        after = str(first + 2) if first + 2 < len(items) else None
        return JSONResponse({"data": items[first : first + 2], "next_cursor": after})

    async def refuse(self, _: Request) -> Response:
        problem = {"title": "Unprocessable", "detail": "The URL is not allowed."}
        return JSONResponse(problem, status_code=422)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/streams/analyze", self.refuse, methods=["POST"]),
                Route("/v1/streams/{id}", self.stream),
                Route("/v1/highlights/list", self.highlights),
            ]
        )


@asynccontextmanager
async def client(api: ScriptedApi) -> AsyncIterator[AsyncHighlightsClient]:
    listener = bind("127.0.0.1", 0)
    async with serving(api.app(), listener):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with AsyncHighlightsClient(url, "hl_test_key") as connection:
            yield connection


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[LiveOrigin]:
    video = make_video(tmp_path / "v.mp4", seconds=2)
    async with LiveOrigin(video, OriginOptions(pace=20)) as played:
        await played.finished.wait()
        yield played


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


def follower(
    api: AsyncHighlightsClient,
    origin: LiveOrigin,
    output: io.StringIO,
    *,
    check: Callable[[], None] = lambda: None,
    patience: float = 30.0,
) -> Follower:
    display = Display(Console(file=output, width=200))
    return Follower(api, origin, display, check, interval=0.01, patience=patience)


async def test_each_clip_is_announced_once_with_its_latency(
    origin: LiveOrigin, output: io.StringIO
) -> None:
    api = ScriptedApi(
        ("live", []),
        ("live", [highlight(0, "pending")]),
        ("ending", [highlight(0)]),
        ("completed", [highlight(0)]),
    )
    async with client(api) as connection:
        following = follower(connection, origin, output)
        last, found = await following.until_settled("s")
    assert (last.status, last.missed, len(found)) == ("completed", 1, 1)
    assert api.authorization == "Bearer hl_test_key"
    assert output.getvalue().count("00-00-01_goal.mp4") == 1
    expected = READY_AT - origin.live_at(1.0)
    assert following.latency(found[0]) == pytest.approx(expected / timedelta(seconds=1))


async def test_a_completed_stream_is_followed_until_its_clips_are_settled(
    origin: LiveOrigin, output: io.StringIO
) -> None:
    api = ScriptedApi(
        ("completed", [highlight(0, clip="rendering")]),
        ("completed", [highlight(0), highlight(40, clip="failed")]),
    )
    async with client(api) as connection:
        _, found = await follower(connection, origin, output).until_settled("s")
    assert [h.clip.status for h in found if h.clip] == ["ready", "failed"]


async def test_all_pages_are_read(origin: LiveOrigin, output: io.StringIO) -> None:
    everything = [highlight(number) for number in (80, 0, 40)]
    async with client(ScriptedApi(("completed", everything))) as connection:
        _, found = await follower(connection, origin, output).until_settled("s")
    assert [h.id for h in found] == ["h0", "h40", "h80"]


async def test_a_retraction_is_shown_with_its_reason(
    origin: LiveOrigin, output: io.StringIO
) -> None:
    api = ScriptedApi(
        ("live", [highlight(0, "pending")]), ("completed", [highlight(0, "retracted")])
    )
    async with client(api) as connection:
        await follower(connection, origin, output).until_settled("s")
    assert output.getvalue().count("retracted: a better moment is near") == 1


async def test_a_failed_stream_is_not_waited_for(origin: LiveOrigin, output: io.StringIO) -> None:
    async with client(ScriptedApi(("failed", [highlight(0, "pending")]))) as connection:
        last, _ = await follower(connection, origin, output).until_settled("s")
    assert last.status == "failed"


async def test_a_stream_that_stands_still_is_given_up(
    origin: LiveOrigin, output: io.StringIO
) -> None:
    async with client(ScriptedApi(("ending", []))) as connection:
        with pytest.raises(StandstillError, match="Nothing has happened"):
            await follower(connection, origin, output, patience=0.1).until_settled("s")


async def test_an_api_that_is_gone_is_given_up(origin: LiveOrigin, output: io.StringIO) -> None:
    at_once = RetryPolicy(retries=0)
    async with AsyncHighlightsClient("http://127.0.0.1:1", "key", retry=at_once) as gone:
        with pytest.raises(StandstillError, match="has not answered"):
            await follower(gone, origin, output, patience=0.1).until_settled("s")


async def test_a_dead_stack_ends_the_wait(origin: LiveOrigin, output: io.StringIO) -> None:
    def died() -> None:
        raise StackError("The stack ended.")

    async with client(ScriptedApi(("live", []))) as connection:
        with pytest.raises(StackError):
            await follower(connection, origin, output, check=died).until_settled("s")


async def test_a_refusal_says_what_the_api_said() -> None:
    async with client(ScriptedApi(("live", []))) as connection:
        with pytest.raises(ApiError, match=r"^422 .*: The URL is not allowed\."):
            await connection.streams.analyze("http://10.0.0.1/", title="x")


async def test_a_clip_is_named_after_its_moment() -> None:
    async with client(ScriptedApi(("live", [{**highlight(3724), "tags": ["Red Card!"]}]))) as api:
        await api.streams.get("s")
        (found,) = [each async for each in api.highlights.list(stream_id="s")]
    assert clip_name(found) == "01-02-05_red-card.mp4"
