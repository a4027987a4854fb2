"""Renditions followed beside a stream's media playlist: captions and separate audio."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from activities.ingest.fetcher import DownloadedSegment, MissingSegment, SegmentFetcher
from activities.ingest.reloader import PlaylistReloader
from domain.highlights.commentary import MOST_LINES, CaptionDeduplicator, Cue
from domain.ingest.audio_alignment import AudioCover, AudioSpan, find_audio
from domain.ingest.low_latency import PlaylistUpdate
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import ListedSegment, MasterPlaylist, MediaPlaylist, RenditionReport
from domain.ingest.retries import RepeatedFailure, segment_timing
from domain.ingest.window import FetchedMedia
from domain.media.timeline import unwrap
from domain.streams.status import ProblemCode
from infra.media.audio import AudioMuxError, AudioSource, mux_audio
from infra.media.hls_client import FetchError, HlsSession, MediaSource, Validators
from infra.media.hls_playlist import NotAPlaylistError, parse_playlist
from infra.media.pool import MediaError, MediaPool
from infra.media.webvtt import NotCaptionsError, parse_captions
from infra.ssrf import UrlForbiddenError
from infra.storage.segments import SegmentStore

_log = structlog.get_logger(__name__)


_AFTER_AN_ERROR: Final = 15.0


_AT_ONCE: Final = 6


_MAX_BYTES: Final = 1 << 16


_KEPT: Final = 10 * MOST_LINES


_NO_VARIABLES: Final[Mapping[str, str]] = {}


class CaptionFollower:
    """Polls one caption playlist beside the media playlist.

    It has the same protections and smaller limits: captions that cannot be read are skipped, and
    nothing waits for them.

    Args:
        client: the stream's session with its origins.
        url: the caption playlist.
        limits: bounds on each request.
        interval: polling interval in seconds.
        variables: variables of the master playlist (EXT-X-DEFINE).
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
        """Return the cues that arrived since the last call."""
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
        """Read the playlist and its new segments; return True if it has ended."""
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
            # Set before reading, so that an unreadable segment is not requested again.
            self._next = segment.sequence + 1
            cues = await self._read_segment(segment)
            self._cues += self._unroller.new_text(cues)
            del self._cues[:-_KEPT]
        return playlist.ended

    async def _read_segment(self, segment: ListedSegment) -> tuple[Cue, ...]:
        """Return a segment's cues, none if it cannot be read."""
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


_KEPT_AUDIO: Final = 12


_MEASURED: Final = 4096


_MOST_PARTS: Final = 64


_SHORTEST_WAIT: Final = 4.0


_LONGEST_WAIT: Final = 20.0


_SHORTEST_PAUSE: Final = 0.2


_LONGEST_PAUSE: Final = 2.0


_FAILING: Final = 3


_NOTHING_LISTED: Final = "its playlist lists no segment of the time of the pictures"


_Name = tuple[int, str, int]


@dataclass(frozen=True)
class _Sound:
    file: Path
    first_timestamp: float
    shift: float


