"""Follows one live playlist: detects new segments and downloads them ahead, in order."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from activities.ingest.fetcher import DownloadedSegment, MissingSegment, SegmentFetcher
from activities.ingest.follower_events import (
    FollowerEvent,
    PlaylistProblem,
    SegmentGap,
    SegmentReady,
    discard,
    encrypted_end,
    playlist_problem,
    unread_gap,
)
from activities.ingest.parts import PartCollector
from activities.ingest.poller import PlaylistPoller
from activities.ingest.renditions import CaptionFollower, SeparateAudio
from activities.ingest.store import StoreGuard
from domain.highlights.commentary import Cue
from domain.ingest.continuity import (
    REMEMBERED_SEGMENTS,
    Movement,
    PlaylistAssessment,
    PlaylistPosition,
    assess_playlist,
    believable_jump,
    with_continued_numbers,
)
from domain.ingest.messages import IngestCursor, IngestLimits
from domain.ingest.playlist import (
    FASTEST,
    DateRange,
    ListedSegment,
    MediaPlaylist,
    PlaylistPace,
)
from domain.ingest.retries import RepeatedFailure, SegmentTiming, segment_timing
from domain.media.segments import GapReason
from domain.media.timeline import LONGEST_BELIEVED_LOSS, lost_duration
from domain.streams.status import EndReason, StreamEnd
from infra.media.hls_client import FetchError, NotFoundError, RefusedError, UnreachableError
from infra.media.hls_playlist import NotAPlaylistError
from infra.ssrf import UrlForbiddenError
from infra.storage.segment_index import StoredSegment, StoredSegments
from infra.storage.segments import StoreError

_log = structlog.get_logger(__name__)

_PREFETCHED: Final = 16
_QUEUED: Final = 64
_CONFIRMATIONS: Final = 5
_EARLY_CONFIRMATIONS: Final = 3
_REMEMBERED_LISTINGS: Final = 512
_LONGEST_GRACE: Final = 30.0
_FIRST_BACKOFF: Final = 0.25
_LONGEST_BACKOFF: Final = 8.0
_ABSENT_BACKOFF: Final = 2.0
_FAILURES: Final = 2
_FAILING_TARGETS: Final = 1.5
_IDLE_TARGETS: Final = 3.0
_SHORTEST_IDLE: Final = 2.0
_MOST_TRIED: Final = 4
_UNDECRYPTABLE: Final = 3
_FIRST_CHOICE_INTERVAL: Final = 1.0
_LONGEST_CHOICE_INTERVAL: Final = 30.0
_KEPT_BEHIND: Final = (
    2 * REMEMBERED_SEGMENTS
)  # segments of a long window that are read again and again
_PATIENCE: Final = 4  # target durations without an advance after which a regressed list is old
_POLL_SLACK: Final = 2.0

ABSENCE: Final = 10.0
"""Seconds without a read of the playlist beyond which segments count as missed."""
_REFUSED: Final = frozenset({GapReason.NOT_FOUND, GapReason.UNREACHABLE})


@dataclass
class _Regression:
    """Consecutive reloads that list only segments before the ingested ones."""

    began: float
    last: int
    readings: int = 1
    advances: int = 0

    def note(self, last: int) -> None:
        """Count a reload whose last number is `last`."""
        self.readings += 1
        self.advances += last > self.last
        self.last = last


class PlaylistFollower:
    """Follows one live playlist from a cursor on, until it is closed.

    It downloads ahead of the consumer of its events, by a limited number of segments.

    Args:
        poller: reads the playlist.
        fetcher: fetches segments.
        cursor: where to start.
        limits: limits of the stream.
        stored: segments stored by an earlier attempt, by media sequence.
        index: of the stream's stored segments.
        worker: name of this worker if it keeps media on its own disk.
        store: guards writes to the segment store.
        encryption: counts segments that cannot be decrypted.
        audio: counts segments whose separate audio cannot be read.
        captions: starts following a caption playlist; None ignores captions.
        separate_audio: starts reading an audio rendition.

    Attributes:
        looked: seconds for which the playlist was followed, counted between completed requests, so
            that a suspended process does not count.
        away: seconds before that without a read of the playlist; 0 once it is read again.
        problem: problem of the latest request; None if it succeeded.
        end: how the stream ended; None while it continues.
    """

    def __init__(
        self,
        *,
        poller: PlaylistPoller,
        fetcher: SegmentFetcher,
        cursor: IngestCursor,
        limits: IngestLimits,
        stored: dict[int, StoredSegment],
        index: StoredSegments,
        worker: str | None,
        store: StoreGuard,
        encryption: RepeatedFailure,
        audio: RepeatedFailure,
        captions: Callable[[str, Mapping[str, str]], CaptionFollower] | None = None,
        separate_audio: Callable[[str, Mapping[str, str]], SeparateAudio] | None = None,
    ) -> None:
        self.store, self.index, self.worker = store, index, worker
        self.encryption, self.audio = encryption, audio
        self._poller = poller
        self._fetcher = fetcher
        self._limits = limits
        self._stored = stored
        self._next = cursor.next_sequence
        if self._next is None and stored:
            self._next = min(stored)
        self._last_date_time = cursor.last_date_time
        self._last_end = cursor.end_date_time
        self._memory = cursor.memory
        self._head: int | None = None
        self._regression: _Regression | None = None
        self._new_at = _monotonic(cursor.last_segment_at)
        self._restarted = False
        self._playlist: MediaPlaylist | None = None
        self._unlisted_since: dict[int, float] = {}
        self._durations: dict[int, float] = {}
        self._verdict: tuple[str, int] = ("", 0)
        self._pace = PlaylistPace(cursor.segment_interval, now=time.monotonic())
        self._failures = 0
        self._failing_since = 0.0
        self._last_error: Exception | None = None
        self._choose_again_at = 0.0
        self._choose_again_after = _FIRST_CHOICE_INTERVAL
        self._retry_after = 0.0
        self._encoding = 0
        self._fetched_any = cursor.stored_segments > 0
        self._undecryptable = 0
        self._events: asyncio.Queue[FollowerEvent] = asyncio.Queue(_QUEUED)
        self._ahead = asyncio.Semaphore(_PREFETCHED)
        self._fetches: set[asyncio.Task[DownloadedSegment | MissingSegment]] = set()
        self._parts = fetcher.part_follower(limits)
        self._task: asyncio.Task[None] | None = None
        self._follow_captions = captions
        self._captions: CaptionFollower | None = None
        self._captions_of: str | None = None
        self._read_audio = separate_audio
        self._audio: SeparateAudio | None = None
        self.looked = 0.0
        self.away = _absence(cursor)
        self.problem: PlaylistProblem | None = None
        self.segment_problem = ""
        self._returned: SegmentReady | None = None
        self.end: StreamEnd | None = None

    @property
    def interval(self) -> float | None:
        """Seconds of wall clock between new segments; None while unknown."""
        return self._pace.interval

    @property
    def media_url(self) -> str | None:
        """URL of the media playlist; None before the first response."""
        return self._poller.media_url

    @property
    def variant(self) -> str | None:
        """Name of the variant."""
        return self._poller.variant

    @property
    def audio_url(self) -> str | None:
        """URL of the playlist of separate audio; None without one."""
        return self._poller.audio_url

    @property
    def captions_url(self) -> str | None:
        """URL of the caption playlist; None without one."""
        return self._poller.captions_url

    @property
    def listed(self) -> float:
        """Seconds of media that the playlist lists; 0 before the first response."""
        return sum(each.duration for each in self._playlist.segments) if self._playlist else 0.0

    def take_cues(self) -> tuple[Cue, ...]:
        """Return the captions that arrived since the last call."""
        return self._captions.take() if self._captions else ()

    @property
    def date_ranges(self) -> tuple[DateRange, ...]:
        """The timed metadata that the playlist lists now."""
        return self._playlist.date_ranges if self._playlist else ()

    def start(self) -> None:
        """Start following."""
        self._task = asyncio.create_task(self._follow(), name="follow-playlist")

    async def next(
        self, *, seconds: float, interruption: asyncio.Future[None] | None = None
    ) -> FollowerEvent | None:
        """Return the next event; None if there was none within `seconds`, or the stream is over.

        The stream is over if `end` is set and this returns None. It also returns None once
        `interruption` is done.

        Raises:
            Exception: the unexpected error that stopped following.
        """
        if self._task is None:
            raise RuntimeError("start() comes first")
        if self._returned is not None:
            returned, self._returned = self._returned, None
            return returned
        if not self._events.empty():
            return self._events.get_nowait()
        arrival = asyncio.ensure_future(self._events.get())
        try:
            awaited = {arrival, self._task} | ({interruption} if interruption else set())
            await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if arrival.done():
                return arrival.result()
        finally:
            arrival.cancel()
        if self._task.done():
            self._task.result()
            return None if self._events.empty() else self._events.get_nowait()
        return None

    def put_back(self, arrival: SegmentReady) -> None:
        """Return an event to the follower, as the next one."""
        self._returned = arrival

    def release_slot(self) -> None:
        """Release the slot of a processed segment, so that one more may be downloaded."""
        self._ahead.release()

    async def close(self) -> None:
        """Stop following, write the index, and delete downloads that were not consumed."""
        tasks: list[asyncio.Task[None] | asyncio.Task[DownloadedSegment | MissingSegment]] = [
            *self._fetches
        ]
        if self._task is not None:
            tasks.append(self._task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._parts.close()
        if self._captions is not None:
            await self._captions.close()
        if self._audio is not None:
            await self._audio.close()
        if self._returned is not None:
            await discard(self._returned)
        while not self._events.empty():
            arrival = self._events.get_nowait()
            if isinstance(arrival, SegmentReady):
                await discard(arrival)
        await self.index.flush()

    async def _follow(self) -> None:
        while self.end is None:
            began = time.monotonic()
            await self._poll()
            self._pace.note_requested(at=began)
            delay = self._delay(time.monotonic() - began)
            if self.end is None:
                await asyncio.sleep(delay)
            patience = max(self._limits.request_timeout, self._poller.patience)
            longest = patience + delay + _POLL_SLACK
            self.looked += min(time.monotonic() - began, longest)

    def _delay(self, elapsed: float) -> float:
        """Return the seconds until the next request; the last one took `elapsed` seconds."""
        playlist = self._playlist
        if self._failures:
            return self._backoff()
        if self._poller.waits:
            return max(FASTEST - elapsed, 0.0)
        return self._pace.delay(
            target_duration=playlist.target_duration if playlist else 2.0,
            listed=len(playlist.segments) if playlist else 1,
            now=time.monotonic(),
        )

    def _backoff(self) -> float:
        """Return the delay after failed requests: exponential, at least Retry-After."""
        if self._playlist is not None:
            longest = min(max(self._playlist.target_duration, _FIRST_BACKOFF), _LONGEST_BACKOFF)
        else:
            # A playlist that is not there may appear at any moment, and list little.
            absent = isinstance(self._last_error, NotFoundError)
            longest = _ABSENT_BACKOFF if absent else _LONGEST_BACKOFF
        delay = min(_FIRST_BACKOFF * 2.0 ** min(self._failures - 1, 10), longest)
        return max(delay, self._retry_after)

    async def _poll(self) -> None:
        if self._should_choose_again() and await self._choose_again():
            return
        try:
            since = None if self._next is None else self._next - _KEPT_BEHIND
            playlist = await self._poller.read(since=since)
        except (FetchError, NotAPlaylistError, UrlForbiddenError) as error:
            self._fail(error)
            return
        self.problem = None
        self._failures = 0
        self._pace.note_read(now=time.monotonic())
        await self._follow_renditions()
        if playlist is None:
            return
        await self._take_reading(playlist)

    async def _follow_renditions(self) -> None:
        """Follow the captions and the separate audio of the current variant."""
        captions, audio = self._poller.captions_url, self._poller.audio_url
        if self._follow_captions is not None and captions != self._captions_of:
            if self._captions is not None:
                await self._captions.close()
            self._captions = (
                self._follow_captions(captions, self._poller.variables) if captions else None
            )
            self._captions_of = captions
        if self._read_audio is not None and audio != (self._audio.url if self._audio else None):
            if self._audio is not None:
                await self._audio.close()
            self._audio = self._read_audio(audio, self._poller.variables) if audio else None

    def _should_choose_again(self) -> bool:
        """Return True if the variant has failed or stalled for long enough to try others."""
        now = time.monotonic()
        if not self._poller.may_choose_again or now < self._choose_again_at:
            return False
        target = self._playlist.target_duration if self._playlist else 0.0
        if self._failures:
            definite = isinstance(self._last_error, NotFoundError | RefusedError)
            patience = 0.0 if definite or self._next is None else _FAILING_TARGETS * target
            return self._failures >= _FAILURES and now - self._failing_since >= patience
        if self._audio is not None and self._audio.failing:
            return True
        idle_since = self._pace.idle_since
        return idle_since is not None and now - idle_since >= max(
            _IDLE_TARGETS * target, _SHORTEST_IDLE
        )

    async def _choose_again(self) -> bool:
        """Read the master playlist again and switch to one of its variants; return True on success.

        The same variant comes first, at its current URL. Another one is followed from where it goes
        beyond the ingested segments, as a discontinuity.
        """
        self._choose_again_at = time.monotonic() + self._choose_again_after
        self._choose_again_after = min(2 * self._choose_again_after, _LONGEST_CHOICE_INTERVAL)
        failing = self._failures > 0
        deaf = self._audio is not None and self._audio.failing
        before, url = self._poller.variant, self._poller.media_url
        try:
            master, offered = await self._poller.read_alternatives()
        except (FetchError, NotAPlaylistError, UrlForbiddenError) as error:
            _log.warning("master_playlist_unreadable", problem=str(error))
            if failing:
                self.problem = playlist_problem(error)
            return False
        for place, variant in enumerate(offered[:_MOST_TRIED]):
            try:
                playlist = await self._poller.read_variant(variant, master)
            except (FetchError, NotAPlaylistError, UrlForbiddenError) as error:
                _log.info("variant_unreadable", variant=variant.name, problem=str(error))
                continue
            same = place == 0 and variant.name == before
            fresh = playlist.segments if same else self._beyond(playlist)
            renewed = same and (variant.url != url or deaf)
            if not (failing or renewed or any(self._is_new(each) for each in fresh)):
                continue
            self._poller.adopt(variant, master)
            self.problem, self._failures = None, 0
            await self._follow_renditions()
            if not same:
                self._switch(playlist, fresh)
            await self._take_reading(playlist)
            return True
        return False

    def _is_new(self, segment: ListedSegment) -> bool:
        return self._next is None or segment.sequence >= self._next

    def _beyond(self, playlist: MediaPlaylist) -> tuple[ListedSegment, ...]:
        """Return the segments of another variant after the ingested ones.

        By date if both have dates; else by number if the numbers are close, since variants are
        usually numbered alike; else the last ones, by the time that has passed.
        """
        segments = playlist.segments
        if self._next is None or not segments:
            return segments
        last = self._last_date_time
        if last is not None and all(each.program_date_time for each in segments):
            return tuple(
                each
                for each in segments
                if each.program_date_time is not None
                and each.program_date_time > last + timedelta(seconds=each.duration / 2)
            )
        elapsed = time.monotonic() - (self._pace.idle_since or time.monotonic())
        missed = math.ceil(elapsed / max(playlist.target_duration, 0.1))
        if abs(segments[-1].sequence - (self._next - 1)) <= len(segments) + missed:
            return tuple(each for each in segments if each.sequence >= (self._next or 0))
        return segments[-max(missed, 1) :]

    def _switch(self, playlist: MediaPlaylist, fresh: tuple[ListedSegment, ...]) -> None:
        """Continue with another variant's numbers."""
        if self._next is not None:
            following = playlist.segments[-1].sequence + 1 if playlist.segments else self._next
            self._next = fresh[0].sequence if fresh else following
            self._restarted = True
        self._stored = {}
        self._memory = self._memory.restarted()
        self._parts.drop()
        self._head = None
        self._regression = None
        self._durations.clear()
        self._unlisted_since.clear()
        self._playlist = None

    async def _take_reading(self, playlist: MediaPlaylist) -> None:
        """Process a reload of the playlist, if it is a live stream."""
        if playlist.vod and (self._next is None or not playlist.ended):
            self.end = StreamEnd(
                reason=EndReason.VOD_PLAYLIST,
                message="The URL is a recording (EXT-X-PLAYLIST-TYPE:VOD), not a live stream; "
                "give the URL of the live playlist.",
            )
            return
        await self._read(playlist)

    async def _read(self, listed: MediaPlaylist) -> None:
        """Process a reload of the playlist."""
        taken = PlaylistPosition(
            next_sequence=self._next,
            last_date_time=self._last_date_time,
            memory=self._memory,
            head=self._head,
            durations=self._durations,
        )
        playlist = with_continued_numbers(listed, taken)
        reading = assess_playlist(
            playlist,
            taken,
            believable=believable_jump(
                playlist.segments,
                elapsed=time.monotonic() - self._new_at if self._new_at else 0.0,
                interval=self.interval or self._pace.shortest_interval,
            ),
        )
        self._note_listing(playlist)
        match reading.movement:
            case Movement.ADVANCED:
                await self._advance(playlist, reading.fresh)
            case Movement.RESTARTED:
                await self._restart(playlist, reading.fresh)
            case Movement.STALE:
                self._poller.forget()
                return
            case Movement.RESET | Movement.REGRESSED:
                self._poller.forget()
                if not await self._regressed(playlist, reading):
                    return
            case Movement.UNCHANGED:
                pass
        self._regression = None
        self._confirmed("", of=1)
        self.away = 0.0
        await self._follow_parts(playlist)
        if playlist.segments:
            self._head = max(self._head or 0, playlist.segments[0].sequence)
        if playlist.ended and self.end is None:
            self.end = StreamEnd(
                reason=EndReason.PLAYLIST_ENDED, message="The stream ended (EXT-X-ENDLIST)."
            )

    async def _regressed(self, playlist: MediaPlaylist, reading: PlaylistAssessment) -> bool:
        """Process a playlist that went back; return True if it is a new session.

        A cache that serves an old playlist does not advance, or a current one follows; a restarted
        encoder keeps listing new segments.
        """
        last = playlist.segments[-1].sequence
        if self._regression is None:
            self._regression = _Regression(began=time.monotonic(), last=last)
        else:
            self._regression.note(last)
        seen = self._regression
        reset = reading.movement is Movement.RESET and seen.readings >= _CONFIRMATIONS
        if reset or seen.advances >= reading.advances:
            await self._restart(playlist, playlist.segments)
            return True
        self.problem = PlaylistProblem(
            EndReason.PLAYLIST_REGRESSED,
            f"The playlist went back in time: it lists media sequence {last} after "
            f"{(self._next or 0) - 1}, and stands still there. Check for an origin or cache "
            "that serves an old playlist, then analyse the stream again.",
        )
        waited = time.monotonic() - seen.began >= _PATIENCE * playlist.target_duration
        if seen.readings >= _CONFIRMATIONS and waited:
            self.end = StreamEnd(reason=self.problem.reason, message=self.problem.message)
        return False

    async def _restart(self, playlist: MediaPlaylist, fresh: tuple[ListedSegment, ...]) -> None:
        _log.info("stream_restarted", was=self._next, now=fresh[0].sequence)
        if self.away > 0 and self._next is not None:
            await self._note_absence(self._next, fresh[0])
        self._next = fresh[0].sequence
        self._restarted = True
        self._stored = {}
        self._memory = self._memory.restarted()
        self._parts.drop()
        self._head = None
        await self._advance(playlist, fresh)

    async def _note_absence(self, first: int, upcoming: ListedSegment) -> None:
        """Record the gap of a stream that restarted while its playlist was not read."""
        duration = lost_duration(
            listed=(),
            unlisted=1,
            typical=min(self.away, LONGEST_BELIEVED_LOSS),
            last_end=self._last_end,
            next_start=upcoming.program_date_time,
        )
        await self._events.put(unread_gap(first, duration=duration, typical=upcoming.duration))

    async def _advance(self, playlist: MediaPlaylist, segments: tuple[ListedSegment, ...]) -> None:
        now = datetime.now(UTC)
        if self._next is None:
            self._next = self._first(playlist)
        fresh = [segment for segment in segments if segment.sequence >= self._next]
        if not fresh:
            return
        self._new_at = time.monotonic()
        self._pace.note_new(len(fresh), now=self._new_at)
        self._choose_again_after = _FIRST_CHOICE_INTERVAL
        await self._roll_off(fresh[0], typical=fresh[0].duration, now=now)
        for segment in fresh:
            await self._take(segment, now)

    def _first(self, playlist: MediaPlaylist) -> int:
        """Return the number of the first segment to ingest, within the allowed backlog."""
        backlog = 0.0
        first = playlist.segments[-1].sequence
        for segment in reversed(playlist.segments):
            backlog += segment.duration
            if backlog > self._limits.max_backlog and not playlist.ended:
                break
            first = segment.sequence
        return first

    async def _roll_off(self, upcoming: ListedSegment, *, typical: float, now: datetime) -> None:
        """Record the segments between the last ingested one and the first listed one."""
        while self._next is not None and self._next < upcoming.sequence:
            stored = self._stored.get(self._next)
            if stored is not None:
                await self._take(stored.listed, stored.ref.published_at)
                continue
            first, last = self._next, upcoming.sequence - 1
            last = min([last, *(each - 1 for each in self._stored if first < each <= last)])
            known = [each for n, each in self._durations.items() if first <= n <= last]
            duration = lost_duration(
                listed=known,
                unlisted=last - first + 1 - len(known),
                typical=typical,
                last_end=self._last_end,
                next_start=upcoming.program_date_time if last + 1 == upcoming.sequence else None,
            )
            _log.warning("segments_rolled_off", first=first, last=last, duration=duration)
            await self._events.put(
                SegmentGap(
                    first_sequence=first,
                    last_sequence=last,
                    duration=duration,
                    reason=GapReason.ROLLED_OFF,
                    detail="left the playlist before it could be fetched",
                    published_at=now,
                )
            )
            self._next = last + 1

    async def _follow_parts(self, playlist: MediaPlaylist) -> None:
        """Download the parts of the segment that comes next, if there is a free slot."""
        if self._next is not None and self._next not in self._stored and not self._ahead.locked():
            await self._parts.follow(playlist, self._next)

    async def _take(self, segment: ListedSegment, now: datetime) -> None:
        """Queue a segment, and download it as soon as there is a free slot."""
        parts = self._parts.claim(segment, self._playlist)
        self._next = segment.sequence + 1
        if segment.program_date_time is not None:
            self._last_date_time, self._last_end = segment.program_date_time, segment.ends_at
        self._memory = self._memory.with_segment(segment)
        if segment.declared_gap or segment.problem:
            declared = "the playlist declares it missing (EXT-X-GAP)"
            await self._events.put(
                SegmentGap(
                    first_sequence=segment.sequence,
                    last_sequence=segment.sequence,
                    duration=segment.duration,
                    reason=GapReason.DECLARED if segment.declared_gap else GapReason.UNREACHABLE,
                    detail=declared if segment.declared_gap else segment.problem,
                    published_at=now,
                    listed=segment,
                )
            )
            return
        if segment.discontinuity or self._restarted:
            self._encoding += 1
        fetch = self._fetch(segment, self._encoding, parts)
        outcome = asyncio.create_task(fetch, name="fetch-segment")
        self._fetches.add(outcome)
        outcome.add_done_callback(self._fetches.discard)
        restarted, self._restarted = self._restarted, False
        await self._events.put(
            SegmentReady(listed=segment, published_at=now, restarted=restarted, outcome=outcome)
        )

    async def _fetch(
        self, segment: ListedSegment, encoding: int, parts: PartCollector | None
    ) -> DownloadedSegment | MissingSegment:
        try:
            return await self._fetch_media(segment, encoding, parts)
        finally:
            if parts is not None:
                await self._parts.discard(parts)

    async def _fetch_media(
        self, segment: ListedSegment, encoding: int, parts: PartCollector | None
    ) -> DownloadedSegment | MissingSegment:
        await self._ahead.acquire()
        stored = self._stored.get(segment.sequence)
        if stored is not None and stored.is_of(segment):
            return DownloadedSegment(segment, stored.media, None)
        refusals: list[StoreError] = []
        try:
            fetched = await self.store.run(
                lambda: self._fetcher.fetch(
                    segment,
                    limits=self._limits,
                    still_listed=lambda: self._is_listed(segment.sequence),
                    timing=self._timing(segment),
                    encoding=encoding,
                    parts=parts,
                ),
                still_wanted=lambda: self._is_listed(segment.sequence),
                on_refusal=refusals.append,
                is_written=lambda fetched: isinstance(fetched, DownloadedSegment),
            )
        except StoreError as error:
            return MissingSegment(segment, GapReason.NOT_STORED, str(error))
        if refusals and isinstance(fetched, MissingSegment) and fetched.reason in _REFUSED:
            # The origin had it before: it left the playlist while the store refused it.
            return MissingSegment(segment, GapReason.NOT_STORED, str(refusals[-1]))
        self._note_source(fetched)
        self._note_encryption(fetched)
        if isinstance(fetched, DownloadedSegment) and self._audio is not None:
            return await self._audio.complete(fetched)
        return fetched

    def _note_encryption(self, outcome: DownloadedSegment | MissingSegment) -> None:
        """End a stream if none of its segments can be decrypted; single segments are gaps."""
        if isinstance(outcome, DownloadedSegment):
            self._fetched_any = True
            self._undecryptable = 0
        elif outcome.encrypted:
            self._undecryptable += 1
            if self._undecryptable >= _UNDECRYPTABLE and not self._fetched_any and not self.end:
                self.end = encrypted_end(outcome.detail)

    def _timing(self, segment: ListedSegment) -> SegmentTiming:
        listed = self._playlist.segments if self._playlist else (segment,)
        return segment_timing(
            segment.duration,
            target_duration=self._playlist.target_duration if self._playlist else segment.duration,
            window=sum(each.duration for each in listed),
            request_timeout=self._limits.request_timeout,
        )

    def _note_source(self, fetched: DownloadedSegment | MissingSegment) -> None:
        """Record whether the origin serves the segments that it lists."""
        self.segment_problem = ""
        is_refused = isinstance(fetched, MissingSegment) and fetched.reason in _REFUSED
        if isinstance(fetched, MissingSegment) and is_refused and not fetched.encrypted:
            self.segment_problem = f"The stream's segments cannot be fetched: {fetched.detail}."

    def _is_listed(self, sequence: int) -> bool:
        """Return True if a segment is listed or was until recently, since caches keep it."""
        playlist = self._playlist
        if playlist and any(each.sequence == sequence for each in playlist.segments):
            return True
        unlisted = self._unlisted_since.get(sequence)
        grace = min(_LONGEST_GRACE, 2 * playlist.target_duration if playlist else 0.0)
        return unlisted is not None and time.monotonic() - unlisted < grace

    def _note_listing(self, playlist: MediaPlaylist) -> None:
        now = time.monotonic()
        if self._audio is not None:
            self._audio.note_reports(playlist.reports)
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

    def _fail(self, error: Exception) -> None:
        """Record a failed request; end the stream if waiting cannot help."""
        self._poller.forget()
        self.problem = playlist_problem(error)
        if self._failures == 0:
            self._failing_since = time.monotonic()
        self._failures += 1
        self._last_error = error
        self._retry_after = (
            (error.retry_after or 0.0) if isinstance(error, UnreachableError) else 0.0
        )
        waited = self._confirmed(self.problem.reason, of=_EARLY_CONFIRMATIONS)
        final = {EndReason.URL_FORBIDDEN, EndReason.NOT_A_PLAYLIST, EndReason.PLAYLIST_TOO_LARGE}
        if waited and self._next is None and self.problem.reason in final:
            self.end = StreamEnd(reason=self.problem.reason, message=self.problem.message)

    def _confirmed(self, verdict: str, *, of: int) -> bool:
        """Count consecutive reloads with the same result; return True if there are enough."""
        last, times = self._verdict
        self._verdict = (verdict, times + 1 if last == verdict else 1)
        return self._verdict[1] >= of


def _monotonic(moment: datetime | None) -> float | None:
    """Return a moment of another process on this one's clock, which does not jump."""
    if moment is None:
        return None
    return time.monotonic() - max(0.0, (datetime.now(UTC) - moment).total_seconds())


def _absence(cursor: IngestCursor) -> float:
    """Return the seconds in which no worker read the playlist; 0 for a handover."""
    if cursor.looked_at is None:
        return 0.0
    away = (datetime.now(UTC) - cursor.looked_at).total_seconds()
    return away if away > ABSENCE else 0.0
