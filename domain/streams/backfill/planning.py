"""Planning of backfills: which ranges of a recording are fetched to fill gaps.

A recording has a timeline of its own, which starts at 0; the stream's timeline starts where we
joined it. They are aligned by, in this order: the wall clock (EXT-X-PROGRAM-DATE-TIME) of a segment
near the gap; the media sequence, if the media after the first missing number is as long as it was
live; the duration, if recording and stream are equally long. What cannot be aligned is not guessed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.ingest.playlist import ListedSegment, MediaPlaylist
from domain.media.segments import Gap, GapReason, GapStatus
from domain.media.timestamps import ClockAnchor
from domain.model import Model

NEARLY: Final = 0.9
"""Share of a gap that must have been analysed before it counts as filled."""


class GapOutcome(Model):
    """Outcome of a gap, identified by its start and first sequence, with an explanation."""

    start: NonNegativeFloat
    first_sequence: NonNegativeInt
    status: GapStatus
    resolution: str

    @classmethod
    def lost(cls, gap: Gap, why: str) -> GapOutcome:
        """Return the outcome of a gap that stays open for the reason `why`."""
        return cls(
            start=gap.start,
            first_sequence=gap.first_sequence,
            status=GapStatus.LOST,
            resolution=why,
        )


def gap_outcome(gap: Gap, analyzed: Sequence[tuple[float, float]], found_by: str) -> GapOutcome:
    """Return the outcome of a gap, given the analyzed stretches (s of media time)."""
    held = sum(max(0.0, min(end, gap.end) - max(start, gap.start)) for start, end in analyzed)
    if held < NEARLY * gap.duration:
        return GapOutcome.lost(
            gap,
            f"Of its {gap.duration:.1f} s the recording gave {held:.1f} s, which were analysed.",
        )
    return GapOutcome(
        start=gap.start,
        first_sequence=gap.first_sequence,
        status=GapStatus.FILLED,
        resolution=f"Analysed from the recording, found there by {found_by}.",
    )


TOLERANCE: Final = 0.5
"""Seconds by which an instant may miss the nearest segment: dates are written to a millisecond, but
packagers correct their clocks."""


class RecordingClock:
    """Maps wall clock to positions in a recording by its program date times.

    Between two dates the rate is measured, not assumed to be 1, because a recording can be made
    from a stream that was played faster. Times at which the recording was paused are not found.
    """

    def __init__(self, segments: Sequence[ListedSegment]) -> None:
        position = 0.0
        placed: list[tuple[datetime, float, float]] = []
        for segment in segments:
            if segment.program_date_time is not None:
                placed.append((segment.program_date_time, position, segment.duration))
            position += segment.duration
        self._placed = sorted(placed)
        self._dates = [date for date, _, _ in self._placed]

    @property
    def known(self) -> bool:
        """True if the recording contains program date times."""
        return bool(self._placed)

    def position_of(self, wall: datetime) -> float | None:
        """Return the position (s) in the recording at `wall`; None if it is not covered."""
        place = bisect_right(self._dates, wall) - 1
        near = [self._within(each, wall) for each in (place, place + 1)]
        found = [each for each in near if each is not None and each[0] <= TOLERANCE]
        return min(found)[1] if found else None

    def _within(self, place: int, wall: datetime) -> tuple[float, float] | None:
        """Return how far (s) `wall` lies outside a segment, and the nearest position in it (s)."""
        if not 0 <= place < len(self._placed):
            return None
        date, position, duration = self._placed[place]
        lasted = self._lasted(place)
        elapsed = (wall - date) / timedelta(seconds=1)
        missed = max(-elapsed, elapsed - lasted, 0.0)
        share = min(1.0, max(0.0, elapsed / lasted)) if lasted > 0 else 0.0
        return missed, position + share * duration

    def _lasted(self, place: int) -> float:
        """Return the wall-clock duration (s) of a segment: until the next, if that follows it."""
        date, position, duration = self._placed[place]
        if place + 1 < len(self._placed):
            following, next_position, _ = self._placed[place + 1]
            until_next = (following - date) / timedelta(seconds=1)
            if next_position > position and until_next < duration:
                return until_next
        return duration


LEAD: Final = 60.0
"""Seconds analysed before a gap, so that the analyzer knows what is usual: it trusts its baseline
after 30 s."""


TAIL: Final = 15.0
"""Seconds analysed after a gap: a moment is settled at most 11 s after its peak."""


SEAM: Final = 2.0
"""Seconds beside a gap in which a peak still counts as found in it: one segment of a 100ms stream.
What the live analysis made of the same moment stands; selection takes the two for one."""


PIECE: Final = 60.0
"""Seconds fetched and analysed at a time: what a retry costs at most."""


LONGEST: Final = 12 * 3600.0
"""Seconds of media that one backfill fetches at most, which bounds its workflow's history."""


