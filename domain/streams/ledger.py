"""State of one StreamWorkflow.

Pure (no I/O, no clock), so it can be unit-tested and carried across continue-as-new.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.clips.models import ClipOutcome, ClipSpec, ClipStatus
from domain.clips.tracker import ClipTracker, wants_clip
from domain.feed.messages import FeedEventsStored, LinkFeedInput, LinkFeedResult
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.markers import count_invalid_marks
from domain.highlights.selection import (
    DecisionStatus,
    SelectHighlightsInput,
    SelectHighlightsResult,
    needs_selection,
)
from domain.ingest.messages import FetchWindowInput, FetchWindowResult
from domain.media.segments import Gap, SegmentRef, Window
from domain.media.timestamps import latest_anchor
from domain.streams.backfill.messages import BackfillInput, BackfillTiming
from domain.streams.messages import (
    LONG_PLAYLIST,
    ClipCorrection,
    FollowInput,
    FollowResult,
    MediaRelease,
    RecordingReady,
    StreamInput,
    StreamRecord,
    StreamState,
    StreamTimeline,
    WindowRecord,
)
from domain.streams.report import match_report
from domain.streams.status import (
    TERMINAL,
    EndReason,
    ProblemCode,
    StreamEnd,
    StreamProblem,
    StreamProgress,
    StreamStatus,
    conclude,
    may_become,
)

KEPT_GAPS = 500
"""Gaps kept for the timeline query; the database has all of them."""


def keep_from(
    *, analyzed: float, horizon: float, backlog: Iterable[Window], clip_starts: Iterable[float]
) -> float:
    """Return the media time (s) before which stored media may be deleted.

    Media is kept until analysis is `horizon` seconds past it, since a moment that is found later
    may begin that far back. It is kept longer while a window waits for analysis or a clip for
    rendering.
    """
    return max(
        0.0,
        min(
            [analyzed - horizon, *(window.start for window in backlog), *clip_starts],
        ),
    )


def segments_from(segments: Sequence[SegmentRef], start: float) -> list[SegmentRef]:
    """Return the segments that end after `start` (s)."""
    return [segment for segment in segments if segment.end > start]


def latest_gaps(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return the latest `KEPT_GAPS` gaps."""
    return tuple(gaps[-KEPT_GAPS:])


BATCH = 20
"""Maximum windows per analysis call, when analysis lags behind: two minutes of media."""


RECORDED_WINDOWS = 15
"""Analyzed windows after which the record is written although only counters changed: a minute of
media, so that usage is up to date and records stay small."""


RECORDED_SECONDS = 300.0
"""Seconds of analyzed media after which a stream followed by `follow_stream` is recorded although
only counters changed. The API shows a running stream's counters from its workflow."""


KEPT_DECISIONS = 200
"""Decisions kept for the timeline query and the report; the database has all of them."""


MOST_SEGMENTS = 2000
"""Maximum segments kept for clips: continue-as-new carries all of them."""


_INGEST: Final = (
    ProblemCode.STORE_FULL,
    ProblemCode.STORE_UNAVAILABLE,
    ProblemCode.SOURCE_UNAVAILABLE,
    ProblemCode.MEDIA_ENCRYPTED,
    ProblemCode.AUDIO_UNAVAILABLE,
    ProblemCode.INGEST_FAILING,
)
"""Problems reported by ingest, at most one at a time."""


_DECISION_SLACK: Final = 5.0
"""Seconds after which a decision that is due has come: a window, and its analysis."""


_BEHIND: Final = 60.0
"""Lag of analysis (s of media) that counts as a problem."""


_CAUGHT_UP: Final = 30.0


_FAILING_CLIPS: Final = 2
"""Consecutive failed clips that count as a problem."""


