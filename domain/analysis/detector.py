"""Detection of moments in a stream: a fold over its frames, in order.

`advance` takes the state after the previous frames and the next frames; how frames are split into
calls makes no difference. A moment opens when the excitement rises well above the baseline. It is
settled when the excitement has fallen again, or a few seconds after its peak if the evidence is
clear by then, because a live clip cannot wait for the end of a celebration. After it, a cooldown
lasts until the excitement is gone, so that the aftermath is not a second moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import pstdev
from typing import Final
from uuid import UUID

from pydantic import ConfigDict, Field

from domain.analysis.baseline import (
    FRAME_HISTORY,
    Baselines,
    NormalizedFrame,
    SpreadBounds,
    last_frames,
    normalize,
)
from domain.analysis.scoring import Cues, evidence, excitement, score, screen_weight, tags
from domain.analysis.screen import (
    MatchState,
    ScreenFact,
    ScreenMemory,
    ScreenReading,
    ScreenState,
    attached_state,
    follow_screen,
)
from domain.analysis.signals import SignalFrame
from domain.highlights.candidate import HighlightCandidate, Mark
from domain.highlights.commentary import attach_commentary, recent_lines
from domain.highlights.markers import mark_of, marks_on_timeline
from domain.ids import highlight_id
from domain.media.segments import Line, TimedMetadata
from domain.media.timestamps import ClockAnchor
from domain.model import Model
from domain.profiles.model import Hud

_RECORD_NEEDS: Final = 60


_NEAR_TOP: Final = 0.8


_BUILT_UP: Final = 0.25


_FALLEN: Final = 0.45


_LEAD: Final = (2.5, 6.0)


_TAIL: Final = (3.5, 6.5)


_LEAD_BEFORE_RISE: Final = 1.5


_LASTS_ON: Final = 2.0


_KNOWN_AFTER: Final = 30


_NEARLY: Final = 0.75


_FRAMES_A_SECOND: Final = 4


_ONSET_SPREAD: Final = SpreadBounds(least=0.5, most=3.0, prior=1.0)


_SHARP_ONSET: Final = 9.0


_STILL_LOUD: Final = 0.6


_SAFE_REACH: Final = 4.0


_PAUSE: Final = 8.0


_SAFE_POINTS: Final = 4


_PICTURE_REACH: Final = 2.0


class Moment(Model):
    """A moment of a stream, and the measurements around it.

    Attributes:
        start: seconds of media time, as `peak` and `end` are.
        safe_starts: points near the start where a cut is not noticed, nearest first.
        safe_ends: the same near the end.
        cues: the measurements.
        picture: perceptual hash of the keyframe nearest to the peak; None if none is near.
        state: state of the match, as read on the screen; None if it is not known.
    """

    start: float
    peak: float
    end: float
    safe_starts: tuple[float, ...] = ()
    safe_ends: tuple[float, ...] = ()
    cues: Cues
    picture: str | None = None
    state: MatchState | None = None

    def with_mark(self, mark: Mark | None) -> Moment:
        """Return the moment with a tenant's mark, or without any."""
        return Moment(
            start=self.start,
            peak=self.peak,
            end=self.end,
            safe_starts=self.safe_starts,
            safe_ends=self.safe_ends,
            cues=self.cues.with_mark(mark),
            picture=self.picture,
            state=self.state,
        )

    def with_facts(self, facts: Sequence[ScreenFact], state: MatchState | None) -> Moment:
        """Return the moment with facts from the screen, which its clip then shows.

        Args:
            facts: the facts, in order of time; those that it has already are kept.
            state: state of the match, if no fact knows it.
        """
        known = (*self.cues.screen, *(each for each in facts if each not in self.cues.screen))
        last = max((each.at for each in known), default=self.peak)
        end = max(self.end, min(last + _SHOWN_FOR, self.peak + _FACT_AFTER + _SHOWN_FOR))
        return Moment(
            start=self.start,
            peak=self.peak,
            end=round(end, 3),
            safe_starts=self.safe_starts,
            safe_ends=self.safe_ends if end == self.end else (),
            cues=self.cues.with_screen(known),
            picture=self.picture,
            state=attached_state(known) or state,
        )


