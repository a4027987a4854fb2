"""Following a stream's captions beside its media: what can be read in time counts, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from domain.highlights.commentary import MOST_LINES, CaptionDeduplicator, Cue
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import ListedSegment, MediaPlaylist
from infra.media.hls_client import FetchError, HlsSession, Validators
from infra.media.hls_playlist import NotAPlaylistError, parse_playlist
from infra.media.webvtt import NotCaptionsError, parse_captions
from infra.ssrf import UrlForbiddenError

_log = structlog.get_logger(__name__)

_AFTER_AN_ERROR: Final = 15.0
_AT_ONCE: Final = 6
_MAX_BYTES: Final = 1 << 16
_KEPT: Final = 10 * MOST_LINES
_NO_VARIABLES: Final[Mapping[str, str]] = {}


class CaptionFollower:
    """Reads one caption playlist, again and again, beside whatever follows the media.

    It has the same guards, and smaller bounds: captions that cannot be had, or not read, are passed
    over, and nothing waits for them.

    Args:
        client: the stream's session with its origins.
        url: the caption playlist.
        limits: bounds on each request.
        interval: seconds between two readings.
        variables: what the master playlist defines (EXT-X-DEFINE).
    """

    def __init__(
        self,
        client: HlsSession,
        *,
        url: str,
        limits: IngestLimits,
        interval: float,
        variables: Mapping[str, str] = _NO_VARIABLES,
    ) -> None:
        self._client = client
        self._url = url
        self._limits = limits
        self._interval = interval
        self._variables = variables
        self._validators = Validators()
        self._next: int | None = None
        self._cues: list[Cue] = []
        self._unroller = CaptionDeduplicator()
        self._task = asyncio.create_task(self._follow(), name="follow-captions")

    def take(self) -> tuple[Cue, ...]:
        """Return the cues that came since the last call."""
        cues, self._cues = tuple(self._cues), []
        return cues

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            pause = self._interval
            try:
                if await self._read():
                    return
            except (FetchError, NotAPlaylistError, UrlForbiddenError) as error:
                _log.info("captions_not_read", problem=str(error))
                pause = max(self._interval, min(_AFTER_AN_ERROR, 4 * self._interval))
            await asyncio.sleep(pause)

    async def _read(self) -> bool:
        """Read the playlist and what is new in it; answer whether it has ended."""
        answer = await self._client.playlist(
            self._url,
            max_bytes=self._limits.max_playlist_bytes,
            seconds=self._limits.request_timeout,
            validators=self._validators,
        )
        self._validators = answer.validators
        if answer.text is None:
            return False
        playlist = parse_playlist(
            answer.text, url=answer.url, requested_url=self._url, variables=self._variables
        )
        if not isinstance(playlist, MediaPlaylist):
            raise NotAPlaylistError("the captions' playlist is a master playlist")
        for segment in self._new(playlist):
            # Before it is read: one that cannot be read is not asked for again.
            self._next = segment.sequence + 1
            cues = await self._read_segment(segment)
            self._cues += self._unroller.new_text(cues)
            del self._cues[:-_KEPT]
        return playlist.ended

    async def _read_segment(self, segment: ListedSegment) -> tuple[Cue, ...]:
        """Return a segment's cues; one that cannot be read has none, and costs no other."""
        try:
            data = await self._client.read(
                segment.resource, max_bytes=_MAX_BYTES, seconds=self._limits.request_timeout
            )
            return parse_captions(data.decode("utf-8", errors="replace")) if data.strip() else ()
        except (FetchError, NotCaptionsError, UrlForbiddenError) as error:
            _log.info("caption_segment_not_read", sequence=segment.sequence, problem=str(error))
            return ()

    def _new(self, playlist: MediaPlaylist) -> list[ListedSegment]:
        if playlist.segments and self._next is not None:
            last = playlist.segments[-1].sequence
            if last + 1 < self._next:  # a new session, whose numbers began again
                self._next = None
        new = [each for each in playlist.segments if each.sequence >= (self._next or 0)]
        return new[-_AT_ONCE:]
