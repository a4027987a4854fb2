"""A moment of a stream: where it begins, peaks and ends, and what was measured around it.

What follows a moment: until the excitement has gone, it is still that moment.

Moments found in a stream as it goes by: a fold over its frames, in order.

`advance` takes the state after the frames before, and the next frames; how the frames are split
into calls makes no difference. A moment opens when the fused excitement rises well above what is
usual, and is settled when it has fallen again, or a few seconds after its peak when the case is
clear by then, for a live clip cannot wait until a celebration is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import pstdev
from typing import Final
from uuid import UUID

from domain.analysis.baseline import REMEMBERED, Reading, Spread, Usuals, last_readings, read
from domain.analysis.scoring import Cues, evidence, excitement, score, tags
from domain.analysis.signals import SignalFrame
from domain.highlights.candidate import HighlightCandidate, Mark
from domain.highlights.commentary import attach_commentary, recent_lines
from domain.highlights.markers import mark_of, marks_on_timeline
from domain.ids import highlight_id
from domain.media.segments import Line, TimedMetadata
from domain.media.timestamps import ClockAnchor
from domain.model import Model

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


_ONSET_SPREAD: Final = Spread(least=0.5, most=3.0, prior=1.0)


_SHARP_ONSET: Final = 9.0


_STILL_LOUD: Final = 0.6


_SAFE_REACH: Final = 4.0


_PAUSE: Final = 8.0


_SAFE_POINTS: Final = 4


_PICTURE_REACH: Final = 2.0


class Moment(Model):
    """Bounds in seconds of media time, safe places for a cut near them, and the cues.

    `picture` is the perceptual hash of the keyframe nearest to the peak, if one is near.
    """

    start: float
    peak: float
    end: float
    safe_starts: tuple[float, ...] = ()
    safe_ends: tuple[float, ...] = ()
    cues: Cues
    picture: str | None = None

    def marked(self, mark: Mark | None) -> Moment:
        """Return the moment with the tenant's mark on it; None leaves it unmarked."""
        return self.model_copy(update={"cues": self.cues.model_copy(update={"mark": mark})})


def peak_of(readings: Sequence[Reading], since: float) -> Reading:
    """Return where the excitement first came near its top: a plateau peaks where it begins."""
    inside = [each for each in readings if each.at >= since] or [readings[-1]]
    top = max(each.level for each in inside)
    return next(each for each in inside if each.level >= _NEAR_TOP * top)


def measure(
    readings: Sequence[Reading], usuals: Usuals, *, since: float, peak: Reading, fallen: bool
) -> Moment:
    """Measure the moment that began to show at `since` and peaks at `peak`.

    `fallen` says that the excitement has fallen again already, so that the end can be seen.
    """
    at = peak.at
    start, end = _bounds(readings, peak, fallen=fallen)
    return Moment(
        start=start,
        peak=round(at, 3),
        end=end,
        safe_starts=_safe(readings, start),
        safe_ends=_safe(readings, end),
        cues=_cues(readings, usuals, since=since, peak=peak),
        picture=_picture(readings, at),
    )


def describe(
    moment: Moment,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
    settled_at: float,
    clock: ClockAnchor | None,
) -> HighlightCandidate:
    """Return the candidate for a moment, with its scores and its reasons."""
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
        unmarked=score(moment.marked(None).cues) if moment.cues.mark else None,
    )


def _within(readings: Sequence[Reading], first: float, last: float) -> list[Reading]:
    return [each for each in readings if first <= each.at <= last]


def _bounds(readings: Sequence[Reading], peak: Reading, *, fallen: bool) -> tuple[float, float]:
    start = peak.at
    for each in reversed(_within(readings, peak.at - _LEAD[1], peak.at)):
        if each.level < _BUILT_UP * peak.level:
            break
        start = each.at
    start = min(peak.at - _LEAD[0], max(peak.at - _LEAD[1], start - _LEAD_BEFORE_RISE))
    end = readings[-1].at + (0.0 if fallen else _LASTS_ON)
    if fallen:
        loud = [e.at for e in readings if e.at >= peak.at and e.level >= _FALLEN * peak.level]
        end = max(loud, default=peak.at)
    end = min(peak.at + _TAIL[1], max(peak.at + _TAIL[0], end))
    return max(0.0, round(start, 3)), round(end, 3)