class SeparateAudio:
    """One audio rendition of a stream, read for its video segments and muxed into them.

    Missing audio is silence: video segments wait about two target durations for it and never fail
    for lack of it. Close it after use.

    Args:
        client: source of playlists and segments.
        url: the rendition's media playlist.
        store: provides scratch files.
        pool: runs media probes and muxing.
        limits: bounds on each request.
        failure: counts video segments without audio.
        variables: variables of the master playlist (EXT-X-DEFINE).
    """

    def __init__(
        self,
        client: MediaSource,
        *,
        url: str,
        store: SegmentStore,
        pool: MediaPool,
        limits: IngestLimits,
        failure: RepeatedFailure | None = None,
        variables: Mapping[str, str] = _NO_VARIABLES,
    ) -> None:
        self.url = url
        self._variables = variables
        self._client = client
        self._store = store
        self._pool = pool
        self._limits = limits
        self._failure = failure or RepeatedFailure(ProblemCode.AUDIO_UNAVAILABLE)
        self._detail = ""
        self._fetcher = SegmentFetcher(client, store, pool)
        self._reloader = PlaylistReloader(client, limits=limits, parts=False)
        self._reported: RenditionReport | None = None
        self._playlist = MediaPlaylist(target_duration=0)
        self._measured: OrderedDict[_Name, AudioSpan] = OrderedDict()
        self._files: OrderedDict[_Name, _Sound] = OrderedDict()
        self._failed: OrderedDict[_Name, None] = OrderedDict()
        self._impatient_until = 0.0
        self._failures = 0
        self._unread = ""
        self._lock = asyncio.Lock()
        self._closed = False

    @property
    def failing(self) -> bool:
        """True if the playlist could not be read several times in a row."""
        return self._failures >= _FAILING

    def note_reports(self, reports: Iterable[RenditionReport]) -> None:
        """Record how far this rendition is, as the playlist of the pictures reports."""
        path = urlsplit(self.url).path
        found = [each for each in reports if urlsplit(each.url).path == path]
        self._reported = found[0] if found else self._reported

    async def complete(self, fetched: DownloadedSegment) -> DownloadedSegment:
        """Return a video segment with audio; one that has audio already is returned unchanged."""
        media = fetched.media
        if fetched.file is None or media.has_audio or not media.has_video:
            return fetched
        try:
            media = await self._add_to(fetched.file, media, fetched.listed)
        except BaseException:
            await asyncio.to_thread(fetched.file.unlink, missing_ok=True)
            raise
        return DownloadedSegment(fetched.listed, media, fetched.file)

    async def _add_to(self, file: Path, media: FetchedMedia, listed: ListedSegment) -> FetchedMedia:
        start, end = _span(media, listed)
        async with self._lock:
            sounds = await self._sounds(listed, start, end)
            if self._closed:
                return media
            try:
                if sounds:
                    media = await self._mux(file, media, listed, sounds)
            finally:
                await self._drop_oldest()
            if media.has_audio:
                self._detail = ""
                self._failure.succeeded()
            else:
                self._failure.failed(self._unread or self._detail or _NOTHING_LISTED)
            return media

    async def close(self) -> None:
        """Delete the cached files."""
        self._closed = True
        files, self._files = self._files, OrderedDict()
        for each in files.values():
            await asyncio.to_thread(each.file.unlink, missing_ok=True)

    async def _mux(
        self, file: Path, media: FetchedMedia, listed: ListedSegment, sounds: list[_Sound]
    ) -> FetchedMedia:
        start, end = _span(media, listed)
        target = await self._store.scratch()
        sources = [
            AudioSource(
                path=each.file,
                shift=each.shift + unwrap(each.first_timestamp, near=start) - each.first_timestamp,
            )
            for each in sounds
        ]
        try:
            tracks = await self._pool.run(
                mux_audio, str(file), sources, str(target), media.suffix, (start, end)
            )
            if not tracks:
                return media
            size = (await asyncio.to_thread(target.stat)).st_size
            await asyncio.to_thread(target.replace, file)
        except (AudioMuxError, MediaError) as error:
            _log.warning("audio_not_added", sequence=listed.sequence, problem=str(error))
            self._detail = "it cannot be joined with the pictures"
            return media
        finally:
            await asyncio.to_thread(target.unlink, missing_ok=True)
        return media.with_audio(tracks, size=size)

    async def _sounds(self, listed: ListedSegment, start: float, end: float) -> list[_Sound]:
        """Return the audio of a video segment, waiting a while for what is not published yet."""
        began = time.monotonic()
        asked = False
        while True:
            found = self._cover(listed, start, end)
            missing = [each for each in found.wanted if self._is_missing(each)][:_MOST_PARTS]
            if missing:
                await asyncio.gather(*(self._fetch(each) for each in missing))
                continue
            if found.complete or self._playlist.ended:
                break
            target = self._playlist.target_duration
            now = time.monotonic()
            impatient = now < self._impatient_until
            if asked and (impatient or now - began >= _wait(target)):
                if not impatient:
                    self._impatient_until = now + 3 * max(target, 1.0)
                    _log.info("audio_late", sequence=listed.sequence)
                break
            if asked and not self._reloader.waits:
                await asyncio.sleep(min(max(target / 4, _SHORTEST_PAUSE), _LONGEST_PAUSE))
            asked = True
            left = began + _wait(target) - time.monotonic()
            await self._refresh(hold=0.0 if impatient else max(left, _SHORTEST_PAUSE))
        for each in found.wanted:
            if _name(each) in self._files:
                self._files.move_to_end(_name(each))
        sounds = [self._files.get(_name(each)) for each in found.wanted]
        return [each for each in sounds if each is not None]

    def _cover(self, listed: ListedSegment, start: float, end: float) -> AudioCover:
        return find_audio(
            self._playlist.segments,
            lambda each: self._measured.get(_name(each)),
            usable=lambda each: not each.declared_gap and _name(each) not in self._failed,
            pictures=listed,
            start=start,
            end=end,
        )

    def _is_missing(self, segment: ListedSegment) -> bool:
        name = _name(segment)
        return name not in self._files and name not in self._failed

    async def _fetch(self, segment: ListedSegment) -> None:
        name = _name(segment)
        outcome = await self._fetcher.fetch(
            segment,
            limits=self._limits,
            still_listed=lambda: True,
            timing=segment_timing(
                segment.duration,
                target_duration=self._playlist.target_duration,
                window=0.0,
                request_timeout=self._limits.request_timeout,
            ),
        )
        if not isinstance(outcome, DownloadedSegment) or outcome.file is None:
            self._failed[name] = None
            self._detail = outcome.detail if isinstance(outcome, MissingSegment) else ""
            return
        media, shift = outcome.media, outcome.media.clock_offset
        first = media.first_timestamp + shift
        self._measured[name] = first, media.duration or segment.duration
        self._files[name] = _Sound(outcome.file, first, shift)

    async def _drop_oldest(self) -> None:
        for memory in (self._measured, self._failed):
            while len(memory) > _MEASURED:
                memory.popitem(last=False)
        while len(self._files) > _KEPT_AUDIO:
            _, oldest = self._files.popitem(last=False)
            await asyncio.to_thread(oldest.file.unlink, missing_ok=True)

    async def _refresh(self, *, hold: float) -> None:
        """Read the playlist again; the server may hold the request back for `hold` seconds."""
        last = self._reported
        try:
            playlist = await self._reloader.read(
                self.url,
                variables=self._variables,
                expected=PlaylistUpdate(sequence=last.last_sequence) if last else None,
                hold=hold,
            )
        except (FetchError, NotAPlaylistError, UrlForbiddenError) as error:
            self._note_unread(str(error))
            return
        if isinstance(playlist, MasterPlaylist):
            self._note_unread("the URL is that of a master playlist")
            return
        self._failures = 0
        self._unread = ""
        if playlist is not None:
            self._playlist = playlist

    def _note_unread(self, problem: str) -> None:
        _log.info("audio_playlist_not_read", problem=problem)
        self._reloader.forget()
        self._failures += 1
        self._unread = f"its playlist: {problem}"


def _wait(target_duration: float) -> float:
    """Return the seconds that a video segment waits for audio that is not published yet."""
    return min(max(2 * target_duration, _SHORTEST_WAIT), _LONGEST_WAIT)


def _span(media: FetchedMedia, listed: ListedSegment) -> tuple[float, float]:
    """Return where pictures begin and end, in seconds of the container's clock."""
    start = media.first_timestamp
    return start, start + (media.duration or listed.duration)


def _name(segment: ListedSegment) -> _Name:
    part = segment.resource.byte_range
    return segment.sequence, urlsplit(segment.resource.url).path, part.offset if part else 0
