"""Moments found in a stream as it goes by: a fold over its frames, in order.

`advance` takes the state after the frames before, and the next frames; how the frames are split
into calls makes no difference. A moment opens when the fused excitement rises well above what is
usual, and is settled when it has fallen again, or a few seconds after its peak when the case is
clear by then, for a live clip cannot wait until a celebration is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from domain.candidate import HighlightCandidate
from domain.commentary import remembered, with_commentary
from domain.local_scoring import excitement
from domain.marks import mark_of, where_meant
from domain.media import Line, TimedMetadata
from domain.model import Model
from domain.moment import Moment, describe, measure, peak_of
from domain.readings import REMEMBERED, Reading, Usuals, last_readings, read
from domain.rest import Rest
from domain.signals import SignalFrame
from domain.wall_clock import ClockAnchor

ANALYZER: Final = "local-1"
"""Name and version; a new one starts with a fresh state."""

_OPEN_AT: Final = 2.2
_OPEN_FRAMES: Final = 2
_CALM: Final = 1.2
_FALLEN: Final = 0.45
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
    lines = remembered(state.commentary, commentary, position=detector.position)
    following = detector.state().model_copy(update={"commentary": lines})
    return following, with_commentary(detector.candidates, lines)


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
        self._marks = sorted((*state.marks, *where_meant(marks)), key=lambda m: (m.at, m.id))
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