LEAST: Final = 1.0
"""Seconds of a gap that a recording must hold to be worth fetching."""


EQUALLY_LONG: Final = 0.01


AT_LEAST: Final = 2.0
"""Recording and stream are equally long when they differ by at most 1 %, or by at most 2 s."""


AGREEMENT: Final = 0.25
"""Seconds by which two gaps' places in the recording may differ and still share a range: more than
dates are rounded by, less than a lost segment."""


ROUNDING: Final = 0.01
"""Seconds of a segment within the stream's timeline below which it lies before it."""


WINDOWS: Final = 100_000
"""Windows of range n are numbered from (n + 1) times this, beyond those of any live stream: the
analyzer keeps its memory by number."""


class JoinedBy(StrEnum):
    """What aligned the recording's timeline with the stream's."""

    WALL_CLOCK = "wall clock"
    MEDIA_SEQUENCE = "media sequence"
    DURATION = "duration"
    WHOLE = "nothing else"  # the recording is all there is of the stream: its timeline is ours


class RecordingChunk(Model):
    """Segments fetched in one call, as one window; `start` in seconds of media time.

    `first` and `last` are indexes in the recording's playlist, from 0. `skip` is how many seconds
    of the first segment lie before the stream's timeline.
    """

    window: NonNegativeInt
    first: NonNegativeInt
    last: NonNegativeInt
    start: NonNegativeFloat
    skip: NonNegativeFloat = 0.0


class RecordingRange(Model):
    """A range to fetch, and the gaps in it; without gaps if the whole stream was missed.

    `whole` is True if all moments of the range count, not only those in gaps.
    """

    joined_by: JoinedBy
    gaps: tuple[Gap, ...] = ()
    pieces: tuple[RecordingChunk, ...]
    whole: bool = False

    @property
    def missed(self) -> tuple[Gap, ...]:
        """The gaps to which counting is limited; empty if all moments count."""
        return () if self.whole else self.gaps

    @property
    def counts_from(self) -> float:
        """Media time (s) before which no peak counts."""
        return max(0.0, self.missed[0].start - SEAM) if self.missed else 0.0

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """Start and end (s of media time) of the missing stretches."""
        return tuple((gap.start, gap.end) for gap in self.missed) or ((0.0, LONGEST),)

    def counts(self, peak: float) -> bool:
        """Return True if a moment that peaks at `peak` (s) was missed live."""
        return not self.missed or any(
            gap.start - SEAM <= peak < gap.end + SEAM for gap in self.missed
        )


class BackfillPlan(Model):
    """Ranges to fetch, in order of media time, and the gaps that the recording cannot fill.

    `duration` is the length (s) of a stream of which only the recording exists; otherwise 0.
    """

    duration: NonNegativeFloat = 0.0
    ranges: tuple[RecordingRange, ...] = ()
    lost: tuple[GapOutcome, ...] = ()

    @property
    def begins(self) -> float:
        """Media time (s) before which no peak counts."""
        return self.ranges[0].counts_from if self.ranges else 0.0

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """Start and end (s of media time) of the missing stretches."""
        return tuple(stretch for each in self.ranges for stretch in each.stretches)


def plan_whole(recording: MediaPlaylist) -> BackfillPlan:
    """Plan the analysis of a stream of which only the recording exists."""
    starts = _starts(recording)
    last = max((n for n, start in enumerate(starts[:-1]) if start < LONGEST), default=-1)
    if last < 0:
        return BackfillPlan()
    pieces = _pieces(starts, 0, last, offset=0.0, number=0)
    return BackfillPlan(
        duration=starts[last + 1],
        ranges=(RecordingRange(joined_by=JoinedBy.WHOLE, pieces=pieces),),
    )


