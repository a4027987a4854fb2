"""Which stretches of a recording are fetched to fill a stream's gaps: gaps and recording to ranges.

A recording has a timeline of its own: it begins at 0, where ours began when we joined. What ties
the two is, in this order: the wall clock (EXT-X-PROGRAM-DATE-TIME), on which the start of a segment
that we saw live is looked up in the recording; the media sequence, where the first lost number is
listed and what follows it is as long as what followed it live; the length, where recording and
stream are equally long. What cannot be tied is not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.gap_outcome import NEARLY, GapOutcome
from domain.media import Gap
from domain.model import Model
from domain.playlist import MediaPlaylist
from domain.recording_clock import RecordingClock

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
    """What tied the recording's timeline to the stream's."""

    WALL_CLOCK = "wall clock"
    MEDIA_SEQUENCE = "media sequence"
    DURATION = "duration"
    WHOLE = "nothing else"  # the recording is all there is of the stream: its timeline is ours


class Piece(Model):
    """Segments fetched in one call, as one window; `start` in seconds of media time.

    `first` and `last` are places in the recording's playlist, counted from 0; `skip` is how many
    seconds of the first segment lie before the stream's timeline.
    """

    window: NonNegativeInt
    first: NonNegativeInt
    last: NonNegativeInt
    start: NonNegativeFloat
    skip: NonNegativeFloat = 0.0


class RecordingRange(Model):
    """A stretch to fetch, and the gaps in it; none when the whole stream was missed.

    `whole` says that all of the stream counts, with or without gaps in it.
    """

    joined_by: JoinedBy
    gaps: tuple[Gap, ...] = ()
    pieces: tuple[Piece, ...]
    whole: bool = False

    @property
    def missed(self) -> tuple[Gap, ...]:
        """The gaps that alone count; none where everything does."""
        return () if self.whole else self.gaps

    @property
    def counts_from(self) -> float:
        """Seconds of media time before which no peak counts."""
        return max(0.0, self.missed[0].start - SEAM) if self.missed else 0.0

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """From where to where media was missed, in seconds of media time."""
        return tuple((gap.start, gap.end) for gap in self.missed) or ((0.0, LONGEST),)

    def counts(self, peak: float) -> bool:
        """Tell whether a moment that peaks at `peak` seconds was missed live."""
        return not self.missed or any(
            gap.start - SEAM <= peak < gap.end + SEAM for gap in self.missed
        )


class BackfillPlan(Model):
    """What to fetch, in order of media time, and which gaps the recording cannot fill."""

    ranges: tuple[RecordingRange, ...] = ()
    lost: tuple[GapOutcome, ...] = ()

    @property
    def begins(self) -> float:
        """Seconds of media time before which no peak counts."""
        return self.ranges[0].counts_from if self.ranges else 0.0

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """From where to where media was missed, in seconds of media time."""
        return tuple(stretch for each in self.ranges for stretch in each.stretches)


def plan_whole(recording: MediaPlaylist) -> BackfillPlan:
    """Plan the analysis of a stream of which there is nothing but its recording."""
    starts = _starts(recording)
    last = max((n for n, start in enumerate(starts[:-1]) if start < LONGEST), default=-1)
    if last < 0:
        return BackfillPlan()
    pieces = _pieces(starts, 0, last, offset=0.0, number=0)
    return BackfillPlan(ranges=(RecordingRange(joined_by=JoinedBy.WHOLE, pieces=pieces),))


def plan_backfill(
    gaps: Sequence[Gap], recording: MediaPlaylist, *, stream_end: float, piece: float = PIECE
) -> BackfillPlan:
    """Plan the filling of gaps.

    Args:
        gaps: those not filled yet.
        recording: its playlist.
        stream_end: seconds of media time at which the stream ended.
        piece: seconds fetched at a time.
    """
    clock = RecordingClock(recording.segments)
    ties = [_tie(gap, gaps, recording, clock, stream_end=stream_end) for gap in gaps]
    starts = _starts(recording)
    wanted: list[_Wanted] = []
    lost: list[GapOutcome] = []
    for gap, tie in sorted(zip(gaps, ties, strict=True), key=lambda pair: pair[0].start):
        if tie is None:
            lost.append(GapOutcome.lost(gap, "Where it lies in the recording cannot be told."))
        elif not _reaches(starts[-1], gap, tie.offset):
            lost.append(GapOutcome.lost(gap, "The recording does not reach it."))
        else:
            _merge(wanted, gap, tie)
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


class _Tie(Model):
    """`offset` (s) is added to a position in the recording to get media time."""

    offset: float
    joined_by: JoinedBy


class _Wanted(Model):
    tie: _Tie
    start: float
    end: float
    gaps: tuple[Gap, ...]


def _tie(
    gap: Gap,
    gaps: Sequence[Gap],
    recording: MediaPlaylist,
    clock: RecordingClock,
    *,
    stream_end: float,
) -> _Tie | None:
    if clock.known and any(each.anchor_wall is not None for each in gaps):
        return _by_wall_clock(gap, gaps, clock)
    return _by_sequence(gap, recording, stream_end) or _by_duration(recording, stream_end)


def _by_wall_clock(gap: Gap, gaps: Sequence[Gap], clock: RecordingClock) -> _Tie | None:
    """Tie by the gap's own anchor; one without lies as its nearest neighbour does."""
    anchored = [each for each in gaps if each.anchor_wall is not None]
    nearest = (
        gap if gap in anchored else min(anchored, key=lambda each: abs(each.start - gap.start))
    )
    if nearest.anchor_wall is None or nearest.anchor_at is None:
        return None
    position = clock.position_of(nearest.anchor_wall)
    if position is None:
        return None
    return _Tie(offset=nearest.anchor_at - position, joined_by=JoinedBy.WALL_CLOCK)


