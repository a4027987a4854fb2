"""Conversion between media time, wall clock, and times as analyzers write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from domain.media.segments import SegmentRef
from domain.model import Model


class ClockAnchor(Model):
    """A point known on both clocks: seconds of media time, and UTC (EXT-X-PROGRAM-DATE-TIME)."""

    at: float
    wall: datetime

    def wall_clock(self, at: float) -> datetime:
        """Return the wall clock (UTC) at `at` seconds of media time near the anchor."""
        return self.wall + timedelta(seconds=at - self.at)


def anchor_of(segments: Iterable[SegmentRef]) -> ClockAnchor | None:
    """Return the anchor of the first segment with a program date time; None if there is none."""
    for segment in segments:
        if segment.program_date_time is not None:
            return ClockAnchor(at=segment.start, wall=segment.program_date_time)
    return None


MINUTE: Final = 60
"""Seconds in a minute, and minutes in an hour."""


_CLOCK: Final = re.compile(
    r"(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,4}):(?P<seconds>\d{2}(?:[.,]\d{1,9})?)"
)


_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?\s*s?")


_ISO_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ].*")


class TimestampError(ValueError):
    """A time cannot be parsed; the message names the value and the accepted forms."""


class WallClockAnchor(Model):
    """Maps between the clocks: at `media_time` (s) the wall clock (UTC) was `at`.

    From `EXT-X-PROGRAM-DATE-TIME`, if the playlist has it.
    """

    at: datetime
    media_time: float = 0.0

    def media_time_of(self, moment: datetime) -> float:
        """Return the media time (s) of a wall-clock `moment`; UTC if it has no time zone."""
        return self.media_time + (_utc(moment) - _utc(self.at)).total_seconds()

    def wall_clock_of(self, seconds: float) -> datetime:
        """Return the wall clock (UTC) at `seconds` of media time."""
        return _utc(self.at) + timedelta(seconds=seconds - self.media_time)


def latest_anchor(segments: Sequence[SegmentRef]) -> WallClockAnchor | None:
    """Return the latest point known on both clocks; without one in the playlist, an estimate.

    The estimate is the time at which the latest segment was listed, which the feed clock corrects.

    Args:
        segments: of a stream, oldest first.
    """
    dated = anchor_of(reversed(segments))
    if dated is not None:
        return WallClockAnchor(at=dated.wall, media_time=dated.at)
    if not segments:
        return None
    return WallClockAnchor(at=segments[-1].published_at, media_time=segments[-1].end)


class OrderedSpan(NamedTuple):
    """A moment with `start` <= `peak` <= `end` (s), and the corrections that were made."""

    start: float
    peak: float
    end: float
    corrections: tuple[str, ...]


def parse_timestamp(
    value: float | str | datetime | timedelta,
    *,
    offset: float = 0.0,
    anchor: WallClockAnchor | None = None,
) -> float:
    """Return a time as seconds of media time.

    Accepted are seconds (`83.5`, `"83.5"`, `"83.5s"`, a timedelta), `"MM:SS"`, `"HH:MM:SS.mmm"` (or
    a decimal comma) and ISO 8601 with date. The first three are relative to `offset`, the media
    time (s) at which the analyzed range starts; an ISO time is absolute and requires `anchor`.

    Raises:
        TimestampError: the value has none of these forms, or is a wall clock without an anchor.
    """
    if isinstance(value, datetime):
        return _from_wall_clock(value, anchor)
    if isinstance(value, timedelta):
        return offset + value.total_seconds()
    if isinstance(value, str):
        return _from_text(value.strip(), offset=offset, anchor=anchor)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unreadable(value)
    if not math.isfinite(value):
        raise TimestampError(f"{value!r} is not a time: give a finite number of seconds")
    return offset + value


def format_timestamp(seconds: float) -> str:
    """Return media time for display: `M:SS`, or `H:MM:SS` from an hour on."""
    minutes, second = divmod(int(seconds), MINUTE)
    hours, minute = divmod(minutes, MINUTE)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def order_span(
    *, start: float, peak: float, end: float, earliest: float = 0.0, latest: float = math.inf
) -> OrderedSpan:
    """Return the moment in order and within `earliest`..`latest`, with a reason per correction.

    All in seconds of media time. Times outside are clamped, a start after the end is swapped with
    it, and a peak outside is moved to the nearer bound.
    """
    corrections: list[str] = []
    times = {"start": start, "peak": peak, "end": end}
    for name, value in times.items():
        clamped = min(max(value, earliest), latest)
        if clamped != value:
            side = "before" if value < earliest else "after"
            bound = "first" if value < earliest else "last"
            corrections.append(
                f"{name} {value:.3f} s lies {side} the {bound} instant analysed; "
                f"moved to {clamped:.3f} s"
            )
            times[name] = clamped
    start, peak, end = times["start"], times["peak"], times["end"]
    if start > end:
        corrections.append(f"start {start:.3f} s lies after end {end:.3f} s; exchanged")
        start, end = end, start
    inside = min(max(peak, start), end)
    if inside != peak:
        corrections.append(
            f"peak {peak:.3f} s lies outside {start:.3f}..{end:.3f} s; moved to {inside:.3f} s"
        )
    return OrderedSpan(start, inside, end, tuple(corrections))


def _from_text(text: str, *, offset: float, anchor: WallClockAnchor | None) -> float:
    if _NUMBER.fullmatch(text):
        return offset + float(text.rstrip("s").strip())
    if clock := _CLOCK.fullmatch(text):
        return offset + _from_clock(clock)
    if _ISO_TIME.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _unreadable(text) from None
        return _from_wall_clock(moment, anchor)
    raise _unreadable(text)


def _from_clock(clock: re.Match[str]) -> float:
    seconds = float(clock["seconds"].replace(",", "."))
    minutes = int(clock["minutes"])
    if seconds >= MINUTE or (clock["hours"] and minutes >= MINUTE):
        part = "seconds" if seconds >= MINUTE else "minutes"
        raise TimestampError(f"{clock[0]!r} is not a time: its {part} are 60 or more")
    return int(clock["hours"] or 0) * MINUTE**2 + minutes * MINUTE + seconds


def _from_wall_clock(moment: datetime, anchor: WallClockAnchor | None) -> float:
    if anchor is None:
        raise TimestampError(
            f"{moment.isoformat()} is a wall-clock time, but this stream has no wall clock "
            "(EXT-X-PROGRAM-DATE-TIME): give seconds, MM:SS or HH:MM:SS"
        )
    return anchor.media_time_of(moment)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _unreadable(value: object) -> TimestampError:
    return TimestampError(
        f"{value!r} is not a time: give seconds (83.5), MM:SS (01:23), HH:MM:SS.mmm "
        "(00:01:23.500) or ISO 8601 with date"
    )