def _cues(readings: Sequence[Reading], usuals: Usuals, *, since: float, peak: Reading) -> Cues:
    at = peak.at
    around = _within(readings, at - 4.0, at + 5.0)
    crowds = [each.crowd for each in around if each.crowd is not None]
    roaring = sorted(
        (each for each in around if each.roar is not None), key=lambda each: -(each.roar or 0.0)
    )[: max(1, len(around) // 4)]
    roars = [each.roar for each in around if each.roar is not None]
    onset = min(since, at - 2.0)
    covered = sum(each.duration for each in around)
    span = max(1.0, readings[-1].at - (at - 4.0))
    return Cues(
        crowd=max(crowds, default=None),
        crowd_sigmas=max(
            (e.crowd_sigmas for e in around if e.crowd_sigmas is not None), default=None
        ),
        voice=max((e.voice for e in around if e.voice is not None), default=None),
        motion=max((e.moving for e in around if e.moving is not None), default=None),
        cuts=sum(each.cut for each in _within(readings, at - 2.5, at + 6.0)),
        cuts_before=sum(each.cut for each in _within(readings, onset - 10.0, onset - 0.5)),
        tonality=sum(each.tonality for each in roaring) / len(roaring) if roaring else 0.0,
        decay=_decay(readings, at),
        dynamics=_dynamics(readings, at),
        held=_held(readings, at),
        attack=_attack(readings, usuals, at),
        known=min(1.0, max(len(usuals.roar.samples), len(usuals.motion.samples)) / _KNOWN_AFTER),
        quiet_before=max(
            (-e.crowd for e in _within(readings, at - 5.0, at - 0.5) if e.crowd is not None),
            default=0.0,
        ),
        record=bool(roars)
        and len(usuals.roar.samples) >= _RECORD_NEEDS
        and max(roars) > max(usuals.roar.samples) + 1.0,
        damaged=min(1.0, max(0.0, 1.0 - covered / min(9.0, span))),
    )


def _picture(readings: Sequence[Reading], peak: float) -> str | None:
    """Return the hash of the keyframe nearest to the peak, if it shows what the peak does."""
    near = _within(readings, peak - _PICTURE_REACH, peak + _PICTURE_REACH)
    seen = [each for each in near if each.picture is not None]
    return min(seen, key=lambda each: abs(each.at - peak)).picture if seen else None


def _decay(readings: Sequence[Reading], peak: float) -> float:
    """Return the share of the crowd's rise that has gone again since the peak."""
    after = [e.crowd for e in readings if e.at >= peak - 1.0 and e.crowd is not None]
    if not after or max(after) <= 0:
        return 1.0
    latest = after[-3:]
    return min(1.0, max(0.0, 1.0 - sum(latest) / len(latest) / max(after)))


def _held(readings: Sequence[Reading], peak: float) -> float:
    """Return for how many seconds the crowd stayed near its loudest."""
    around = [e for e in readings if e.at >= peak - 4.0 and e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    return sum(e.duration for e in around if top > 0 and (e.crowd or 0.0) >= _NEARLY * top)


def _dynamics(readings: Sequence[Reading], peak: float) -> float:
    """Return the standard deviation (dB) of the loudness while the crowd was still loud."""
    around = [e for e in _within(readings, peak + 0.25, peak + 4.5) if e.crowd is not None]
    top = max((each.crowd or 0.0 for each in around), default=0.0)
    levels = [
        each.loudness
        for each in around
        if each.loudness is not None and (each.crowd or 0.0) >= _STILL_LOUD * top
    ]
    return pstdev(levels) if levels else 0.0


def _attack(readings: Sequence[Reading], usuals: Usuals, peak: float) -> float:
    """Return how suddenly it began, 0 to 1: by the steepest second of the rise, or by an onset."""
    around = [e for e in _within(readings, peak - 4.0, peak + 3.0) if e.crowd is not None]
    top = max((e.crowd or 0.0 for e in around), default=0.0)
    if top <= 0:
        return 0.0
    steepest = max(
        (later.crowd or 0.0) - (each.crowd or 0.0)
        for index, each in enumerate(around)
        for later in around[index : index + _FRAMES_A_SECOND + 1]
    )
    usual = usuals.onset.usual(_ONSET_SPREAD)
    onset = max(e.onset or 0.0 for e in _within(around, peak - 1.5, peak + 1.0))
    sudden = (onset - usual.level) / _SHARP_ONSET if usual else 0.0
    return min(1.0, max(steepest / top, sudden))


def _safe(readings: Sequence[Reading], bound: float) -> tuple[float, ...]:
    """Return the cuts and the pauses within reach of a bound, nearest first."""
    near = _within(readings, bound - _SAFE_REACH, bound + _SAFE_REACH)
    levels = sorted(each.loudness for each in near if each.loudness is not None)
    quiet = levels[len(levels) // 2] - _PAUSE if levels else None
    points = [
        round(each.at - each.duration / 2, 3)
        for each in near
        if each.cut or (quiet is not None and each.loudness is not None and each.loudness < quiet)
    ]
    return tuple(sorted(points, key=lambda point: (abs(point - bound), point))[:_SAFE_POINTS])


class Rest(Model):
    """The aftermath of a settled moment: until the excitement has gone, it is still that moment.

    `since` is when it was settled and `peak` its peak (s of media time), `level` the excitement
    there and `lowest` the least since, `roar` the loudest roar (dB), `told` whether it was proposed
    as clear, and `moment` what was told then: a mark that comes later is put on it.
    """

    since: float
    peak: float
    level: float
    lowest: float
    roar: float | None
    told: bool
    moment: Moment | None = None
    over: bool = False


ANALYZER: Final = "local-1"
"""Name and version; a new one starts with a fresh state."""


_OPEN_AT: Final = 2.2


_OPEN_FRAMES: Final = 2


_CALM: Final = 1.2


_FALLEN_FOR: Final = 0.75


_LEAST_AFTER_PEAK: Final = 2.5


_CLEAR_AFTER_PEAK: Final = 5.0


_LONGEST_AFTER_PEAK: Final = 11.0


_LONGEST: Final = 24.0


_CLEAR: Final = 1.1


_WORTH_TELLING: Final = -0.9


_REST: Final = 20.0


_RISEN_AGAIN: Final = 0.4


_LOUDER_STILL: Final = 4.0


_HOLE: Final = 4.0


_MARK_BEFORE: Final = 8.0


_MARK_AFTER: Final = 5.0


class DetectorState(Model):
    """All that the detector remembers of a stream; a value, so that a retry starts from it.

    Attributes:
        position: end of the last frame, seconds of media time.
        readings: those of the last seconds.
        usuals: the baselines.
        open_since: when the moment that is going on began; None when none is.
        rest: the last moment's aftermath; None before the first.
        marks: the tenant's marks not yet dealt with, by time.
        clock: the latest known correspondence of media time and wall clock.
        commentary: the captions of the last minute.
    """

    position: float = 0.0
    readings: tuple[Reading, ...] = ()
    usuals: Usuals = Usuals()
    open_since: float | None = None
    rest: Rest | None = None
    marks: tuple[TimedMetadata, ...] = ()
    clock: ClockAnchor | None = None
    commentary: tuple[Line, ...] = ()

    @property
    def watermark(self) -> float:
        """Seconds of media time before which no further candidate can peak."""
        pending = [mark.at for mark in self.marks]
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
    until: float = 0.0,
    last: bool = False,
) -> tuple[DetectorState, tuple[HighlightCandidate, ...]]:
    """Return the state after `frames`, and the moments settled on the way.

    `marks` are those that fall within the frames, and `clock` tells their wall clock. `commentary`
    is what captions came with them; each candidate gets what is said over it. `until` is
    the media time (s) up to which the frames are complete, where media is missing at their end.
    `last` settles what is still open. Frames that lie before the state's position (a repeated
    segment) are passed over.
    """
    detector = _Detector(state, marks, clock, tenant_id=tenant_id, stream_id=stream_id)
    for frame in frames:
        detector.take(frame)
    detector.reach(until)
    if last:
        detector.finish()
    lines = recent_lines(state.commentary, commentary, position=detector.position)
    following = detector.state().model_copy(update={"commentary": lines})
    return following, attach_commentary(detector.candidates, lines)


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
        self._readings = list(state.readings)
        self._usuals = state.usuals
        self._open_since = state.open_since
        self._rest = state.rest
        self._clock = clock or state.clock
        self._marks = sorted((*state.marks, *marks_on_timeline(marks)), key=lambda m: (m.at, m.id))
        self.candidates: list[HighlightCandidate] = []

    @property
    def position(self) -> float:
        return self._position

    def state(self) -> DetectorState:
        return DetectorState(
            position=round(self._position, 3),
            readings=tuple(self._readings),
            usuals=self._usuals,
            open_since=self._open_since,
            rest=self._rest,
            marks=tuple(self._marks),
            clock=self._clock,
        )

    def take(self, frame: SignalFrame) -> None:
        if frame.middle < self._position:
            return
        self._pass_hole(frame.start)
        self._learn(frame)
        reading, self._usuals = read(frame, self._usuals, self._readings)
        self._readings.append(reading)
        while self._readings[0].at < reading.at - REMEMBERED:
            self._readings.pop(0)
        self._position = frame.start + frame.duration
        self._look(reading)
        self._deal_with_marks()

    def reach(self, position: float) -> None:
        if position > self._position:
            self._pass_hole(position)
            self._position = position
            self._deal_with_marks()

    def _pass_hole(self, end: float) -> None:
        if self._readings and end > self._readings[-1].at + _HOLE:
            self._settle_open(must=True)

    def finish(self) -> None:
        self._settle_open(must=True)
        self._deal_with_marks(all_of_them=True)

    def _learn(self, frame: SignalFrame) -> None:
        """Once a second, let the baselines learn the second that is over."""
        if self._readings and int(self._readings[-1].at) != int(frame.middle):
            second = int(self._readings[-1].at)
            self._usuals = self._usuals.learn(
                [each for each in self._readings[-8:] if int(each.at) == second]
            )

    def _look(self, reading: Reading) -> None:
        if self._open_since is not None:
            self._settle_open(must=False)
        elif not self._resting(reading) and self._risen():
            self._open_since = self._readings[-_OPEN_FRAMES].at

    def _risen(self) -> bool:
        latest = self._readings[-_OPEN_FRAMES:]
        return len(latest) == _OPEN_FRAMES and all(each.level >= _OPEN_AT for each in latest)

    def _resting(self, reading: Reading) -> bool:
        rest = self._rest
        if rest is None or rest.over:
            return False
        latest = [each.level for each in last_readings(self._readings, _FALLEN_FOR)]
        lowest = min(rest.lowest, max(latest))
        risen_again = reading.level > lowest + max(_OPEN_AT, _RISEN_AGAIN * rest.level)
        louder = (
            rest.roar is not None
            and reading.roar is not None
            and reading.roar > rest.roar + _LOUDER_STILL
        )
        if lowest < _CALM or risen_again or louder or reading.at > rest.since + _REST:
            self._rest = rest.model_copy(update={"over": True})
            return False
        self._rest = rest.model_copy(update={"lowest": lowest})
        return True

    def _settle_open(self, *, must: bool) -> None:
        if self._open_since is None:
            return
        peak = peak_of(self._readings, self._open_since)
        now = self._position
        fallen = now >= peak.at + _LEAST_AFTER_PEAK and all(
            each.level < max(_CALM, _FALLEN * peak.level)
            for each in last_readings(self._readings, _FALLEN_FOR)
        )
        overdue = now >= min(peak.at + _LONGEST_AFTER_PEAK, self._open_since + _LONGEST)
        if not (must or fallen or overdue or now >= peak.at + _CLEAR_AFTER_PEAK):
            return
        moment = measure(
            self._readings, self._usuals, since=self._open_since, peak=peak, fallen=fallen
        )
        mark = self._mark_near(moment.peak)
        moment = moment.marked(mark_of(mark) if mark else None)
        weight = excitement(moment.cues)
        if not (must or fallen or overdue or weight >= _CLEAR):
            return
        told = weight >= _WORTH_TELLING
        if told:
            self._propose(moment)
        if mark is not None and told:
            self._marks.remove(mark)
        self._open_since = None
        roars = [r.roar for r in self._readings if r.roar is not None and r.at >= moment.start]
        self._rest = Rest(
            since=now,
            peak=moment.peak,
            level=peak.level,
            lowest=peak.level,
            roar=max(roars, default=None),
            told=weight >= _CLEAR,
            moment=moment if weight >= _CLEAR else None,
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
                self._propose_again(settled, mark)
            elif any(abs(each.at - mark.at) <= _HOLE for each in self._readings):
                self._propose(self._moment_of(mark))

    def _settled_at(self, mark: TimedMetadata) -> Moment | None:
        """Return the moment that a mark is about, if it was told already."""
        told = self._rest.moment if self._rest is not None else None
        if told is None or told.peak < mark.at - _MARK_BEFORE or told.start > mark.at + _MARK_AFTER:
            return None
        return told

    def _propose_again(self, moment: Moment, mark: TimedMetadata) -> None:
        """Put a mark that came late on its moment: the same candidate, better founded."""
        if moment.cues.mark is None and self._rest is not None:
            marked = moment.marked(mark_of(mark))
            self._rest = self._rest.model_copy(update={"moment": marked})
            self._propose(marked)

    def _moment_of(self, mark: TimedMetadata) -> Moment:
        nearest = min(self._readings, key=lambda each: abs(each.at - mark.at))
        moment = measure(self._readings, self._usuals, since=nearest.at, peak=nearest, fallen=True)
        return moment.marked(mark_of(mark))

    def _propose(self, moment: Moment) -> None:
        self.candidates.append(
            describe(
                moment,
                tenant_id=self._tenant_id,
                stream_id=self._stream_id,
                analyzer=ANALYZER,
                settled_at=self._position,
                clock=self._clock,
            )
        )
