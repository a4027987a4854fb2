"""A tenant under load: its rooms at 100ms, its webhook receiver, and its readers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from benchmarks.load.report import Latencies, measured
from demo.hms.event import Workspace, make_event, nanoseconds, object_id
from demo.hms.webhooks import Webhook, WebhookSender
from tests.fakes.webhook_receiver import Received, receiver

_READ_INTERVAL: Final = 5.0
_FEED_INTERVAL: Final = 10.0
_POLL_INTERVAL: Final = 0.5
_PLAYABLE_LIMIT: Final = 60.0


class Tenant:
    """Begins streams by 100ms's webhooks, receives what they lead to, and reads the API.

    Each stream has a reader of its events (SSE), one that reads the stream and the list of its
    highlights every five seconds, and a feed that sends the odds every ten.

    Args:
        api_url: where the API is.
        api_key: of the tenant.
        origin: URL of the origin.
        videos: what the streams play, in turn.

    Attributes:
        begun: when each stream's first segment began, seconds since the epoch, by its URL.
        samples: times of reading (seconds since the epoch) with seconds behind live.
        deliveries: requests of webhooks that were received.
        events_read: events of SSE.
        requests: made to the API; `failed` ones among them.
    """

    def __init__(self, api_url: str, api_key: str, *, origin: str, videos: list[str]) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(
            base_url=api_url, headers=headers, timeout=60.0, limits=limits
        )
        self._viewer = httpx.AsyncClient(timeout=60.0, limits=limits)
        self._origin = origin
        self._videos = videos
        self._workspace = Workspace(
            account_id=object_id(), app_id=object_id(), template_id=object_id()
        )
        self._peaks: dict[str, datetime] = {}
        self._reached: dict[str, dict[str, datetime]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self._sender = WebhookSender(None)
        self.begun: dict[str, float] = {}
        self.samples: list[tuple[float, float]] = []
        self.deliveries = self.events_read = self.requests = self.failed = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._http)
            await stack.enter_async_context(self._viewer)
            hook = await stack.enter_async_context(receiver(self._receive))
            connection = await self._post(
                "/v1/connections",
                {
                    "name": "load",
                    "game": "soccer",
                    "title": "{room}",
                    "checks": {"source": False, "secret_header": True},
                },
            )
            await self._post("/v1/webhooks/subscribe", {"url": hook.url})
            secrets = connection["secrets"]
            path = urlsplit(connection["webhook_url"]).path
            webhook = Webhook(
                url=str(self._http.base_url.join(path)),
                headers={secrets["header_name"]: secrets["header_value"]},
            )
            self._sender = await stack.enter_async_context(WebhookSender(webhook))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def begin(self) -> str:
        """Begin a stream as 100ms does, once it has a first segment; return its URL."""
        room = object_id()
        video = self._videos[len(self.begun) % len(self._videos)]
        begin = int(time.time() * 1000)
        url = f"{self._origin}/{video}/{begin}/{room}/master.m3u8"
        self.begun[url] = begin / 1000
        while not (await self._viewer.get(url.replace("master", "index"))).is_success:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_INTERVAL)
        now = datetime.now(UTC)
        data = {
            "room_id": room,
            "session_id": str(uuid4()),
            "beam_id": object_id(),
            "job_id": object_id(),
            "url": url,
            "started_at": nanoseconds(now),
        }
        event = make_event("hls.started.success", data, workspace=self._workspace, at=now)
        self._sender.send(event)
        self._start(self._read(url))
        return url

    async def streams(self) -> list[dict[str, Any]]:
        """Return all streams, as a list of the API shows them."""
        found: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"limit": 100}
        while True:
            page = await self._get("/v1/streams", query)
            found += page["data"]
            if not page.get("next_cursor"):
                return [each for each in found if each["url"] in self.begun]
            query["cursor"] = page["next_cursor"]

    async def details(self) -> list[dict[str, Any]]:
        """Return all streams as they are now; a list is up to minutes behind."""
        return [await self._get(f"/v1/streams/{row['id']}") for row in await self.streams()]

    async def export(self, count: int) -> None:
        """Begin exports of the latest ten seconds of streams, in turn."""
        rows = [row for row in await self.streams() if row["position"] > 15]
        for number in range(count if rows else 0):
            row = rows[number % len(rows)]
            source = {
                "stream_id": row["id"], "from": row["position"] - 12, "to": row["position"] - 2,
            }  # fmt: skip
            body = {"source": source, "renditions": [{"format": "mp4", "preset": "tiktok"}]}
            await self._post("/v1/exports", body)

    def latencies(self, first: datetime, last: datetime) -> Latencies:
        """Return the figures of a span: of samples in it, and of moments whose peak is in it."""

        def after(stage: str) -> list[float]:
            return [
                (at - self._peaks[highlight]).total_seconds()
                for highlight, at in self._reached[stage].items()
                if highlight in self._peaks and first <= self._peaks[highlight] < last
            ]

        behind = [
            seconds for at, seconds in self.samples if first.timestamp() <= at < last.timestamp()
        ]
        return Latencies(
            behind_live=measured(behind),
            known=measured(after("known")),
            playable=measured(after("playable")),
            exact=measured(after("exact")),
        )

    def not_made(self, first: datetime, last: datetime) -> int:
        """Return how many moments of a span have no exact clip, of those that still count."""
        gone = self._reached["retracted"] | self._reached["exact"]
        return sum(
            first <= peak < last and highlight not in gone
            for highlight, peak in self._peaks.items()
        )

    async def _read(self, url: str) -> None:
        """Read a stream as its tenant's site does, until cancelled."""
        found = None
        while found is None:
            await asyncio.sleep(_POLL_INTERVAL)
            with suppress(httpx.HTTPError):
                rows = await self.streams()
                found = next((row["id"] for row in rows if row["url"] == url), None)
        self._start(self._follow(found))
        self._start(self._feed(found))
        while True:
            with suppress(httpx.HTTPError):
                row = await self._get(f"/v1/streams/{found}")
                now = time.time()
                self.samples.append((now, now - self.begun[url] - row["analyzed"]))
                await self._get("/v1/highlights/list", {"stream_id": found, "limit": 20})
            await asyncio.sleep(_READ_INTERVAL)

    async def _follow(self, stream_id: str) -> None:
        while True:
            with suppress(httpx.HTTPError):
                url = f"/v1/streams/{stream_id}/events"
                async with self._http.stream("GET", url, timeout=None) as response:
                    async for line in response.aiter_lines():
                        self.events_read += line.startswith("event:")
            await asyncio.sleep(_POLL_INTERVAL)

    async def _feed(self, stream_id: str) -> None:
        number = 0
        while True:
            await asyncio.sleep(_FEED_INTERVAL)
            number += 1
            event = {
                "id": f"odds-{number}",
                "kind": "odds",
                "market": "match winner",
                "at": {"now": True},
                "odds": {"before": 2.0, "after": 2.0 + (number % 10) / 100},
            }
            with suppress(httpx.HTTPError):
                await self._post(f"/v1/streams/{stream_id}/events", {"events": [event]})

    async def _receive(self, request: Received) -> int:
        self.deliveries += 1
        now, kind, data = datetime.now(UTC), request.type, request.data
        highlight = data.get("highlight_id")
        if highlight is None:
            return 204
        if kind in {"highlight.pending", "highlight.confirmed"} and data["peak_wall_clock"]:
            self._peaks.setdefault(highlight, datetime.fromisoformat(data["peak_wall_clock"]))
            self._reached["known"].setdefault(highlight, now)
            if highlight not in self._reached["playable"] and data["hls_url"]:
                self._start(self._note_playable(highlight, data["hls_url"]))
        elif kind == "highlight.retracted":
            self._reached["retracted"][highlight] = now
        elif kind == "clip.ready":
            self._start(self._note_exact(highlight, data["url"]))
        return 204

    async def _note_playable(self, highlight: str, url: str) -> None:
        """Note when the instant clip's first segment can be read, or the exact clip is there."""
        deadline = time.monotonic() + _PLAYABLE_LIMIT
        while time.monotonic() < deadline and highlight not in self._reached["playable"]:
            with suppress(httpx.HTTPError):
                playlist = await self._viewer.get(url)
                segments = [row for row in playlist.text.splitlines() if row[:4] == "http"]
                if segments and (await self._viewer.get(segments[0])).is_success:
                    self._reached["playable"].setdefault(highlight, datetime.now(UTC))
                    return
            await asyncio.sleep(_POLL_INTERVAL)

    async def _note_exact(self, highlight: str, url: str) -> None:
        """Note when the first bytes of the exact clip can be read."""
        response = await self._viewer.get(url, headers={"Range": "bytes=0-65535"})
        if response.is_success and b"ftyp" in response.content[:12]:
            now = datetime.now(UTC)
            self._reached["exact"].setdefault(highlight, now)
            self._reached["playable"].setdefault(highlight, now)

    async def _get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        return self._checked(await self._http.get(path, params=query))

    async def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        headers = {"Idempotency-Key": str(uuid4()), "Content-Type": "application/json"}
        response = await self._http.post(path, content=json.dumps(body), headers=headers)
        return self._checked(response)

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        self.requests += 1
        self.failed += not response.is_success
        if not response.is_success and self.failed == 1:
            print(f"{response.request.method} {response.request.url}: {response.text[:500]}")
        document: dict[str, Any] = response.raise_for_status().json()
        return document

    def _start(self, work: Any) -> None:  # noqa: ANN401 a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
