"""Repeated reading of one playlist: conditional, held back by the server, or as a delta update."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from domain.ingest.low_latency import (
    BlockingReloads,
    DeliveryDirectives,
    PlaylistUpdate,
    blocked_timing,
    has_update,
    next_update,
    skip_directive,
)
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import MasterPlaylist, MediaPlaylist
from domain.ingest.retries import RequestTiming, playlist_timing
from infra.media.hls_client import (
    MediaSource,
    NotFoundError,
    RefusedError,
    UnreachableError,
    Validators,
)
from infra.media.hls_playlist import PlaylistParser

_log = structlog.get_logger(__name__)

_PARSED_INLINE: Final = 1 << 15  # characters; beyond it parsing would hold up other streams


@dataclass
class _Response:
    """What is known from the latest response, whose directives are part of `url`."""

    url: str = ""
    validators: Validators = field(default_factory=Validators)
    text: str = ""
    parser: PlaylistParser = field(default_factory=PlaylistParser)
    playlist: MediaPlaylist | None = None
    read_at: float = 0.0
    answered: bool = False


class PlaylistReloader:
    """Reads a playlist again and again, and asks only for what is new.

    Args:
        client: source of the playlist.
        limits: bounds on each request.
        parts: wait for the next part of a segment instead of the next segment, where the server
            holds requests back.
    """

    def __init__(self, client: MediaSource, *, limits: IngestLimits, parts: bool) -> None:
        self._client = client
        self._limits = limits
        self._parts = parts
        self._url = ""
        self._target_duration: float | None = None
        self._blocking = BlockingReloads()
        self._may_skip = True
        self._logged: set[str] = set()
        self._last = _Response()

    @property
    def waits(self) -> bool:
        """True if the server will hold the next request back, so that no delay is needed."""
        return self._last.answered and self._next_update() is not None

    @property
    def patience(self) -> float:
        """Seconds for which the server may hold a request back."""
        return blocked_timing(self._target_duration or 0.0).total

    def forget(self) -> None:
        """Make the next read unconditional and complete."""
        self._last = _Response()

    async def read(
        self,
        url: str,
        *,
        variables: Mapping[str, str],
        since: int | None = None,
        expected: PlaylistUpdate | None = None,
        hold: float | None = None,
    ) -> MasterPlaylist | MediaPlaylist | None:
        """Return the current playlist; None if it has not changed.

        Args:
            url: of the playlist.
            variables: of its master playlist (EXT-X-DEFINE).
            since: media sequence before which segments may be left out.
            expected: what the first response should list already, as another rendition reports.
            hold: most seconds for which the server may hold the request back, instead of three
                target durations; 0 for none.

        Raises:
            FetchError: the playlist could not be read this time.
            NotAPlaylistError: something else was there.
            UrlForbiddenError: the guard refuses the URL.
        """
        if url != self._url:
            self._last = _Response()
            self._url, self._blocking, self._may_skip = url, BlockingReloads(), True
        update = self._next_update() or (expected if self._last.playlist is None else None)
        if update is not None and hold != 0 and self._blocking.allowed(now=time.monotonic()):
            try:
                return await self._read_blocked(update, variables, since, hold)
            except (NotFoundError, RefusedError, UnreachableError) as error:
                _log.info("blocking_reload_failed", problem=str(error))
                self._blocking.failed(now=time.monotonic())
                if isinstance(error, UnreachableError) and error.retry_after:
                    raise
        timing = playlist_timing(
            self._target_duration, request_timeout=self._limits.request_timeout
        )
        self._last.answered = True
        return await self._request(DeliveryDirectives(skip=self._skip()), timing, variables, since)

    async def _read_blocked(
        self,
        update: PlaylistUpdate,
        variables: Mapping[str, str],
        since: int | None,
        hold: float | None,
    ) -> MasterPlaylist | MediaPlaylist | None:
        timing = blocked_timing(self._target_duration or 0.0)
        if hold is not None:
            held = min(hold, timing.total)
            timing = RequestTiming(total=held, idle=held)
        began = time.monotonic()
        directives = DeliveryDirectives(update=update, skip=self._skip())
        playlist = await self._request(directives, timing, variables, since)
        now = time.monotonic()
        self._last.answered = isinstance(playlist, MediaPlaylist) and has_update(playlist, update)
        if self._last.answered:
            self._blocking.kept()
        else:
            target = self._target_duration or 0.0
            self._blocking.empty(now=now, waited=now - began, target_duration=target)
        return playlist

    async def read_once(
        self, url: str, *, variables: Mapping[str, str]
    ) -> MasterPlaylist | MediaPlaylist | None:
        """Read another playlist as a whole; raises as `read` does."""
        other = PlaylistReloader(self._client, limits=self._limits, parts=self._parts)
        other._target_duration, other._logged = self._target_duration, self._logged
        return await other.read(url, variables=variables)

    def _next_update(self) -> PlaylistUpdate | None:
        if self._last.playlist is None or not self._blocking.allowed(now=time.monotonic()):
            return None
        return next_update(self._last.playlist, parts=self._parts)

    def _skip(self) -> str:
        if self._last.playlist is None or not self._may_skip:
            return ""
        return skip_directive(self._last.playlist, age=time.monotonic() - self._last.read_at)

    async def _request(
        self,
        directives: DeliveryDirectives,
        timing: RequestTiming,
        variables: Mapping[str, str],
        since: int | None,
    ) -> MasterPlaylist | MediaPlaylist | None:
        url = directives.applied_to(self._url)
        began = time.monotonic()
        answer = await self._client.playlist(
            url,
            max_bytes=self._limits.max_playlist_bytes,
            seconds=timing.total,
            idle=timing.idle,
            validators=self._last.validators if url == self._last.url else Validators(),
        )
        self._last.validators, self._last.url = answer.validators, url
        self._last.read_at = began
        text = answer.text
        if text is None or text == self._last.text:
            return None  # not every origin answers 304
        if not text.strip():
            self._last.text = text
            return MediaPlaylist(target_duration=0)
        parse = partial(
            self._last.parser.parse,
            text,
            url=answer.url,
            requested_url=self._url,
            variables=variables,
            since=since,
        )
        inline = len(text) <= _PARSED_INLINE
        playlist = parse() if inline else await asyncio.to_thread(parse)
        if isinstance(playlist, MediaPlaylist) and playlist.unknown_skipped and directives.skip:
            self._may_skip = False
            self._last = _Response()
            plain = playlist_timing(
                self._target_duration, request_timeout=self._limits.request_timeout
            )
            return await self._request(DeliveryDirectives(), plain, variables, since)
        self._last.text = text
        self._log_dropped(playlist.dropped)
        if isinstance(playlist, MediaPlaylist):
            self._target_duration = playlist.target_duration
            self._last.playlist = playlist
        return playlist

    def _log_dropped(self, dropped: Mapping[str, int]) -> None:
        """Log unparsed lines, each kind once per stream."""
        new = {kind: count for kind, count in dropped.items() if kind not in self._logged}
        if new:
            self._logged |= new.keys()
            _log.info("playlist_lines_dropped", counts=new)
