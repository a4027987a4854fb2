"""Following one stream over the API until it and all its clips are settled."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from demo.display import Display, kind_of
from demo.errors import StandstillError
from demo.origin import LiveOrigin
from demo.truth import clock
from tldrtv_highlights import AsyncHighlightsClient, ConnectionFailedError
from tldrtv_highlights.models import Highlight, Stream

_PAGE: Final = 100


class Follower:
    """Shows highlights as their clips become ready, and measures how long each took.

    Args:
        api: the API.
        origin: what is being played; its clock tells when a moment happened live.
        display: where to show it.
        check: called at each step; raises when the stack has died.
        interval: seconds between looks.
        patience: seconds without any change after which it is given up.
    """

    def __init__(
        self,
        api: AsyncHighlightsClient,
        origin: LiveOrigin,
        display: Display,
        check: Callable[[], None],
        *,
        interval: float = 0.5,
        patience: float = 180.0,
    ) -> None:
        self._interval = interval
        self._patience = patience
        self._api = api
        self._origin = origin
        self._display = display
        self._check = check
        self._announced: dict[str, float] = {}
        self._retracted: set[str] = set()
        self._last_answer = time.monotonic()
        self._last_change = time.monotonic()
        self._last_state: object = None

    def latency(self, highlight: Highlight) -> float:
        """Return the seconds of wall clock from the peak, live, to its clip being ready."""
        return self._announced[highlight.id]

    async def until_settled(self, stream_id: str) -> tuple[Stream, list[Highlight]]:
        """Follow a stream to its end and return its last state and its highlights.

        Raises:
            StandstillError: the API is away, or the stream stands still after its playlist has
                ended.
            ApiError: the API refuses.
            StackError: the stack has died.
        """
        while True:
            self._check()
            try:
                stream = await self._api.streams.get(stream_id)
                highlights = await self._highlights(stream_id)
                self._last_answer = time.monotonic()
            except ConnectionFailedError as error:
                if time.monotonic() - self._last_answer > self._patience:
                    raise StandstillError(
                        f"The API has not answered for {self._patience:.0f} s."
                    ) from error
            else:
                self._show(stream, highlights)
                settled = stream.status != "completed" or all(map(_is_settled, highlights))
                if stream.is_over and settled:
                    return stream, highlights
                self._require_progress(stream, highlights)
            await asyncio.sleep(self._interval)

    async def _highlights(self, stream_id: str) -> list[Highlight]:
        """Read all highlights of a stream, in order of their peaks."""
        found = [each async for each in self._api.highlights.list(stream_id=stream_id, limit=_PAGE)]
        return sorted(found, key=lambda highlight: highlight.peak)

    def _show(self, stream: Stream, highlights: list[Highlight]) -> None:
        for highlight in highlights:
            clip = highlight.clip
            if highlight.stands and clip and clip.status == "ready":
                if highlight.id not in self._announced:
                    ready_at = clip.ready_at or datetime.now(UTC)
                    happened = self._origin.live_at(highlight.peak)
                    self._announced[highlight.id] = (ready_at - happened).total_seconds()
                    self._display.clip_ready(
                        highlight, name=clip_name(highlight), latency=self.latency(highlight)
                    )
            elif highlight.status == "retracted" and highlight.id not in self._retracted:
                self._retracted.add(highlight.id)
                self._display.retracted(highlight)
        self._display.playing(
            stream,
            position=self._origin.position,
            duration=self._origin.duration,
            clips=len(self._announced),
        )

    def _require_progress(self, stream: Stream, highlights: list[Highlight]) -> None:
        state = (stream, highlights, self._origin.published)
        if state != self._last_state:
            self._last_state, self._last_change = state, time.monotonic()
            return
        silence = time.monotonic() - self._last_change
        if silence > self._patience:
            raise StandstillError(
                f"Nothing has happened for {silence:.0f} s: the stream is {stream.status} and "
                f"analysed up to {clock(stream.analyzed)}. The worker's log says more."
            )


def _is_settled(highlight: Highlight) -> bool:
    if highlight.status == "pending":
        return False
    return not highlight.stands or (highlight.clip is not None and highlight.clip.is_settled)


def clip_name(highlight: Highlight) -> str:
    """Return a file name that says when and what, such as `00-03-25_goal.mp4`."""
    words = re.sub(r"[^a-z0-9]+", "-", kind_of(highlight).lower()).strip("-")
    return f"{clock(highlight.peak, '-')}_{words or 'highlight'}.mp4"