def find_peak(frames: Sequence[NormalizedFrame], since: float) -> NormalizedFrame:
    """Return the first frame near the highest excitement: a plateau peaks where it begins."""
    inside = [each for each in frames if each.at >= since] or [frames[-1]]
    top = max(each.level for each in inside)
    return next(each for each in inside if each.level >= _NEAR_TOP * top)


def measure_moment(
    frames: Sequence[NormalizedFrame],
    baselines: Baselines,
    *,
    since: float,
    peak: NormalizedFrame,
    fallen: bool,
) -> Moment:
    """Measure a moment.

    Args:
        frames: the recent frames, oldest first.
        baselines: the stream's baselines.
        since: media time (s) at which the moment opened.
        peak: its peak.
        fallen: True if the excitement has fallen again, so that the end is known.
    """
    at = peak.at
    start, end = _bounds(frames, peak, fallen=fallen)
    return Moment(
        start=start,
        peak=round(at, 3),
        end=end,
        safe_starts=_safe(frames, start),
        safe_ends=_safe(frames, end),
        cues=_cues(frames, baselines, since=since, peak=peak),
        picture=_picture(frames, at),
    )


def to_candidate(
    moment: Moment,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
    settled_at: float,
    clock: ClockAnchor | None,
) -> HighlightCandidate:
    """Return the candidate for a moment, with scores and evidence."""
    return HighlightCandidate(
        id=highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=moment.peak),
        start=moment.start,
        peak=moment.peak,
        end=moment.end,
        settled_at=round(settled_at, 3),
        score=score(moment.cues),
        analyzer=analyzer,
        tags=tags(moment.cues),
        evidence=evidence(moment.cues),
        safe_starts=moment.safe_starts,
        safe_ends=moment.safe_ends,
        peak_wall_clock=clock.wall_clock(moment.peak) if clock else None,
        thumbnail_hash=moment.picture,
        mark=moment.cues.mark,
        unmarked=score(moment.with_mark(None).cues) if moment.cues.mark else None,
        state=moment.state,
    )


def _within(frames: Sequence[NormalizedFrame], first: float, last: float) -> list[NormalizedFrame]:
    return [each for each in frames if first <= each.at <= last]


def _bounds(
    frames: Sequence[NormalizedFrame], peak: NormalizedFrame, *, fallen: bool
) -> tuple[float, float]:
    start = peak.at
    for each in reversed(_within(frames, peak.at - _LEAD[1], peak.at)):
        if each.level < _BUILT_UP * peak.level:
            break
        start = each.at
    start = min(peak.at - _LEAD[0], max(peak.at - _LEAD[1], start - _LEAD_BEFORE_RISE))
    end = frames[-1].at + (0.0 if fallen else _LASTS_ON)
    if fallen:
        loud = [e.at for e in frames if e.at >= peak.at and e.level >= _FALLEN * peak.level]
        end = max(loud, default=peak.at)
    end = min(peak.at + _TAIL[1], max(peak.at + _TAIL[0], end))
    return max(0.0, round(start, 3)), round(end, 3)