class StreamLedger:
    """Mutable state of one stream. Each method records one event or returns the next request."""

    def __init__(self, request: StreamInput) -> None:
        state = request.state
        self._request = request
        self._cursor = state.cursor
        self._progress = state.progress
        self._selection = state.selection
        self._decisions = {decision.highlight_id: decision for decision in state.decisions}
        self._segments = list(state.segments)
        self._backlog = deque(state.backlog)
        self._clips = ClipTracker(state.clips)
        self._gaps = list(state.gaps)
        self._new_gaps: list[Gap] = []
        self._new_windows = list(state.new_windows)
        self._recorded: StreamStatus | None = None
        self._recording = state.recording
        self._released = state.released
        self._analyzed_window = state.analyzed_window
        self._waiting_feed_events = state.waiting_feed_events
        self._fed = state.fed or state.waiting_feed_events > 0
        self._new_feed_events = 0
        self._withdrawn = dict.fromkeys(state.withdrawn)
        self._end = state.end
        self._problems = {problem.code: problem for problem in state.progress.problems}
        self._recorded_problems = frozenset(self._problems)
        self._tracks_problems = False
        self._follows = False
        self._listed = 0.0
        self._undecided: tuple[HighlightCandidate, ...] = ()
        self._failed_clips = _FAILING_CLIPS if ProblemCode.CLIPS_FAILING in self._problems else 0

    def track_problems(self) -> None:
        """Start to track problems; histories recorded by older versions replay without them."""
        self._tracks_problems = True

    def start_following(self) -> None:
        """Record less often, for a stream that is followed by `follow_stream`."""
        self._follows = True

    @property
    def progress(self) -> StreamProgress:
        """Progress of the stream, as tenants see it."""
        return self._progress

    @property
    def end(self) -> StreamEnd | None:
        """How the media ended; None while more may follow."""
        return self._end

    @property
    def worker(self) -> str | None:
        """The worker that has the latest media on its own disk; None if all read the same one."""
        return self._cursor.worker

    @property
    def rendering(self) -> tuple[UUID, ...]:
        """IDs of the clips being rendered."""
        return self._clips.rendering

    @property
    def has_backlog(self) -> bool:
        """True if windows are waiting for analysis."""
        return bool(self._backlog)

    def transition_to(self, status: StreamStatus) -> bool:
        """Change the status if the transition is allowed. Return True if it changed."""
        if not may_become(self._progress.status, status):
            return False
        self._progress = self._progress.replace(status=status)
        return True

    def fetch_request(self) -> FetchWindowInput:
        """Return the next request to ingest."""
        return FetchWindowInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            playlist_url=self._request.playlist_url,
            cursor=self._cursor,
            limits=self._request.limits,
            variant=self._request.variant,
            problem=next(
                (self._problems[code] for code in _INGEST if code in self._problems), None
            ),
        )

    def record_fetched(self, result: FetchWindowResult) -> None:
        """Record a fetched window, and the problem or end that ingest reports."""
        if result.window is not None:
            self._add_window(result.window)
        self._note_source(result, has_media=result.window is not None)

    def follow_request(self, *, analyze: bool) -> FollowInput:
        """Return the next request to follow the stream; without `analyze`, to fetch it only."""
        waiting = self.analysis_request()
        return FollowInput(
            fetch=self.fetch_request(),
            backlog=waiting.windows if analyze else (),
            behind=len(waiting.windows) < len(self._backlog),
            analyze=analyze,
            previous_window=waiting.previous_window,
            profile_id=waiting.profile_id,
            profile_version=waiting.profile_version,
            duration=self._follow_duration,
            analysis_timeout=self._request.timing.analysis_timeout,
            return_at=self.awaited_media,
            decide_at=self._selection.next_decision_at,
            after_window=self._progress.status is not StreamStatus.LIVE,
            fed=waiting.fed,
        )

    def record_followed(self, result: FollowResult) -> None:
        """Record what `follow_stream` fetched and analyzed."""
        for window in result.windows:
            self._add_window(window)
        for each in result.analyses:
            windows = tuple(self._backlog)[: each.count]
            request = self._analysis_input(windows, last=False)
            self._add_analysis(request, each.result, at=each.analyzed_at)
            self.queue_candidates(each.result)
        self._note_source(result, has_media=bool(result.windows))
        self._listed = result.listed or self._listed

    @property
    def _follow_duration(self) -> float:
        """Seconds to follow: about as long as set, and so that a call ends with the next decision.

        A call that must return for a decision anyway needs no other one shortly before it.
        """
        usual = self._request.timing.follow_duration
        decision = self._selection.next_decision_at
        if decision is None or decision <= self._progress.analyzed:
            return usual
        until = decision - self._progress.analyzed
        return until / max(1, round(until / usual)) + _DECISION_SLACK

    @property
    def heartbeat_timeout(self) -> float:
        """Seconds without a heartbeat after which the worker that follows is taken for dead.

        Longer if the playlist lists so much that nothing leaves it meanwhile.
        """
        timing = self._request.timing
        if self._listed >= LONG_PLAYLIST:
            return max(timing.heartbeat_timeout, timing.slow_heartbeat_timeout)
        return timing.heartbeat_timeout

    @property
    def awaited_media(self) -> float | None:
        """Media time (s) at which the next clip has all of its media; None if none waits."""
        return self._clips.awaited_media(after=self._progress.position)

    def record_media_end(self, end: StreamEnd) -> None:
        """Record how the media ended; only the first end counts."""
        if self._end is None:
            self._end = end
            self.transition_to(StreamStatus.ENDING)

    def analysis_request(self) -> AnalyzeWindowInput:
        """Return the next windows to analyze, oldest first; they stay in the backlog."""
        windows = tuple(self._backlog)[:BATCH]
        last = self._end is not None and len(windows) == len(self._backlog)
        return self._analysis_input(windows, last=last)

    def record_analyzed(
        self,
        request: AnalyzeWindowInput,
        result: AnalyzeWindowResult,
        *,
        at: datetime | None = None,
    ) -> None:
        """Record a result of the analyzer, returned at `at`."""
        self._add_analysis(request, result, at=at)
        self._note_lag()

    def record_analysis_failure(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Skip windows that cannot be analyzed, so that later ones can be.

        The analyzer continues from its state before these windows.
        """
        watermark = max((window.end for window in request.windows), default=self._progress.analyzed)
        result = AnalyzeWindowResult(
            watermark=watermark,
            undecodable_segments=sum(len(window.segments) for window in request.windows),
            analyzed_seconds=(0.0,) * len(request.windows),
        )
        self._leave_backlog(request.windows)
        self._record_windows(request, result, at=None)
        self._progress = self._progress.replace(analyzed=max(self._progress.analyzed, watermark))
        self._set_problem(
            ProblemCode.ANALYSIS_FAILING,
            "The latest seconds of the stream could not be analysed because of an internal error "
            "of ours; analysis goes on with what follows.",
        )
        return result

    def selection_is_due(self, result: AnalyzeWindowResult, *, ended: bool) -> bool:
        """Return True if selection could change anything; each call costs history events."""
        return needs_selection(
            self._selection,
            watermark=result.watermark,
            candidates=result.candidates,
            ended=ended,
        )

    def selection_request(
        self, result: AnalyzeWindowResult, *, ended: bool
    ) -> SelectHighlightsInput:
        """Return the request to selection."""
        return SelectHighlightsInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            profile_id=self._request.profile_id,
            profile_version=self._request.profile_version,
            state=self._selection,
            candidates=result.candidates,
            watermark=result.watermark,
            ended=ended,
            gaps=tuple(self._gaps),
            media_end=self._media_end if ended else None,
        )

    def queue_candidates(self, result: AnalyzeWindowResult) -> None:
        """Keep candidates until selection has decided on them."""
        self._undecided += result.candidates

    def next_selection(self, *, ended: bool) -> SelectHighlightsInput | None:
        """Return the request to selection; None if it could change nothing.

        Args:
            ended: all media is analyzed.
        """
        watermark = self._progress.analyzed
        queued = AnalyzeWindowResult(candidates=self._undecided, watermark=watermark)
        if not self.selection_is_due(queued, ended=ended):
            return None
        return self.selection_request(queued, ended=ended)

    @property
    def has_undecided(self) -> bool:
        """True if selection could decide on something now."""
        return needs_selection(
            self._selection, watermark=self._progress.analyzed, candidates=self._undecided
        )

    def record_selected(
        self, request: SelectHighlightsInput, result: SelectHighlightsResult
    ) -> tuple[ClipSpec, ...]:
        """Record decisions on queued candidates; returns what `record_decisions` returns."""
        self._undecided = self._undecided[len(request.candidates) :]
        self._new_feed_events += sum(
            each.mark is not None and each.mark.feed is not None for each in request.candidates
        )
        return self.record_decisions(result)

    def record_decisions(self, result: SelectHighlightsResult) -> tuple[ClipSpec, ...]:
        """Record decisions. Return the finished clips of retracted highlights, to be deleted."""
        self._selection = result.state
        discarded: list[ClipSpec] = []
        for decision in result.decisions:
            if decision.highlight_id in self._withdrawn:
                continue
            self._decisions[decision.highlight_id] = decision
            if wants_clip(decision) and self._clips.track(decision):
                self._progress = self._progress.replace(highlights=self._progress.highlights + 1)
            elif decision.status is DecisionStatus.RETRACTED:
                discarded += self._retract(decision.highlight_id)
        self._decisions = dict(list(self._decisions.items())[-KEPT_DECISIONS:])
        return tuple(discarded)

    def pop_ready_to_render(self) -> tuple[ClipSpec, ...]:
        """Return the clips whose media is complete, and mark them as rendering."""
        return self._clips.pop_ready_to_render(
            self._segments,
            media_end=self._progress.position,
            ended=self._end is not None,
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
        )

    @property
    def has_ready_to_render(self) -> bool:
        """True if `pop_ready_to_render` would do anything."""
        return self._clips.has_ready_to_render(
            media_end=self._progress.position, ended=self._end is not None
        )

    def record_clip_outcome(self, outcome: ClipOutcome) -> ClipSpec | None:
        """Record a finished clip.

        Returns its spec if the highlight was retracted during rendering, so that the caller can
        delete the file.
        """
        self._note_clip(outcome)
        before = self._clips.is_ready(outcome.highlight_id)
        unwanted = self._clips.record_outcome(outcome)
        if self._clips.is_ready(outcome.highlight_id) and not before:
            self._progress = self._progress.replace(clips=self._progress.clips + 1)
        return unwanted

    def correct_clip(self, request: ClipCorrection) -> bool:
        """Record corrected bounds of a highlight. Return True if a new clip will be rendered.

        Returns False if media of the new clip was already deleted: that clip would be worse than
        the existing one.
        """
        stored_from = self._segments[0].start if self._segments else self._progress.position
        if request.correction.start < stored_from:
            return False
        return self._clips.correct(request.highlight_id, request.correction)

    def note_feed_events(self, stored: FeedEventsStored) -> None:
        """Record that events of the feed were stored."""
        self._new_feed_events += stored.events
        self._fed = True

    @property
    def has_new_feed_events(self) -> bool:
        """True if events of the feed came since the last request to link them."""
        return self._new_feed_events > 0

    @property
    def has_feed_events(self) -> bool:
        """True if events of the feed are to be linked, new ones or those that wait."""
        return self._waiting_feed_events > 0 or self.has_new_feed_events

    def link_request(self, *, ended: bool) -> LinkFeedInput:
        """Return the request to link events; with `ended`, no highlight will follow."""
        self._waiting_feed_events += self._new_feed_events
        self._new_feed_events = 0
        return LinkFeedInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            anchor=latest_anchor(self._segments),
            media_end=self._progress.position,
            analyzed=self._progress.analyzed,
            ended=ended,
        )

    def record_linked(self, result: LinkFeedResult) -> tuple[ClipSpec, ...]:
        """Record what became of events. Return the clips of withdrawn highlights, to be deleted."""
        self._waiting_feed_events = result.waiting
        discarded: list[ClipSpec] = []
        for identity in result.retracted:
            decision = self._decisions.get(identity)
            if decision is not None:
                self._decisions[identity] = decision.withdrawn()
            self._withdrawn[identity] = None
            discarded += self._retract(identity)
        return tuple(discarded)

    def set_recording(self, recording: RecordingReady) -> None:
        """Record that the source offers a recording."""
        self._recording = recording

    @property
    def release_is_due(self) -> bool:
        """True if enough stored media can be deleted to be worth a call."""
        return self._release_point() - self._released >= self._request.timing.release_interval

    def due_release(self) -> MediaRelease | None:
        """Return which stored media to delete now; None if it is not worth a call."""
        if not self.release_is_due:
            return None
        after, self._released = self._released, self._release_point()
        self._segments = segments_from(self._segments, self._released)
        self._clips.forget_before(self._progress.analyzed)
        return self._release(before=self._released, after=after)

    def final_release(self) -> MediaRelease:
        """Return the request to delete all stored media of the stream."""
        return self._release(before=None)

    def backfill_request(self) -> BackfillInput | None:
        """Return the input of the backfill; None if nothing is missing or there is no recording."""
        missing = self._progress.missed > 0 or self._progress.segments == 0
        if self._recording is None or not missing:
            return None
        timing = self._request.timing.model_dump()
        return BackfillInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            name=self._request.name,
            recording=self._recording,
            limits=self._request.limits,
            variant=self._request.variant,
            timing=BackfillTiming.model_validate(timing),
        )

    def close(self) -> StreamEnd:
        """Record the final status, after which the stream cannot change, and return its end."""
        end = self._end or StreamEnd(reason=EndReason.INTERNAL, message="ended without a reason")
        return self._close(end)

    def cancel(self) -> StreamEnd:
        """Record that the stream was cancelled, and return that end."""
        return self._close(StreamEnd(reason=EndReason.CANCELLED, message="cancelled"))

    @property
    def record_is_due(self) -> bool:
        """True if the stored record differs from the state in more than a few counters."""
        media = sum(window.end - window.start for window in self._new_windows)
        counted = (
            media >= RECORDED_SECONDS
            if self._follows
            else len(self._new_windows) >= RECORDED_WINDOWS
        )
        return (
            bool(self._new_gaps)
            or counted
            or self._recorded is not self._progress.status
            or self._recorded_problems != self._problems.keys()
        )

    def record(self) -> StreamRecord:
        """Return the record to write: the progress, and the gaps and windows not yet written."""
        return StreamRecord(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            progress=self._progress,
            gaps=tuple(self._new_gaps),
            windows=tuple(self._new_windows),
            media_end=self._media_end,
        )

    @property
    def _media_end(self) -> float | None:
        """End of the last segment (s of media time), gaps after it excluded; None until the end."""
        if self._end is None or not self._segments:
            return None
        return self._segments[-1].end

    def mark_recorded(self, record: StreamRecord) -> None:
        """Record that `record` has been written."""
        self._new_gaps = self._new_gaps[len(record.gaps) :]
        self._new_windows = self._new_windows[len(record.windows) :]
        self._recorded = record.progress.status
        self._recorded_problems = frozenset(each.code for each in record.progress.problems)

    def timeline(self) -> StreamTimeline:
        """Return the stored range, the gaps and the decisions."""
        return StreamTimeline(
            start=self._segments[0].start if self._segments else self._progress.position,
            end=self._progress.position,
            gaps=tuple(self._gaps),
            decisions=tuple(self._decisions.values()),
            recording=self._recording,
        )

    def report(self) -> str:
        """Return the match report, in Markdown."""
        return match_report(
            name=self._request.name,
            game=self._request.game,
            progress=self._progress,
            gaps=self._gaps,
            decisions=tuple(self._decisions.values()),
        )

    def state(self) -> StreamState:
        """Return the complete state, to carry across continue-as-new."""
        return StreamState(
            cursor=self._cursor,
            progress=self._progress,
            selection=self._selection,
            decisions=tuple(self._decisions.values()),
            segments=tuple(self._segments),
            backlog=tuple(self._backlog),
            clips=self._clips.entries,
            gaps=tuple(self._gaps),
            recording=self._recording,
            new_windows=tuple(self._new_windows),
            released=self._released,
            analyzed_window=self._analyzed_window,
            waiting_feed_events=self._waiting_feed_events + self._new_feed_events,
            fed=self._fed,
            withdrawn=tuple(self._withdrawn)[-KEPT_DECISIONS:],
            end=self._end,
            runs=self._request.state.runs + 1,
        )

    def _analysis_input(self, windows: tuple[Window, ...], *, last: bool) -> AnalyzeWindowInput:
        return AnalyzeWindowInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            windows=windows,
            previous_window=self._analyzed_window,
            profile_id=self._request.profile_id,
            profile_version=self._request.profile_version,
            last=last,
            fed=self._fed,
        )

    def _add_analysis(
        self, request: AnalyzeWindowInput, result: AnalyzeWindowResult, *, at: datetime | None
    ) -> None:
        self._leave_backlog(request.windows)
        if request.windows:
            self._analyzed_window = request.windows[-1].index
        self._record_windows(request, result, at=at)
        self._note_gaps(result.gaps)
        notice = result.status_message
        self._progress = self._progress.replace(
            analyzed=max(self._progress.analyzed, result.watermark),
            notice=self._progress.notice if notice is None else notice,
        )
        self._set_problem(ProblemCode.ANALYSIS_FAILING, None)

    def _note_source(self, result: FetchWindowResult | FollowResult, *, has_media: bool) -> None:
        """Record the cursor, and the problem or end that ingest reports."""
        self._cursor = result.cursor
        for code in _INGEST:
            self._set_problem(code, None)
        if result.problem is not None and result.end is None:
            self._set_problem(result.problem.code, result.problem.message)
        self._note_lag()
        if result.end is not None:
            self.record_media_end(result.end)
        elif result.stalled:
            self.transition_to(StreamStatus.STALLED)
        elif has_media:
            self.transition_to(StreamStatus.LIVE)

    def _add_window(self, window: Window) -> None:
        self._backlog.append(window)
        self._segments = [*self._segments, *window.segments][-MOST_SEGMENTS:]
        self._note_gaps(window.gaps)
        self._progress = self._progress.replace(
            position=max(self._progress.position, window.end),
            segments=self._progress.segments + len(window.segments),
            windows=self._progress.windows + 1,
            refused_marks=self._progress.refused_marks + count_invalid_marks(window),
            last_segment_at=(
                window.segments[-1].published_at
                if window.segments
                else self._progress.last_segment_at
            ),
        )

    def _note_gaps(self, gaps: tuple[Gap, ...]) -> None:
        """Record stretches without usable media."""
        if not gaps:
            return
        self._new_gaps += gaps
        together = sorted([*self._gaps, *gaps], key=lambda gap: gap.start)
        self._gaps = list(latest_gaps(together))
        self._progress = self._progress.replace(
            missed=self._progress.missed + sum(gap.segments for gap in gaps)
        )

    def _leave_backlog(self, windows: tuple[Window, ...]) -> None:
        for _ in windows:
            self._backlog.popleft()

    def _record_windows(
        self, request: AnalyzeWindowInput, result: AnalyzeWindowResult, *, at: datetime | None
    ) -> None:
        seconds: tuple[float | None, ...] = result.analyzed_seconds
        if len(seconds) != len(request.windows):
            seconds = (None,) * len(request.windows)
        self._new_windows += (
            _window_record(window, analyzer=result.analyzer or None, at=at, analyzed=analyzed)
            for window, analyzed in zip(request.windows, seconds, strict=True)
        )

    def _retract(self, highlight_id: UUID) -> list[ClipSpec]:
        retracted = self._clips.retract(highlight_id)
        if retracted is None:
            return []
        _, ready = retracted
        counted = 1 if ready else 0  # a highlight's corrected clips count as one
        self._progress = self._progress.replace(
            highlights=self._progress.highlights - 1, clips=self._progress.clips - counted
        )
        return list(ready)

    def _release_point(self) -> float:
        return keep_from(
            analyzed=self._progress.analyzed,
            horizon=self._request.timing.media_horizon,
            backlog=self._backlog,
            clip_starts=self._clips.needed_from,
        )

    def _close(self, end: StreamEnd) -> StreamEnd:
        if self._progress.status in TERMINAL:
            return self._progress.end or end
        self._problems.clear()
        self._show_problems()
        final = conclude(end, self._progress)
        self._progress = self._progress.replace(end=final, status=final.status)
        return final

    def _release(self, *, before: float | None, after: float = 0.0) -> MediaRelease:
        return MediaRelease(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            before=before,
            after=after,
        )

    def _note_lag(self) -> None:
        """Record whether analysis lags behind, with hysteresis."""
        lag = self._progress.position - self._progress.analyzed
        code = ProblemCode.ANALYSIS_BEHIND
        limit = _CAUGHT_UP if code in self._problems else _BEHIND
        message = f"Analysis is {lag:.0f} s behind the stream; highlights come later by that."
        self._set_problem(code, message if lag >= limit else None)

    def _note_clip(self, outcome: ClipOutcome) -> None:
        if outcome.status is ClipStatus.READY:
            self._failed_clips = 0
        elif outcome.status is ClipStatus.FAILED:
            self._failed_clips += 1
        failing = self._failed_clips >= _FAILING_CLIPS
        message = f"The latest {self._failed_clips} clips could not be made; each says why."
        self._set_problem(ProblemCode.CLIPS_FAILING, message if failing else None)

    def _set_problem(self, code: ProblemCode, message: str | None) -> None:
        if message is not None and self._tracks_problems:
            self._problems[code] = StreamProblem(code=code, message=message)
        else:
            self._problems.pop(code, None)
        self._show_problems()

    def _show_problems(self) -> None:
        shown = tuple(self._problems[code] for code in ProblemCode if code in self._problems)
        if shown != self._progress.problems:
            self._progress = self._progress.replace(problems=shown)


def _window_record(
    window: Window, *, analyzer: str | None, at: datetime | None, analyzed: float | None
) -> WindowRecord:
    return WindowRecord(
        index=window.index,
        start=window.start,
        end=window.end,
        segments=len(window.segments),
        size=window.size,
        analyzer=analyzer,
        analyzed_at=at,
        analyzed_seconds=analyzed,
    )
