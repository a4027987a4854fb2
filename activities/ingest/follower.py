"""Following one live playlist: noticing new segments and fetching them ahead, in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from activities.ingest.captions import CaptionFollower
from activities.ingest.fetcher import Fetched, Lost, SegmentFetcher
from activities.ingest.poller import PlaylistPoller
from activities.ingest.stored import StoredSegment
from activities.ingest.storing import StoreGuard
from domain.commentary import Cue
from domain.ingest import IngestCursor, IngestLimits
from domain.media import GapReason
from domain.pace import observe_interval, poll_delay
from domain.playlist import DateRange, ListedSegment, MediaPlaylist, Movement, movement, unseen
from domain.stream import EndReason, StreamEnd
from domain.timeline import lost_duration
from infra.hls_client import (
    FetchError,
    NotFoundError,
    RefusedError,
    TooLargeError,
)
from infra.hls_parser import NotAPlaylistError
from infra.segment_store import StoreError
from infra.url_guard import UrlForbiddenError

_log = structlog.get_logger(__name__)

_PREFETCHED: Final = 16
_QUEUED: Final = 64
_CONFIRMATIONS: Final = 5
_EARLY_CONFIRMATIONS: Final = 3
_REMEMBERED_LISTINGS: Final = 512
_UNLISTED_GRACE: Final = 4.0
_REFUSED: Final = frozenset({GapReason.NOT_FOUND, GapReason.UNREACHABLE})


@dataclass(frozen=True)
class SegmentArrival:
    """A new segment; awaiting `outcome` gives its media, or why it could not be had."""

    listed: ListedSegment
    published_at: datetime
    restarted: bool
    outcome: asyncio.Task[Fetched | Lost]


@dataclass(frozen=True)
class LossArrival:
    """Segments that are lost without a try; `duration` is an estimate in seconds."""

    first_sequence: int
    last_sequence: int
    duration: float
    reason: GapReason
    detail: str
    published_at: datetime


Arrival = SegmentArrival | LossArrival


@dataclass(frozen=True)
class Problem:
    """What was wrong with the latest request for the playlist, and the end it would lead to."""

    reason: EndReason
    message: str


class Follower:
    """Follows one live playlist from a cursor on, until it is closed.

    Runs ahead of whoever takes its arrivals, by a bounded number of segments.

    Args:
        poller: reads the playlist.
        fetcher: fetches segments.
        cursor: where to begin.
        limits: bounds.
        stored: segments that an earlier attempt has stored, by media sequence.
        store: guards writes to the segment store.
        captions: begins to follow a caption playlist; None leaves captions alone.
    """

    def __init__(
        self,
        *,
        poller: PlaylistPoller,
        fetcher: SegmentFetcher,
        cursor: IngestCursor,
        limits: IngestLimits,
        stored: dict[int, StoredSegment],
        store: StoreGuard,
        captions: Callable[[str], CaptionFollower] | None = None,
    ) -> None:
        self.store = store
        self._poller = poller
        self._fetcher = fetcher
        self._limits = limits
        self._stored = stored
        self._next = cursor.next_sequence
        if self._next is None and stored:
            self._next = min(stored)
        self._last_date_time = cursor.last_date_time
        self._last_end: datetime | None = None
        self._restarted = False
        self._playlist: MediaPlaylist | None = None
        self._unlisted_since: dict[int, float] = {}
        self._durations: dict[int, float] = {}
        self._verdict: tuple[str, int] = ("", 0)
        self._changed_at: float | None = None
        self._arrivals: asyncio.Queue[Arrival] = asyncio.Queue(_QUEUED)
        self._ahead = asyncio.Semaphore(_PREFETCHED)
        self._fetches: set[asyncio.Task[Fetched | Lost]] = set()
        self._task: asyncio.Task[None] | None = None
        self._follow_captions = captions
        self._captions: CaptionFollower | None = None
        self.interval = cursor.segment_interval
        self.problem: Problem | None = None
        self.segment_problem = ""
        self._returned: SegmentArrival | None = None
        self.end: StreamEnd | None = None

    @property
    def media_url(self) -> str | None:
        """The media playlist chosen; None before the first answer."""
        return self._poller.media_url

    @property
    def variant(self) -> str | None:
        """Its name."""
        return self._poller.variant

    @property
    def captions_url(self) -> str | None:
        """The caption playlist beside it; None without one."""
        return self._poller.captions_url

    def take_cues(self) -> tuple[Cue, ...]:
        """Return the captions that came since the last call."""
        return self._captions.take() if self._captions else ()

    @property
    def date_ranges(self) -> tuple[DateRange, ...]:
        """The timed metadata that the playlist lists now."""
        return self._playlist.date_ranges if self._playlist else ()

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow(), name="follow-playlist")

    async def next(self, *, seconds: float) -> Arrival | None:
        """Return the next arrival; None when there was none in time, or the stream is over.

        The stream is over when `end` is set and this returns None.

        Raises:
            Exception: whatever unexpected error made following stop.
        """
        if self._task is None:
            raise RuntimeError("start() comes first")
        if self._returned is not None:
            returned, self._returned = self._returned, None
            return returned
        if not self._arrivals.empty():
            return self._arrivals.get_nowait()
        arrival = asyncio.ensure_future(self._arrivals.get())
        try:
            await asyncio.wait(
                {arrival, self._task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if arrival.done():
                return arrival.result()
        finally:
            arrival.cancel()
        if self._task.done():
            self._task.result()
            return None if self._arrivals.empty() else self._arrivals.get_nowait()
        return None

    def put_back(self, arrival: SegmentArrival) -> None:
        """Give an arrival back, to be the next one again."""
        self._returned = arrival

    def taken(self) -> None:
        """Say that a segment's outcome has been dealt with, so that one more may be fetched."""
        self._ahead.release()

    async def close(self) -> None:
        """Stop following and remove what was fetched but not taken."""
        tasks: list[asyncio.Task[None] | asyncio.Task[Fetched | Lost]] = [*self._fetches]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._captions is not None:
            await self._captions.close()
        if self._returned is not None:
            await discard(self._returned)
        while not self._arrivals.empty():
            arrival = self._arrivals.get_nowait()
            if isinstance(arrival, SegmentArrival):
                await discard(arrival)

    async def _follow(self) -> None:
        while self.end is None:
            await self._poll()
            if self.end is None:
                await asyncio.sleep(self._delay())

    def _delay(self) -> float:
        playlist = self._playlist
        idle = time.monotonic() - self._changed_at if self._changed_at else 0.0
        return poll_delay(
            self.interval,
            target_duration=playlist.target_duration if playlist else 2.0,
            listed=len(playlist.segments) if playlist else 1,
            idle=idle,
        )

    async def _poll(self) -> None:
        try:
            playlist = await self._poller.read()
        except (FetchError, NotAPlaylistError, UrlForbiddenError) as error:
            self._fail(error)
            return
        self.problem = None
        url = self._poller.captions_url
        if self._captions is None and self._follow_captions is not None and url is not None:
            self._captions = self._follow_captions(url)
        if playlist is None:
            return
        if playlist.vod and (self._next is None or not playlist.ended):
            self.end = StreamEnd(
                reason=EndReason.VOD_PLAYLIST,
                message="The URL is a recording (EXT-X-PLAYLIST-TYPE:VOD), not a live stream; "
                "give the URL of the live playlist.",
            )
            return
        await self._read(playlist)

    async def _read(self, playlist: MediaPlaylist) -> None:
        """Take in a reading of the playlist."""
        self._note_listing(playlist)
        match movement(playlist, next_sequence=self._next, last_date_time=self._last_date_time):
            case Movement.ADVANCED:
                self._confirmed("", of=1)
                await self._advance(playlist, playlist.segments)
            case Movement.RESTARTED:
                await self._restart(playlist)
            case Movement.RESET:
                self._poller.forget()
                if self._confirmed("reset", of=_CONFIRMATIONS):
                    await self._restart(playlist)
            case Movement.REGRESSED:
                self._poller.forget()
                if self._confirmed("regressed", of=_CONFIRMATIONS):
                    self.end = StreamEnd(
                        reason=EndReason.PLAYLIST_REGRESSED,
                        message=f"The playlist went back in time: it lists media sequence "
                        f"{playlist.segments[-1].sequence} after {(self._next or 0) - 1}, with "
                        "media of the past. Check for an origin or cache that serves an old "
                        "playlist, then analyse the stream anew.",
                    )
                return
            case Movement.UNCHANGED:
                self._confirmed("", of=1)
        if playlist.ended and self.end is None:
            self.end = StreamEnd(
                reason=EndReason.PLAYLIST_ENDED, message="The stream ended (EXT-X-ENDLIST)."
            )

    async def _restart(self, playlist: MediaPlaylist) -> None:
        fresh = unseen(playlist.segments, last_date_time=self._last_date_time)
        if not fresh:
            return
        _log.info("stream_restarted", was=self._next, now=fresh[0].sequence)
        self._confirmed("", of=1)
        self._next = fresh[0].sequence
        self._restarted = True
        self._stored = {}
        await self._advance(playlist, fresh)

    async def _advance(self, playlist: MediaPlaylist, segments: tuple[ListedSegment, ...]) -> None:
        now = datetime.now(UTC)
        if self._next is None:
            self._next = self._first(playlist)
        fresh = [segment for segment in segments if segment.sequence >= self._next]
        if not fresh:
            return
        self._observe(len(fresh))
        await self._roll_off(fresh[0], typical=fresh[0].duration, now=now)
        for segment in fresh:
            if segment.encryption is not None:
                self.end = StreamEnd(
                    reason=EndReason.ENCRYPTED,
                    message=f"The stream is encrypted ({segment.encryption}), and we have no key; "
                    "publish a variant in the clear for analysis.",
                )
                return
            await self._take(segment, now)

    def _first(self, playlist: MediaPlaylist) -> int:
        """Return the segment to begin with: not further back than the backlog allowed."""
        backlog = 0.0
        first = playlist.segments[-1].sequence
        for segment in reversed(playlist.segments):
            backlog += segment.duration
            if backlog > self._limits.max_backlog and not playlist.ended:
                break
            first = segment.sequence
        return first

    async def _roll_off(self, upcoming: ListedSegment, *, typical: float, now: datetime) -> None:
        """Account for segments between the last one taken and the first one listed."""
        while self._next is not None and self._next < upcoming.sequence:
            stored = self._stored.get(self._next)
            if stored is not None:
                await self._take(stored.listed, stored.ref.published_at)
                continue
            first, last = self._next, upcoming.sequence - 1
            last = min([last, *(each - 1 for each in self._stored if first < each <= last)])
            known = [self._durations[n] for n in range(first, last + 1) if n in self._durations]
            duration = lost_duration(
                listed=known,
                unlisted=last - first + 1 - len(known),
                typical=typical,
                last_end=self._last_end,
                next_start=upcoming.program_date_time if last + 1 == upcoming.sequence else None,
            )
            _log.warning("segments_rolled_off", first=first, last=last, duration=duration)
            await self._arrivals.put(
                LossArrival(
                    first_sequence=first,
                    last_sequence=last,
                    duration=duration,
                    reason=GapReason.ROLLED_OFF,
                    detail="left the playlist before it could be fetched",
                    published_at=now,
                )
            )
            self._next = last + 1

    async def _take(self, segment: ListedSegment, now: datetime) -> None:
        """Queue a segment, and begin to fetch it as soon as it is near enough."""
        self._next = segment.sequence + 1
        if segment.program_date_time is not None:
            self._last_date_time, self._last_end = segment.program_date_time, segment.ends_at
        if segment.declared_gap:
            await self._arrivals.put(
                LossArrival(
                    first_sequence=segment.sequence,
                    last_sequence=segment.sequence,
                    duration=segment.duration,
                    reason=GapReason.DECLARED,
                    detail="the playlist declares it missing (EXT-X-GAP)",
                    published_at=now,
                )
            )
            return
        outcome = asyncio.create_task(self._fetch(segment), name="fetch-segment")
        self._fetches.add(outcome)
        outcome.add_done_callback(self._fetches.discard)
        restarted, self._restarted = self._restarted, False
        await self._arrivals.put(
            SegmentArrival(listed=segment, published_at=now, restarted=restarted, outcome=outcome)
        )

    async def _fetch(self, segment: ListedSegment) -> Fetched | Lost:
        await self._ahead.acquire()
        stored = self._stored.get(segment.sequence)
        if stored is not None and stored.is_of(segment):
            return Fetched(segment, stored.media, None)
        refusals: list[StoreError] = []
        try:
            fetched = await self.store.run(
                lambda: self._fetcher.fetch(
                    segment,
                    limits=self._limits,
                    still_listed=lambda: self._is_listed(segment.sequence),
                ),
                still_wanted=lambda: self._is_listed(segment.sequence),
                on_refusal=refusals.append,
                is_written=lambda fetched: isinstance(fetched, Fetched),
            )
        except StoreError as error:
            return Lost(segment, GapReason.NOT_STORED, str(error))
        if refusals and isinstance(fetched, Lost) and fetched.reason in _REFUSED:
            # The origin had it before: it went while our store did not take it.
            return Lost(segment, GapReason.NOT_STORED, str(refusals[-1]))
        self._note_source(fetched)
        return fetched

    def _note_source(self, fetched: Fetched | Lost) -> None:
        """Note whether the origin serves the segments that it lists."""
        self.segment_problem = ""
        if isinstance(fetched, Lost) and fetched.reason in _REFUSED:
            self.segment_problem = f"The stream's segments cannot be fetched: {fetched.detail}."

    def _is_listed(self, sequence: int) -> bool:
        """Tell whether a segment is listed, or was a moment ago: caches keep it for a while."""
        playlist = self._playlist
        if playlist and any(each.sequence == sequence for each in playlist.segments):
            return True
        unlisted = self._unlisted_since.get(sequence)
        grace = min(_UNLISTED_GRACE, 2 * playlist.target_duration if playlist else 0.0)
        return unlisted is not None and time.monotonic() - unlisted < grace

    def _note_listing(self, playlist: MediaPlaylist) -> None:
        now = time.monotonic()
        if self._playlist is not None:
            listed = {segment.sequence for segment in playlist.segments}
            for segment in self._playlist.segments:
                if segment.sequence not in listed:
                    self._unlisted_since[segment.sequence] = now
        self._playlist = playlist
        self._durations |= {each.sequence: each.duration for each in playlist.segments}
        for memory in (self._unlisted_since, self._durations):
            while len(memory) > max(_REMEMBERED_LISTINGS, len(playlist.segments)):
                memory.pop(next(iter(memory)))

    def _observe(self, segments: int) -> None:
        now = time.monotonic()
        if self._changed_at is not None:
            self.interval = observe_interval(
                self.interval, elapsed=now - self._changed_at, segments=segments
            )
        self._changed_at = now

    def _fail(self, error: Exception) -> None:
        """Note what is wrong; end at once what cannot become right by waiting."""
        self._poller.forget()
        self.problem = _problem(error)
        waited = self._confirmed(self.problem.reason, of=_EARLY_CONFIRMATIONS)
        final = {EndReason.URL_FORBIDDEN, EndReason.NOT_A_PLAYLIST, EndReason.PLAYLIST_TOO_LARGE}
        if waited and self._next is None and self.problem.reason in final:
            self.end = StreamEnd(reason=self.problem.reason, message=self.problem.message)

    def _confirmed(self, verdict: str, *, of: int) -> bool:
        """Count readings in a row that say the same; tell whether they are enough."""
        last, times = self._verdict
        self._verdict = (verdict, times + 1 if last == verdict else 1)
        return self._verdict[1] >= of


async def discard(arrival: SegmentArrival) -> None:
    """Remove what a segment's fetch has left, or will have."""
    with suppress(asyncio.CancelledError, Exception):
        outcome = await arrival.outcome
        if isinstance(outcome, Fetched) and outcome.file is not None:
            await asyncio.to_thread(Path.unlink, outcome.file, missing_ok=True)


def _problem(error: Exception) -> Problem:
    match error:
        case UrlForbiddenError():
            return Problem(EndReason.URL_FORBIDDEN, str(error))
        case NotAPlaylistError():
            return Problem(
                EndReason.NOT_A_PLAYLIST,
                f"The URL is no HLS playlist: {error}. Give the URL of the stream's .m3u8.",
            )
        case TooLargeError():
            return Problem(
                EndReason.PLAYLIST_TOO_LARGE,
                f"The playlist is too large: {error}. Publish a sliding window of segments.",
            )
        case NotFoundError() | RefusedError():
            return Problem(
                EndReason.NEVER_STARTED,
                f"The playlist is not there: {error}. Check the URL, and that the stream is live.",
            )
        case _:
            return Problem(
                EndReason.ORIGIN_UNREACHABLE,
                f"The playlist cannot be read: {error}. Check the origin, then analyse anew.",
            )