def _by_sequence(gap: Gap, recording: MediaPlaylist, stream_end: float) -> _Tie | None:
    """Tie by number, if what follows is as long as it was live: numbers may have begun anew."""
    starts = _starts(recording)
    for place, segment in enumerate(recording.segments):
        if segment.sequence == gap.first_sequence:
            live, recorded = stream_end - gap.start, starts[-1] - starts[place]
            if not _equally_long(live, recorded):
                return None
            return _Tie(offset=gap.start - starts[place], joined_by=JoinedBy.MEDIA_SEQUENCE)
    return None


def _by_duration(recording: MediaPlaylist, stream_end: float) -> _Tie | None:
    if not _equally_long(stream_end, _starts(recording)[-1]):
        return None
    return _Tie(offset=0.0, joined_by=JoinedBy.DURATION)


def _equally_long(one: float, two: float) -> bool:
    return abs(one - two) <= max(AT_LEAST, EQUALLY_LONG * one)


def _starts(recording: MediaPlaylist) -> list[float]:
    """Return where each segment starts (s of the recording), and after the last its end."""
    return list(accumulate((each.duration for each in recording.segments), initial=0.0))


def _reaches(total: float, gap: Gap, offset: float) -> bool:
    """Tell whether a recording of `total` seconds holds enough of a gap to be worth fetching."""
    held = min(gap.end - offset, total) - max(gap.start - offset, 0.0)
    return held >= min(LEAST, NEARLY * gap.duration)


def _merge(wanted: list[_Wanted], gap: Gap, tie: _Tie) -> None:
    """Take a gap in, together with the one before if they are near each other."""
    before = wanted[-1] if wanted else None
    start, end = max(0.0, gap.start - LEAD), gap.end + TAIL
    if before is not None and start <= before.end and _agree(tie, before.tie):
        wanted[-1] = before.model_copy(
            update={"end": max(end, before.end), "gaps": (*before.gaps, gap)}
        )
    else:
        wanted.append(_Wanted(tie=tie, start=start, end=end, gaps=(gap,)))


def _agree(one: _Tie, two: _Tie) -> bool:
    return one.joined_by is two.joined_by and abs(one.offset - two.offset) <= AGREEMENT


def _range(
    wanted: _Wanted, starts: Sequence[float], *, number: int, piece: float
) -> RecordingRange:
    """Return the whole segments of a stretch; what lies before our timeline's 0 has no place."""
    offset = wanted.tie.offset
    inside = [
        place
        for place, start in enumerate(starts[:-1])
        if starts[place + 1] + offset > max(wanted.start, ROUNDING) and start + offset < wanted.end
    ]
    pieces = _pieces(starts, inside[0], inside[-1], offset=offset, number=number, piece=piece)
    return RecordingRange(joined_by=wanted.tie.joined_by, gaps=wanted.gaps, pieces=pieces)


def _pieces(
    starts: Sequence[float],
    first: int,
    last: int,
    *,
    offset: float,
    number: int,
    piece: float = PIECE,
) -> tuple[Piece, ...]:
    """Cut the segments from place `first` to place `last` into pieces of about `piece` seconds."""
    pieces: list[Piece] = []
    begin = first
    for place in range(first, last + 1):
        if starts[place + 1] - starts[begin] >= piece or place == last:
            window = (number + 1) * WINDOWS + len(pieces)
            start = starts[begin] + offset
            pieces.append(
                Piece(
                    window=window,
                    first=begin,
                    last=place,
                    start=max(0.0, start),
                    skip=max(0.0, -start),
                )
            )
            begin = place + 1
    return tuple(pieces)
