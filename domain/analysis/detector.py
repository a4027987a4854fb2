"""Detection of moments in a stream: a fold over its frames, in order.

`advance` takes the state after the previous frames and the next frames; how frames are split into
calls makes no difference. A moment opens when the excitement rises well above the baseline. It is
settled when the excitement has fallen again, or a few seconds after its peak if the evidence is
clear by then, because a live clip cannot wait for the end of a celebration. After it, a cooldown
lasts until the excitement is gone, so that the aftermath is not a second moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from pydantic import ConfigDict, Field

from domain.analysis.baseline import (
    FRAME_HISTORY,
    Baselines,
    NormalizedFrame,
    hears_crowd,
    last_frames,
    normalize,
)
from domain.analysis.fusion import (
    SECONDS_KEPT,
    Fusion,
    FusionWeights,
    SecondRises,
    peak_among,
    rises_of,
)
from domain.analysis.moment import (
    FACT_AFTER,
    FALLEN,
    Moment,
    find_peak,
    measure_fused,
    measure_moment,
    to_candidate,
)
from domain.analysis.scoring import excitement, screen_weight
from domain.analysis.screen import (
    ScreenFact,
    ScreenMemory,
    ScreenReading,
    ScreenState,
    follow_screen,
)
from domain.analysis.signals import SignalFrame
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.commentary import attach_commentary, recent_lines
from domain.highlights.markers import mark_of, marks_on_timeline
from domain.media.segments import Line, TimedMetadata
from domain.media.timestamps import ClockAnchor
from domain.model import Model
from domain.profiles.model import Hud


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


# A weak moment keeps this distance (s) to the moments that were found by their excitement.
_APART: Final = 10.0


_REST: Final = 20.0


_RISEN_AGAIN: Final = 0.4


_LOUDER_STILL: Final = 4.0


_HOLE: Final = 4.0


_MARK_BEFORE: Final = 8.0


_MARK_AFTER: Final = 5.0


_REMEMBERED_EVENTS: Final = 512


# The screen follows what happened: seconds from a peak to the fact that belongs to it.
_FACT_BEFORE: Final = 3.0


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
        fed: the latest events of the feed that were taken as marks, so that none counts twice.
        clock: latest known correspondence of media time and wall clock.
        commentary: the captions of the last minute.
        screen: scores, clock and lines on the screen.
        reader: memory of the reader of the screen.
        facts: facts from the screen that belong to no moment yet, by time.
        seconds: the last seconds as the fitted fusion sees them, oldest first.
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
    fed: tuple[UUID, ...] = ()
    clock: ClockAnchor | None = None
    commentary: tuple[Line, ...] = ()
    screen: ScreenState = ScreenState()
    reader: ScreenMemory = ScreenMemory()
    facts: tuple[ScreenFact, ...] = ()
    seconds: tuple[SecondRises, ...] = ()

    @property
    def watermark(self) -> float:
        """Seconds of media time before which no further candidate can peak.

        Facts from the screen are confirmed seconds later, and weak moments are known
        `PEAK_KNOWN_AFTER` seconds later: they may still add one, which is then late.
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
    fusion: Fusion | None = None,
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
        fusion: proposes also weak moments, for a profile that fills its windows with them.
        last: True to settle an open moment, at the end of the stream.
    """
    detector = _Detector(
        state, marks, clock, tenant_id=tenant_id, stream_id=stream_id, fusion=fusion
    )
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
        fusion: Fusion | None,
    ) -> None:
        self._tenant_id, self._stream_id = tenant_id, stream_id
        self._fusion = fusion
        self._position = state.position
        self._frames = list(state.frames)
        self._baselines = state.baselines
        self._open_since = state.open_since
        self._cooldown = state.cooldown
        self._clock = clock or state.clock
        self._screen = state.screen
        self._facts = list(state.facts)
        self._seconds = list(state.seconds)
        self._fed = dict.fromkeys(state.fed)
        new = [each for each in marks if each.feed is None or each.feed.event not in self._fed]
        self._fed.update(dict.fromkeys(each.feed.event for each in new if each.feed is not None))
        self._marks = sorted((*state.marks, *marks_on_timeline(new)), key=lambda m: (m.at, m.id))
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
            fed=tuple(self._fed)[-_REMEMBERED_EVENTS:],
            clock=self._clock,
            commentary=commentary,
            screen=self._screen,
            reader=reader,
            facts=tuple(self._facts),
            seconds=tuple(self._seconds),
        )

    def read(self, readings: Sequence[ScreenReading], hud: Hud) -> None:
        self._screen, facts = follow_screen(self._screen, readings, hud)
        self._facts = sorted((*self._facts, *facts), key=lambda each: each.at)

    def take(self, frame: SignalFrame) -> None:
        if frame.middle < self._position:
            return
        self._pass_hole(frame.start)
        learned = self._learn(frame)
        normalized, self._baselines = normalize(frame, self._baselines, self._frames)
        self._frames.append(normalized)
        while self._frames[0].at < normalized.at - FRAME_HISTORY:
            self._frames.pop(0)
        self._position = frame.start + frame.duration
        self._detect(normalized)
        self._deal_with_marks()
        self._deal_with_facts()
        if learned and self._fusion is not None:
            self._propose_weak(self._weights(self._fusion))

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

    def _learn(self, frame: SignalFrame) -> bool:
        """Once per second, add the last second to the baselines; return True if it was added."""
        if not self._frames or int(self._frames[-1].at) == int(frame.middle):
            return False
        second = [each for each in self._frames[-8:] if int(each.at) == int(self._frames[-1].at)]
        if self._fusion is not None:
            self._seconds.append(rises_of(second, self._baselines))
            oldest = self._seconds[-1].at - SECONDS_KEPT
            self._seconds = [each for each in self._seconds if each.at > oldest]
        self._baselines = self._baselines.learn(second)
        return True

    def _weights(self, fusion: Fusion) -> FusionWeights:
        heard = not self._seconds or self._seconds[-1].heard
        return fusion.heard if heard else fusion.unheard

    def _propose_weak(self, weights: FusionWeights) -> None:
        """Publish a peak of the fitted fusion where no other moment was found."""
        peak = peak_among(weights, self._seconds)
        if peak is None:
            return
        second, fused = peak
        known = self._cooldown.moment if self._cooldown is not None else None
        is_shown = (
            known is not None
            and abs(known.peak - second) < _APART
            and excitement(known.cues) >= fused.logit
        )
        if fused.logit < weights.floor or is_shown:
            return
        moment = measure_fused(self._frames, self._baselines, second=second, fused=fused)
        if moment is not None:
            self._publish(moment)

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
            each.level < max(_CALM, FALLEN * peak.level)
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
        if self._fusion is not None and not hears_crowd(self._baselines.crowd_level):
            # What is loud in a game is no reaction to it: the fusion weighs the moment, and
            # proposes it if neither the tenant nor the screen speaks for it.
            seconds = {each.at: each for each in self._seconds}
            fused = self._weights(self._fusion).at(int(moment.peak), seconds)
            moment = moment.with_fused(fused)
            published = mark is not None or bool(facts)
        else:
            published = weight >= _WORTH_PUBLISHING
        if published:
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
            moment=moment if published else None,
        )

    def _mark_near(self, peak: float) -> TimedMetadata | None:
        near = [
            mark
            for mark in self._marks
            if mark.at - _MARK_BEFORE <= peak <= mark.at + _MARK_AFTER and mark.at < self._position
        ]
        return next((mark for mark in near if not _is_hint(mark)), near[0] if near else None)

    def _deal_with_marks(self, *, all_of_them: bool = False) -> None:
        while self._marks and self._open_since is None:
            mark = self._marks[0]
            if not all_of_them and self._position < mark.at + _MARK_AFTER:
                return
            self._marks.pop(0)
            settled = self._settled_at(mark)
            if settled is not None:
                self._publish_again(settled, mark)
            elif not _is_hint(mark) and any(
                abs(each.at - mark.at) <= _HOLE for each in self._frames
            ):
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
        known = moment.cues.mark
        replaces = known is None or (known.is_hint and not _is_hint(mark))
        if replaces and self._cooldown is not None:
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
        return [each for each in self._facts if peak - _FACT_BEFORE <= each.at <= peak + FACT_AFTER]

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
        before = [e for e in self._frames if at - FACT_AFTER / 2 <= e.at <= at] or self._frames
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


def _is_hint(mark: TimedMetadata) -> bool:
    return mark.feed is not None and mark.feed.hint
