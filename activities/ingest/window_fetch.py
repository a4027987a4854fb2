"""Fills one window from the events of a playlist follower."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Unpack

import structlog

from activities.ingest.fetcher import DownloadedSegment, MissingSegment
from activities.ingest.follower import PlaylistFollower
from activities.ingest.follower_events import SegmentGap, SegmentReady, encrypted_end, unread_gap
from domain.highlights.commentary import place_cues
from domain.ingest.messages import (
    CursorChanges,
    FetchWindowInput,
    FetchWindowResult,
    IngestProgress,
)
from domain.ingest.playlist import ListedSegment
from domain.ingest.window import WindowBuilder
from domain.media.segments import GapReason, SegmentRef
from domain.media.timeline import LONGEST_BELIEVED_LOSS
from domain.streams.status import EndReason, ProblemCode, StreamEnd, StreamProblem
from domain.text import clean_text
from infra.storage.segment_index import StoredSegment
from infra.storage.segments import SegmentStore, StoreError
from infra.telemetry.metrics import (
    GAP_SECONDS,
    MEDIA_SECONDS,
    SECONDS_BEHIND_LIVE,
    seconds_since,
)

_log = structlog.get_logger(__name__)

_MOST_ENTRIES: Final = 64  # segments and gaps of a window, whatever they last
_LONGEST_DETAIL: Final = 300
_SHORTEST_WAIT: Final = 0.05
_USUAL_SEGMENT: Final = 2.0
_STORE_PATIENCE: Final = 30.0
_NOT_STORED: Final = (
    "Our media store took none of its segments, which is a fault of ours. Analyze its recording, "
    "or start a new analysis."
)
_CHECK_INTERVAL: Final = 0.5
"""Interval of checks for problems while no event arrives, in seconds."""


class WindowFetch:
    """One window being filled.

    Args:
        request: the activity's input.
        progress: where to start: at the request's cursor, or where an earlier attempt stopped.
        follower: follows the playlist from there.
        store: receives the segments.
        report_after: seconds that a problem must last before it is reported.
        until: media time (s) that ends the window early once it is stored.
    """

    def __init__(
        self,
        request: FetchWindowInput,
        *,
        progress: IngestProgress,
        follower: PlaylistFollower,
        store: SegmentStore,
        report_after: float = 0.0,
        until: float | None = None,
    ) -> None:
        self._request = request
        self._limits = request.limits
        self._follower = follower
        self._store = store
        self._builder = WindowBuilder(
            tenant_id=request.tenant_id, stream_id=request.stream_id, progress=progress
        )
        self._has_stored = False
        self._news: StreamProblem | None = None
        self._report_after = report_after
        self._fine_at = time.monotonic()
        self._called_at = time.monotonic()
        self._moved_at = self._called_at
        self._noted = follower.looked
        self._until = until
        self._interruption: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._at_once = False

    def interrupt(self, *, at_once: bool = False) -> None:
        """Make `fill` return the window so far.

        A gap at its end first waits for the segment after it, which gives the gap its real length;
        `at_once` does not wait.
        """
        self._at_once |= at_once
        if not self._interruption.done():
            self._interruption.set_result(None)

    @property
    def progress(self) -> IngestProgress:
        """The window so far, for heartbeats."""
        self._note_looked()
        return self._builder.progress

    @property
    def problem(self) -> StreamProblem | None:
        """The most severe current problem of the stream; None if there is none."""
        if self._follower.store.problem is not None:
            return self._follower.store.problem
        source = self._follower.problem
        message = self._follower.segment_problem if source is None else source.message
        if message:
            return StreamProblem(code=ProblemCode.SOURCE_UNAVAILABLE, message=message)
        return self._follower.encryption.shown or self._follower.audio.shown

    @property
    def reported(self) -> StreamProblem | None:
        """The problem that was reported before, if it lasts."""
        known, now = self._request.problem, self.problem
        return now if known is not None and now is not None and now.code is known.code else None

    def _has_news(self) -> bool:
        """Return True if an unreported problem has lasted, or a reported one is over."""
        known, now = self._request.problem, self.problem
        if now is None:
            self._fine_at = time.monotonic()
            return known is not None and self._has_stored
        if known is not None and now.code is known.code:
            self._fine_at = time.monotonic()
        elif time.monotonic() - self._fine_at >= self._report_after:
            self._news = now
        return self._news is not None

    async def fill(self) -> FetchWindowResult:
        """Process events until the window is full, the stream ends or it stalls."""
        while not (self._is_full() or self._has_news() or self._is_interrupted()):
            arrival = await self._follower.next(
                seconds=min(self._patience(), _CHECK_INTERVAL),
                interruption=None if self._builder.ends_in_gap else self._interruption,
            )
            if isinstance(arrival, SegmentReady):
                await self._take_segment(arrival)
            elif arrival is not None:
                self._take_gap(arrival)
            elif self._follower.end is not None:
                return self._finish(self._follower.end)
            else:
                if self._follower.looked > self._noted:  # a new cursor costs CPU
                    self._note_looked()
                end = self._given_up()
                if end is not None:
                    return self._finish(end)
                if self._stands_still():
                    return self.result(stalled=True)
            self._builder.take_metadata(self._follower.date_ranges)
            if (end := self._nothing_decodable()) is not None:
                return self._finish(end)
        return self.result()

    def result(
        self,
        *,
        stalled: bool = False,
        end: StreamEnd | None = None,
        problem: StreamProblem | None = None,
    ) -> FetchWindowResult:
        """Return the window so far."""
        self._note_looked()
        window, cursor = self._builder.build()
        if window is not None and window.dropped_metadata:
            _log.warning("timed_metadata_dropped", count=window.dropped_metadata)
        if window is not None and window.segments:
            nearest = window.segments[-1]
            lines = place_cues(
                self._follower.take_cues(), at=nearest.start, timestamp=nearest.first_timestamp
            )
            self._follower.index.note_captions(lines)
            window = window.model_copy(update={"commentary": lines})
        return FetchWindowResult(
            cursor=cursor,
            window=window,
            stalled=stalled,
            problem=problem or self._news or self.reported,
            end=end,
        )

    async def _take_segment(self, arrival: SegmentReady) -> None:
        while not arrival.outcome.done():
            if self._has_news() or self._is_interrupted():
                self._follower.put_back(arrival)
                return
            awaited = {
                arrival.outcome,
                *(() if self._interruption.done() else (self._interruption,)),
            }
            await asyncio.wait(
                awaited, timeout=_CHECK_INTERVAL, return_when=asyncio.FIRST_COMPLETED
            )
        outcome = await arrival.outcome
        try:
            self._note_playlist()
            self._note_encryption(outcome)
            if isinstance(outcome, DownloadedSegment):
                await self._keep(arrival, outcome)
            else:
                self._lose(arrival, outcome)
        finally:
            self._follower.release_slot()
        self._note_moved(arrival.listed, restarted=arrival.restarted)

    def _note_encryption(self, outcome: DownloadedSegment | MissingSegment) -> None:
        """Note whether segments can be decrypted, in the order of the segments."""
        if isinstance(outcome, DownloadedSegment):
            self._follower.encryption.succeeded()
        elif outcome.encrypted:
            self._follower.encryption.failed(outcome.detail)

    async def _keep(self, arrival: SegmentReady, fetched: DownloadedSegment) -> None:
        ref = self._builder.place(
            fetched.listed,
            fetched.media,
            published_at=arrival.published_at,
            restarted=arrival.restarted,
        )
        if fetched.file is not None:
            try:
                await self._write(ref, fetched, fetched.file)
            except StoreError as error:
                await asyncio.to_thread(fetched.file.unlink, missing_ok=True)
                self._lose(
                    arrival, MissingSegment(fetched.listed, GapReason.NOT_STORED, str(error))
                )
                return
            except BaseException:
                await asyncio.to_thread(fetched.file.unlink, missing_ok=True)
                raise
        self._has_stored = True
        self._builder.commit(ref, fetched.listed, fetched.media, restarted=arrival.restarted)
        SECONDS_BEHIND_LIVE.labels("stored").observe(seconds_since(arrival.published_at))
        MEDIA_SECONDS.inc(ref.duration)

    async def _write(self, ref: SegmentRef, fetched: DownloadedSegment, file: Path) -> None:
        """Store a segment and add it to the index.

        Raises:
            StoreError: the store refused the segment.
        """
        guard, until = self._follower.store, time.monotonic() + _STORE_PATIENCE
        await guard.run(
            lambda: self._store.adopt(ref.key, file),
            still_wanted=lambda: file.exists() and time.monotonic() < until,
        )
        record = StoredSegment(listed=fetched.listed, media=fetched.media, ref=ref)
        with contextlib.suppress(StoreError):  # a retry fetches the segment again
            await guard.run(
                lambda: self._follower.index.note(record, listed=self._follower.listed),
                still_wanted=lambda: time.monotonic() < until,
            )

    def _lose(self, arrival: SegmentReady, lost: MissingSegment) -> None:
        GAP_SECONDS.labels(lost.reason.value).inc(lost.listed.duration)
        self._builder.add_gap(
            first_sequence=lost.listed.sequence,
            last_sequence=lost.listed.sequence,
            duration=lost.listed.duration,
            reason=lost.reason,
            detail=clean_text(lost.detail, _LONGEST_DETAIL),
            published_at=arrival.published_at,
        )

    def _take_gap(self, arrival: SegmentGap) -> None:
        self._note_playlist()
        GAP_SECONDS.labels(arrival.reason.value).inc(arrival.duration)
        self._builder.add_gap(
            first_sequence=arrival.first_sequence,
            last_sequence=arrival.last_sequence,
            duration=arrival.duration,
            reason=arrival.reason,
            detail=clean_text(arrival.detail, _LONGEST_DETAIL),
            published_at=arrival.published_at,
        )
        self._note_moved(arrival.listed, restarted=False)

    def _is_full(self) -> bool:
        """Return True if the window is long enough, or has as many entries as allowed."""
        progress = self._builder.progress
        entries = len(progress.segments) + len(progress.gaps)
        is_full = self._builder.covers(self._limits.window_duration) or entries >= _MOST_ENTRIES
        return is_full or self._has_awaited_media()

    def _has_awaited_media(self) -> bool:
        if self._until is None or self._builder.empty or self._builder.ends_in_gap:
            return False
        return self._builder.cursor.position >= self._until

    def _is_interrupted(self) -> bool:
        return self._interruption.done() and (self._at_once or not self._builder.ends_in_gap)

    def _note_moved(self, listed: ListedSegment | None, *, restarted: bool) -> None:
        """Record an ingested segment and that the stream advances."""
        memory = self._builder.cursor.memory
        if restarted:
            memory = memory.restarted()
        if listed is not None:
            memory = memory.with_segment(listed)
        self._note_looked(memory=memory, idle=0.0)
        self._moved_at = time.monotonic()

    def _note_looked(self, **changes: Unpack[CursorChanges]) -> None:
        """Add the time in which the playlist was followed since the last call, and `changes`."""
        cursor = self._builder.cursor
        looked, self._noted = self._follower.looked - self._noted, self._follower.looked
        noted: CursorChanges = {
            "looked": cursor.looked + looked,
            "idle": cursor.idle + looked,
            "looked_at": datetime.now(UTC),
            **changes,
        }
        self._builder.update_cursor(**noted)

    def _note_playlist(self) -> None:
        self._builder.update_cursor(
            media_playlist_url=self._follower.media_url,
            variant=self._follower.variant,
            captions_url=self._follower.captions_url,
            audio_url=self._follower.audio_url,
            segment_interval=self._follower.interval,
            worker=self._follower.worker,
        )

    def _finish(self, end: StreamEnd) -> FetchWindowResult:
        if self._follower.away > 0 and self._builder.cursor.next_sequence is not None:
            # The playlist was gone when ingest resumed; its segments meanwhile are not known.
            self._take_gap(
                unread_gap(
                    self._builder.cursor.next_sequence,
                    duration=min(self._follower.away, LONGEST_BELIEVED_LOSS),
                    typical=_USUAL_SEGMENT,
                )
            )
        self._builder.take_metadata(self._follower.date_ranges, final=True)
        ended_without_media = {EndReason.PLAYLIST_ENDED, EndReason.STALLED}
        if end.reason in ended_without_media and self._builder.cursor.stored_segments == 0:
            end = self._without_media(end)
        _log.info("stream_ended", reason=end.reason, message=end.message)
        return self.result(end=end)

    def _without_media(self, end: StreamEnd) -> StreamEnd:
        """Return the end of a stream without media, with the cause."""
        if self._is_store_at_fault():
            return StreamEnd(reason=EndReason.INTERNAL, message=f"{end.message} {_NOT_STORED}")
        if self._builder.cursor.last_segment_at is None:
            return StreamEnd(
                reason=EndReason.NEVER_STARTED,
                message=f"{end.message} It never listed a segment.",
            )
        if self._follower.encryption.detail:
            return encrypted_end(self._follower.encryption.detail)
        return StreamEnd(
            reason=EndReason.NO_MEDIA,
            message=f"{end.message} None of its segments held media that we can decode"
            f"{self._last_loss()}.",
        )

    def _nothing_decodable(self) -> StreamEnd | None:
        """Return the end of a live stream whose segments hold no media; None otherwise."""
        cursor = self._builder.cursor
        listed = cursor.last_segment_at is not None
        if not listed or cursor.stored_segments > 0:
            return None
        if not self._builder.progress.gaps or self._is_store_at_fault():
            return None
        if cursor.looked < self._limits.start_timeout:
            return None
        if self._follower.encryption.detail:
            return encrypted_end(self._follower.encryption.detail)
        return StreamEnd(
            reason=EndReason.NO_MEDIA,
            message=f"None of the stream's segments held media that we can decode"
            f"{self._last_loss()}. Check the encoder's output, then analyse again.",
        )

    def _is_store_at_fault(self) -> bool:
        """Return True if the store refused the latest media."""
        gaps = self._builder.progress.gaps
        refused = bool(gaps) and gaps[-1].reason is GapReason.NOT_STORED
        return refused or self._follower.store.problem is not None

    def _last_loss(self) -> str:
        gaps = self._builder.progress.gaps
        if not gaps or gaps[-1].reason is GapReason.ROLLED_OFF:
            return ""
        return f" (the last: {gaps[-1].detail})"

    def _given_up(self) -> StreamEnd | None:
        """Return the end of a stream that stalled longer than allowed; None otherwise."""
        cursor = self._builder.cursor
        problem = self._follower.problem
        if cursor.last_segment_at is None:
            if cursor.idle < self._limits.start_timeout:
                return None
            waited = f"within {self._limits.start_timeout:g} s"
            if problem is not None:
                return StreamEnd(
                    reason=problem.reason, message=f"No segment {waited}. {problem.message}"
                )
            return StreamEnd(
                reason=EndReason.NEVER_STARTED,
                message=f"The playlist is there, but listed no segment {waited}. "
                "Start the encoder, then analyse again.",
            )
        if cursor.idle < self._limits.stall_timeout:
            return None
        waited = f"for {self._limits.stall_timeout:g} s"
        if problem is not None and problem.reason is not EndReason.NEVER_STARTED:
            return StreamEnd(
                reason=problem.reason, message=f"No new segment {waited}. {problem.message}"
            )
        detail = f" {problem.message}" if problem else ""
        return StreamEnd(
            reason=EndReason.STALLED, message=f"The stream stood still {waited}.{detail}"
        )

    def _stands_still(self) -> bool:
        """Return True if a live stream has not advanced for a while within this call."""
        if self._builder.cursor.last_segment_at is None:
            return False
        return time.monotonic() - self._moved_at >= self._limits.stall_notice

    def _patience(self) -> float:
        """Return the seconds until the next decision without an event."""
        cursor = self._builder.cursor
        if cursor.last_segment_at is None:
            left = self._limits.start_timeout - cursor.idle
        else:
            left = min(
                self._limits.stall_timeout - cursor.idle,
                self._limits.stall_notice - (time.monotonic() - self._moved_at),
            )
        return max(left, _SHORTEST_WAIT)