def _cues(
    frames: Sequence[NormalizedFrame], baselines: Baselines, *, since: float, peak: NormalizedFrame
) -> Cues:
    at = peak.at
    around = _within(frames, at - 4.0, at + 5.0)
    crowds = [each.crowd for each in around if each.crowd is not None]
    roaring = sorted(
        (each for each in around if each.crowd_level is not None),
        key=lambda each: -(each.crowd_level or 0.0),
    )[: max(1, len(around) // 4)]
    crowd_levels = [each.crowd_level for each in around if each.crowd_level is not None]
    onset = min(since, at - 2.0)
    covered = sum(each.duration for each in around)
    span = max(1.0, frames[-1].at - (at - 4.0))
    return Cues(
        crowd=max(crowds, default=None),
        crowd_sigmas=max(
            (e.crowd_sigmas for e in around if e.crowd_sigmas is not None), default=None
        ),
        voice=max((e.voice for e in around if e.voice is not None), default=None),
        motion=max((e.moving for e in around if e.moving is not None), default=None),
        cuts=sum(each.cut for each in _within(frames, at - 2.5, at + 6.0)),
        cuts_before=sum(each.cut for each in _within(frames, onset - 10.0, onset - 0.5)),
        tonality=sum(each.tonality for each in roaring) / len(roaring) if roaring else 0.0,
        decay=_decay(frames, at),
        dynamics=_dynamics(frames, at),
        held=_held(frames, at),
        attack=_attack(frames, baselines, at),
        known=min(
            1.0,
            max(len(baselines.crowd_level.samples), len(baselines.motion.samples)) / _KNOWN_AFTER,
        ),
        quiet_before=max(
            (-e.crowd for e in _within(frames, at - 5.0, at - 0.5) if e.crowd is not None),
            default=0.0,
        ),
        record=bool(crowd_levels)
        and len(baselines.crowd_level.samples) >= _RECORD_NEEDS
        and max(crowd_levels) > max(baselines.crowd_level.samples) + 1.0,
        damaged=min(1.0, max(0.0, 1.0 - covered / min(9.0, span))),
    )


def _picture(frames: Sequence[NormalizedFrame], peak: float) -> str | None:
    """Return the hash of the keyframe nearest to the peak; None if none is near."""
    near = _within(frames, peak - _PICTURE_REACH, peak + _PICTURE_REACH)
    seen = [each for each in near if each.picture is not None]
    return min(seen, key=lambda each: abs(each.at - peak)).picture if seen else None


def _decay(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the share of the crowd's rise that is gone since the peak, 0 to 1."""
    after = [e.crowd for e in frames if e.at >= peak - 1.0 and e.crowd is not None]
    if not after or max(after) <= 0:
        return 1.0
    latest = after[-3:]
    return min(1.0, max(0.0, 1.0 - sum(latest) / len(latest) / max(after)))


def _held(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the seconds in which the crowd was near its loudest."""
    around = [e for e in frames if e.at >= peak - 4.0 and e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    return sum(e.duration for e in around if top > 0 and (e.crowd or 0.0) >= _NEARLY * top)


def _dynamics(frames: Sequence[NormalizedFrame], peak: float) -> float:
    """Return the standard deviation (dB) of the loudness while the crowd was loud."""
    around = [e for e in _within(frames, peak + 0.25, peak + 4.5) if e.crowd is not None]
    top = max((each.crowd or 0.0 for each in around), default=0.0)
    levels = [
        each.loudness
        for each in around
        if each.loudness is not None and (each.crowd or 0.0) >= _STILL_LOUD * top
    ]
    return pstdev(levels) if levels else 0.0


def _attack(frames: Sequence[NormalizedFrame], baselines: Baselines, peak: float) -> float:
    """Return how sudden the beginning was, 0 to 1, by the steepest second or by an onset."""
    around = [e for e in _within(frames, peak - 4.0, peak + 3.0) if e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    if top <= 0:
        return 0.0
    steepest = max(
        (later.crowd or 0.0) - (each.crowd or 0.0)
        for index, each in enumerate(around)
        for later in around[index : index + _FRAMES_A_SECOND + 1]
    )
    typical = baselines.onset.typical(_ONSET_SPREAD)
    onset = max(e.onset or 0.0 for e in _within(around, peak - 1.5, peak + 1.0))
    sudden = (onset - typical.level) / _SHARP_ONSET if typical else 0.0
    return min(1.0, max(steepest / top, sudden))


def _safe(frames: Sequence[NormalizedFrame], bound: float) -> tuple[float, ...]:
    """Return the scene cuts and pauses near a bound, nearest first."""
    near = _within(frames, bound - _SAFE_REACH, bound + _SAFE_REACH)
    levels = sorted(each.loudness for each in near if each.loudness is not None)
    quiet = levels[len(levels) // 2] - _PAUSE if levels else None
    points = [
        round(each.at - each.duration / 2, 3)
        for each in near
        if each.cut or (quiet is not None and each.loudness is not None and each.loudness < quiet)
    ]
    return tuple(sorted(points, key=lambda point: (abs(point - bound), point))[:_SAFE_POINTS])


class Cooldown(Model):
    """The time after a settled moment in which its remaining excitement opens no new moment.

    Attributes:
        since: when the moment was settled (s of media time).
        peak: peak of the moment (s of media time).
        level: excitement at the peak.
        floor: lowest excitement since.
        crowd_level: highest crowd level of the moment (dB); None without audio.
        clear: True if the evidence was clear enough to settle the moment early.
        moment: the published moment, which a late mark is added to if it was clear, and a late
            fact from the screen in any case; None if nothing was published.
        over: True if a new moment may open.
    """

    # Aliases are the field names in stored analyzer states.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    since: float
    peak: float
    level: float
    floor: float = Field(alias="lowest")
    crowd_level: float | None = Field(alias="roar")
    clear: bool = Field(alias="told")
    moment: Moment | None = None
    over: bool = False

    def with_floor(self, floor: float) -> Cooldown:
        """Return the cooldown with a new floor."""
        return self._changed(floor=floor, moment=self.moment, over=self.over)

    def with_moment(self, moment: Moment) -> Cooldown:
        """Return the cooldown with the moment as it was published last."""
        return self._changed(floor=self.floor, moment=moment, over=self.over)

    def ended(self) -> Cooldown:
        """Return the cooldown, over."""
        return self._changed(floor=self.floor, moment=self.moment, over=True)

    def _changed(self, *, floor: float, moment: Moment | None, over: bool) -> Cooldown:
        return Cooldown(
            since=self.since,
            peak=self.peak,
            level=self.level,
            floor=floor,
            crowd_level=self.crowd_level,
            clear=self.clear,
            moment=moment,
            over=over,
        )


ANALYZER: Final = "local-1"
"""Name and version of the analyzer; a new version starts with an empty state."""


_OPEN_AT: Final = 2.2


_OPEN_FRAMES: Final = 2


_CALM: Final = 1.2


_FALLEN_FOR: Final = 0.75


_LEAST_AFTER_PEAK: Final = 2.5


_CLEAR_AFTER_PEAK: Final = 5.0


_LONGEST_AFTER_PEAK: Final = 11.0


_LONGEST: Final = 24.0


_CLEAR: Final = 1.1


_WORTH_PUBLISHING: Final = -0.9


_REST: Final = 20.0


_RISEN_AGAIN: Final = 0.4


_LOUDER_STILL: Final = 4.0


_HOLE: Final = 4.0


_MARK_BEFORE: Final = 8.0


_MARK_AFTER: Final = 5.0


# The screen follows what happened: seconds from a peak to the fact that belongs to it.
_FACT_BEFORE: Final = 3.0


_FACT_AFTER: Final = 12.0


_SHOWN_FOR: Final = 1.5


_FACT_SETTLES: Final = 3.0


# A fact that speaks for a moment as much as this (nats) makes one where no signal does.
_FACT_ENOUGH: Final = 2.5


_EVENT_BEFORE_FACT: Final = 2.0


_QUIET: Final = 1.0


class DetectorState(Model):
    """State of the detector for one stream, stored between windows. Immutable.

    Attributes:
        position: end of the last frame, seconds of media time.
        frames: the last `FRAME_HISTORY` seconds, oldest first.
        baselines: the baselines.
        open_since: when the current moment opened; None if there is none.
        cooldown: cooldown after the last moment; None before the first.
        marks: the tenant's marks not processed yet, by time.
        clock: latest known correspondence of media time and wall clock.
        commentary: the captions of the last minute.
        screen: scores, clock and lines on the screen.
        reader: memory of the reader of the screen.
        facts: facts from the screen that belong to no moment yet, by time.
    """

    # Aliases are the field names in stored analyzer states.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    position: float = 0.0
    frames: tuple[NormalizedFrame, ...] = Field(default=(), alias="readings")
    baselines: Baselines = Field(default=Baselines(), alias="usuals")
    open_since: float | None = None
    cooldown: Cooldown | None = Field(default=None, alias="rest")
    marks: tuple[TimedMetadata, ...] = ()
    clock: ClockAnchor | None = None
    commentary: tuple[Line, ...] = ()
    screen: ScreenState = ScreenState()
    reader: ScreenMemory = ScreenMemory()
    facts: tuple[ScreenFact, ...] = ()

    @property
    def watermark(self) -> float:
        """Seconds of media time before which no further candidate can peak.

        Facts from the screen are confirmed seconds later and may still add one, which is then late.
        """
        pending = [mark.at for mark in self.marks]
        pending += [fact.at - _EVENT_BEFORE_FACT for fact in self.facts]
        since = [] if self.open_since is None else [self.open_since]
        return max(0.0, round(min([*pending, *since, self.position]) - 1.0, 3))


def advance(
    state: DetectorState,
    frames: Iterable[SignalFrame],
    marks: Iterable[TimedMetadata] = (),
    *,
    tenant_id: UUID,
    stream_id: UUID,
    clock: ClockAnchor | None = None,
    commentary: Sequence[Line] = (),
    screen: Sequence[ScreenReading] = (),
    hud: Hud | None = None,
    reader: ScreenMemory | None = None,
    until: float = 0.0,
    last: bool = False,
) -> tuple[DetectorState, tuple[HighlightCandidate, ...]]:
    """Return the state after `frames`, and the candidates settled by them.

    Args:
        state: the state after the previous frames.
        frames: the next frames; those before the state's position (a repeated segment) are skipped.
        marks: timed metadata within the frames.
        tenant_id: owner of the stream.
        stream_id: the stream.
        clock: correspondence of media time and wall clock, if known.
        commentary: captions within the frames; each candidate gets those spoken during it.
        screen: text read on the screen within the frames.
        hud: what the screen means in this game.
        reader: memory of the screen's reader after the frames; None keeps the one before.
        until: media time (s) up to which the frames are complete, if media is missing at their end.
        last: True to settle an open moment, at the end of the stream.
    """
    detector = _Detector(state, marks, clock, tenant_id=tenant_id, stream_id=stream_id)
    readings = sorted(screen, key=lambda each: each.at)
    for frame in frames:
        due = [each for each in readings if each.at < frame.start + frame.duration]
        if due and hud is not None:
            detector.read(due, hud)
            readings = readings[len(due) :]
        detector.take(frame)
    if readings and hud is not None:
        detector.read(readings, hud)
    detector.reach(until)
    if last:
        detector.finish()
    lines = recent_lines(state.commentary, commentary, position=detector.position)
    return detector.state(lines, reader or state.reader), attach_commentary(
        detector.candidates, lines
    )


class _Detector:
    def __init__(
        self,
        state: DetectorState,
        marks: Iterable[TimedMetadata],
        clock: ClockAnchor | None,
        *,
        tenant_id: UUID,
        stream_id: UUID,
    ) -> None:
        self._tenant_id, self._stream_id = tenant_id, stream_id
        self._position = state.position
        self._frames = list(state.frames)
        self._baselines = state.baselines
        self._open_since = state.open_since
        self._cooldown = state.cooldown
        self._clock = clock or state.clock
        self._screen = state.screen
        self._facts = list(state.facts)
        self._marks = sorted((*state.marks, *marks_on_timeline(marks)), key=lambda m: (m.at, m.id))
        self.candidates: list[HighlightCandidate] = []

    @property
    def position(self) -> float:
        return self._position

    def state(self, commentary: tuple[Line, ...], reader: ScreenMemory) -> DetectorState:
        return DetectorState(
            position=round(self._position, 3),
            frames=tuple(self._frames),
            baselines=self._baselines,
            open_since=self._open_since,
            cooldown=self._cooldown,
            marks=tuple(self._marks),
            clock=self._clock,
            commentary=commentary,
            screen=self._screen,
            reader=reader,
            facts=tuple(self._facts),
        )

    def read(self, readings: Sequence[ScreenReading], hud: Hud) -> None:
        self._screen, facts = follow_screen(self._screen, readings, hud)
        self._facts = sorted((*self._facts, *facts), key=lambda each: each.at)

    def take(self, frame: SignalFrame) -> None:
        if frame.middle < self._position:
            return
        self._pass_hole(frame.start)
        self._learn(frame)
        normalized, self._baselines = normalize(frame, self._baselines, self._frames)
        self._frames.append(normalized)
        while self._frames[0].at < normalized.at - FRAME_HISTORY:
            self._frames.pop(0)
        self._position = frame.start + frame.duration
        self._detect(normalized)
        self._deal_with_marks()
        self._deal_with_facts()

    def reach(self, position: float) -> None:
        if position > self._position:
            self._pass_hole(position)
            self._position = position
            self._deal_with_marks()
            self._deal_with_facts()

    def _pass_hole(self, end: float) -> None:
        if self._frames and end > self._frames[-1].at + _HOLE:
            self._settle_open(must=True)

    def finish(self) -> None:
        self._settle_open(must=True)
        self._deal_with_marks(all_of_them=True)
        self._deal_with_facts(all_of_them=True)

    def _learn(self, frame: SignalFrame) -> None:
        """Once per second, add the last second to the baselines."""
        if self._frames and int(self._frames[-1].at) != int(frame.middle):
            second = int(self._frames[-1].at)
            self._baselines = self._baselines.learn(
                [each for each in self._frames[-8:] if int(each.at) == second]
            )

    def _detect(self, frame: NormalizedFrame) -> None:
        if self._open_since is not None:
            self._settle_open(must=False)
        elif not self._in_cooldown(frame) and self._risen():
            self._open_since = self._frames[-_OPEN_FRAMES].at

    def _risen(self) -> bool:
        latest = self._frames[-_OPEN_FRAMES:]
        return len(latest) == _OPEN_FRAMES and all(each.level >= _OPEN_AT for each in latest)

    def _in_cooldown(self, frame: NormalizedFrame) -> bool:
        cooldown = self._cooldown
        if cooldown is None or cooldown.over:
            return False
        latest = [each.level for each in last_frames(self._frames, _FALLEN_FOR)]
        floor = min(cooldown.floor, max(latest))
        risen_again = frame.level > floor + max(_OPEN_AT, _RISEN_AGAIN * cooldown.level)
        louder = (
            cooldown.crowd_level is not None
            and frame.crowd_level is not None
            and frame.crowd_level > cooldown.crowd_level + _LOUDER_STILL
        )
        if floor < _CALM or risen_again or louder or frame.at > cooldown.since + _REST:
            self._cooldown = cooldown.ended()
            return False
        self._cooldown = cooldown.with_floor(floor)
        return True

    def _settle_open(self, *, must: bool) -> None:
        if self._open_since is None:
            return
        peak = find_peak(self._frames, self._open_since)
        now = self._position
        fallen = now >= peak.at + _LEAST_AFTER_PEAK and all(
            each.level < max(_CALM, _FALLEN * peak.level)
            for each in last_frames(self._frames, _FALLEN_FOR)
        )
        overdue = now >= min(peak.at + _LONGEST_AFTER_PEAK, self._open_since + _LONGEST)
        if not (must or fallen or overdue or now >= peak.at + _CLEAR_AFTER_PEAK):
            return
        moment = measure_moment(
            self._frames, self._baselines, since=self._open_since, peak=peak, fallen=fallen
        )
        mark = self._mark_near(moment.peak)
        facts = self._facts_near(moment.peak)
        moment = moment.with_mark(mark_of(mark) if mark else None).with_facts(
            facts, self._screen.match_at(moment.peak)
        )
        weight = excitement(moment.cues)
        if not (must or fallen or overdue or weight >= _CLEAR):
            return
        self._facts = [each for each in self._facts if each not in facts]
        if weight >= _WORTH_PUBLISHING:
            self._publish(moment)
            if mark is not None:
                self._marks.remove(mark)
        self._open_since = None
        crowd_levels = [
            r.crowd_level
            for r in self._frames
            if r.crowd_level is not None and r.at >= moment.start
        ]
        self._cooldown = Cooldown(
            since=now,
            peak=moment.peak,
            level=peak.level,
            floor=peak.level,
            crowd_level=max(crowd_levels, default=None),
            clear=weight >= _CLEAR,
            moment=moment if weight >= _WORTH_PUBLISHING else None,
        )

    def _mark_near(self, peak: float) -> TimedMetadata | None:
        for mark in self._marks:
            if mark.at - _MARK_BEFORE <= peak <= mark.at + _MARK_AFTER and mark.at < self._position:
                return mark
        return None

    def _deal_with_marks(self, *, all_of_them: bool = False) -> None:
        while self._marks and self._open_since is None:
            mark = self._marks[0]
            if not all_of_them and self._position < mark.at + _MARK_AFTER:
                return
            self._marks.pop(0)
            settled = self._settled_at(mark)
            if settled is not None:
                self._publish_again(settled, mark)
            elif any(abs(each.at - mark.at) <= _HOLE for each in self._frames):
                self._publish(self._moment_of(mark))

    def _settled_at(self, mark: TimedMetadata) -> Moment | None:
        """Return the published moment that a mark refers to; None if there is none."""
        moment = self._cooldown.moment if self._cooldown is not None else None
        if (
            moment is None
            or not (self._cooldown and self._cooldown.clear)
            or moment.peak < mark.at - _MARK_BEFORE
            or moment.start > mark.at + _MARK_AFTER
        ):
            return None
        return moment

    def _publish_again(self, moment: Moment, mark: TimedMetadata) -> None:
        """Publish a moment again with a late mark, under the same candidate id."""
        if moment.cues.mark is None and self._cooldown is not None:
            marked = moment.with_mark(mark_of(mark))
            self._cooldown = self._cooldown.with_moment(marked)
            self._publish(marked)

    def _moment_of(self, mark: TimedMetadata) -> Moment:
        nearest = min(self._frames, key=lambda each: abs(each.at - mark.at))
        moment = measure_moment(
            self._frames, self._baselines, since=nearest.at, peak=nearest, fallen=True
        )
        return moment.with_mark(mark_of(mark))

    def _facts_near(self, peak: float) -> list[ScreenFact]:
        return [
            each for each in self._facts if peak - _FACT_BEFORE <= each.at <= peak + _FACT_AFTER
        ]

    def _deal_with_facts(self, *, all_of_them: bool = False) -> None:
        """Add facts to the moment that they follow, or make one of a fact that is enough."""
        while self._facts and self._open_since is None:
            first = self._facts[0]
            if not all_of_them and self._position < first.at + _FACT_SETTLES:
                return
            moment = self._cooldown.moment if self._cooldown is not None else None
            if moment is not None:
                facts = self._facts_near(moment.peak)
                if first in facts:
                    self._facts = [each for each in self._facts if each not in facts]
                    self._publish_with_facts(moment, facts)
                    continue
            facts = [each for each in self._facts if each.at <= first.at + _FACT_SETTLES]
            self._facts = self._facts[len(facts) :]
            if screen_weight(facts) >= _FACT_ENOUGH and self._frames:
                self._publish(self._moment_of_facts(facts))

    def _publish_with_facts(self, moment: Moment, facts: Sequence[ScreenFact]) -> None:
        """Publish a moment again with what the screen said later, under the same candidate id."""
        richer = moment.with_facts(facts, moment.state)
        if richer.cues != moment.cues and self._cooldown is not None:
            self._cooldown = self._cooldown.with_moment(richer)
            self._publish(richer)

    def _moment_of_facts(self, facts: Sequence[ScreenFact]) -> Moment:
        """Return the moment that the screen reports: the highest excitement shortly before."""
        at = facts[0].at
        before = [e for e in self._frames if at - _FACT_AFTER / 2 <= e.at <= at] or self._frames
        peak = max(before, key=lambda each: each.level)
        if peak.level < _QUIET:
            wanted = at - _EVENT_BEFORE_FACT
            peak = min(self._frames, key=lambda each: abs(each.at - wanted))
        moment = measure_moment(
            self._frames, self._baselines, since=peak.at, peak=peak, fallen=True
        )
        return moment.with_facts(facts, None)

    def _publish(self, moment: Moment) -> None:
        self.candidates.append(
            to_candidate(
                moment,
                tenant_id=self._tenant_id,
                stream_id=self._stream_id,
                analyzer=ANALYZER,
                settled_at=self._position,
                clock=self._clock,
            )
        )