def plan_backfill(
    gaps: Sequence[Gap], recording: MediaPlaylist, *, stream_end: float, piece: float = PIECE
) -> BackfillPlan:
    """Plan the filling of gaps.

    Args:
        gaps: the open gaps.
        recording: the recording's playlist.
        stream_end: media time (s) at which the stream ended.
        piece: seconds to fetch at a time.
    """
    clock = RecordingClock(recording.segments)
    alignments = [_align(gap, gaps, recording, clock, stream_end=stream_end) for gap in gaps]
    starts = _starts(recording)
    wanted: list[_RangeRequest] = []
    lost: list[GapOutcome] = []
    for gap, alignment in sorted(
        zip(gaps, alignments, strict=True), key=lambda pair: pair[0].start
    ):
        if alignment is None:
            lost.append(GapOutcome.lost(gap, "Where it lies in the recording cannot be told."))
        elif not _reaches(starts[-1], gap, alignment.offset):
            lost.append(GapOutcome.lost(gap, "The recording does not reach it."))
        else:
            _merge(wanted, gap, alignment)
    ranges: list[RecordingRange] = []
    fetched = 0.0
    for each in wanted:
        fetched += each.end - each.start
        if fetched > LONGEST:
            why = f"More than {LONGEST / 3600:g} h of media would have to be fetched."
            lost += [GapOutcome.lost(gap, why) for gap in each.gaps]
            continue
        ranges.append(_range(each, starts, number=len(ranges), piece=piece))
    return BackfillPlan(ranges=tuple(ranges), lost=tuple(lost))


class _Alignment(Model):
    """Alignment: `offset` (s) is added to a position in the recording to get media time."""

    offset: float
    joined_by: JoinedBy


@dataclass(frozen=True, kw_only=True)
class _RangeRequest:
    alignment: _Alignment
    start: float
    end: float
    gaps: tuple[Gap, ...]


def _align(
    gap: Gap,
    gaps: Sequence[Gap],
    recording: MediaPlaylist,
    clock: RecordingClock,
    *,
    stream_end: float,
) -> _Alignment | None:
    if clock.known and any(each.anchor_wall is not None for each in gaps):
        return _align_by_wall_clock(gap, gaps, clock)
    return _align_by_sequence(gap, recording, stream_end) or _align_by_duration(
        recording, stream_end
    )


def _align_by_wall_clock(gap: Gap, gaps: Sequence[Gap], clock: RecordingClock) -> _Alignment | None:
    """Align by the gap's own anchor, or by that of the nearest gap."""
    anchored = [each for each in gaps if each.anchor_wall is not None]
    nearest = (
        gap if gap in anchored else min(anchored, key=lambda each: abs(each.start - gap.start))
    )
    if nearest.anchor_wall is None or nearest.anchor_at is None:
        return None
    position = clock.position_of(nearest.anchor_wall)
    if position is None:
        return None
    return _Alignment(offset=nearest.anchor_at - position, joined_by=JoinedBy.WALL_CLOCK)


def _align_by_sequence(gap: Gap, recording: MediaPlaylist, stream_end: float) -> _Alignment | None:
    """Align by media sequence, if the rest is as long as it was live.

    Otherwise the numbers may have restarted.
    """
    starts = _starts(recording)
    for place, segment in enumerate(recording.segments):
        if segment.sequence == gap.first_sequence:
            live, recorded = stream_end - gap.start, starts[-1] - starts[place]
            if not _equally_long(live, recorded):
                return None
            return _Alignment(offset=gap.start - starts[place], joined_by=JoinedBy.MEDIA_SEQUENCE)
    return None


def _align_by_duration(recording: MediaPlaylist, stream_end: float) -> _Alignment | None:
    if not _equally_long(stream_end, _starts(recording)[-1]):
        return None
    return _Alignment(offset=0.0, joined_by=JoinedBy.DURATION)


def _equally_long(one: float, two: float) -> bool:
    return abs(one - two) <= max(AT_LEAST, EQUALLY_LONG * one)


def _starts(recording: MediaPlaylist) -> list[float]:
    """Return the start of each segment (s of the recording), followed by the total duration."""
    return list(accumulate((each.duration for each in recording.segments), initial=0.0))


def _reaches(total: float, gap: Gap, offset: float) -> bool:
    """Return True if a recording of `total` seconds covers enough of a gap to be worth fetching."""
    held = min(gap.end - offset, total) - max(gap.start - offset, 0.0)
    return held >= min(LEAST, NEARLY * gap.duration)


def _merge(wanted: list[_RangeRequest], gap: Gap, alignment: _Alignment) -> None:
    """Add a gap, merged with the previous range if they are near each other."""
    before = wanted[-1] if wanted else None
    start, end = max(0.0, gap.start - LEAD), gap.end + TAIL
    if before is not None and start <= before.end and _agree(alignment, before.alignment):
        wanted[-1] = replace(before, end=max(end, before.end), gaps=(*before.gaps, gap))
    else:
        wanted.append(_RangeRequest(alignment=alignment, start=start, end=end, gaps=(gap,)))


def _agree(one: _Alignment, two: _Alignment) -> bool:
    return one.joined_by is two.joined_by and abs(one.offset - two.offset) <= AGREEMENT


def _range(
    wanted: _RangeRequest, starts: Sequence[float], *, number: int, piece: float
) -> RecordingRange:
    """Return the segments of a range, without those before the start of the stream's timeline."""
    offset = wanted.alignment.offset
    inside = [
        place
        for place, start in enumerate(starts[:-1])
        if starts[place + 1] + offset > max(wanted.start, ROUNDING) and start + offset < wanted.end
    ]
    pieces = _pieces(starts, inside[0], inside[-1], offset=offset, number=number, piece=piece)
    return RecordingRange(joined_by=wanted.alignment.joined_by, gaps=wanted.gaps, pieces=pieces)


def _pieces(
    starts: Sequence[float],
    first: int,
    last: int,
    *,
    offset: float,
    number: int,
    piece: float = PIECE,
) -> tuple[RecordingChunk, ...]:
    """Divide the segments from index `first` to `last` into chunks of about `piece` seconds."""
    pieces: list[RecordingChunk] = []
    begin = first
    for place in range(first, last + 1):
        if starts[place + 1] - starts[begin] >= piece or place == last:
            window = (number + 1) * WINDOWS + len(pieces)
            start = starts[begin] + offset
            pieces.append(
                RecordingChunk(
                    window=window,
                    first=begin,
                    last=place,
                    start=max(0.0, start),
                    skip=max(0.0, -start),
                )
            )
            begin = place + 1
    return tuple(pieces)


REANALYSIS_PIECE: Final = 12.0
"""Seconds fetched and analysed at a time: about what a live window and a moment take together, so
that the cost gate chooses between pieces as small as live ones."""


MOST_PIECES: Final = 1000
"""Of a longer stream the pieces are longer, which bounds its workflow's history."""


def plan_reanalysis(
    gaps: Sequence[Gap],
    recording: MediaPlaylist,
    *,
    anchor: ClockAnchor | None,
    stream_end: float,
) -> BackfillPlan:
    """Plan the reanalysis of a whole stream, which also fills its open gaps.

    Args:
        gaps: the open gaps.
        recording: the recording's playlist.
        anchor: a point of the stream known on both clocks; by default that of a gap.
        stream_end: media time (s) at which the stream ended.
    """
    known = anchor or next(
        (
            ClockAnchor(at=gap.anchor_at, wall=gap.anchor_wall)
            for gap in gaps
            if gap.anchor_at is not None and gap.anchor_wall is not None
        ),
        None,
    )
    whole = Gap(
        start=0.0,
        duration=stream_end,
        first_sequence=0,
        last_sequence=0,
        reason=GapReason.DECLARED,
        detail="all of it",
        anchor_at=None if known is None else known.at,
        anchor_wall=None if known is None else known.wall,
    )
    plan = plan_backfill(
        (whole,),
        recording,
        stream_end=stream_end,
        piece=max(REANALYSIS_PIECE, stream_end / MOST_PIECES),
    )
    return BackfillPlan(
        ranges=tuple(
            RecordingRange(
                joined_by=span.joined_by, gaps=tuple(gaps), pieces=span.pieces, whole=True
            )
            for span in plan.ranges
        ),
        lost=tuple(GapOutcome.lost(gap, why.resolution) for why in plan.lost for gap in gaps),
    )
