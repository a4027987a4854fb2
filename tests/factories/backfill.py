"""What tests of backfill are made of: gaps, and recordings of segments of two seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.ingest.playlist import ListedSegment, MediaPlaylist, Resource
from domain.media.segments import Gap, GapReason

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LENGTH = 2.0


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def recording(
    segments: int,
    *,
    dated: bool = True,
    first_sequence: int = 0,
    begins: float = 0.0,
    pace: float = 1.0,
    pause: tuple[int, float] | None = None,
) -> MediaPlaylist:
    """A recording that begins `begins` seconds after noon.

    `pause` is before which segment it stood still, and for how many seconds of wall clock.
    """
    listed = []
    for number in range(segments):
        at = begins + number * LENGTH / pace
        if pause is not None and number >= pause[0]:
            at += pause[1]
        listed.append(
            ListedSegment(
                sequence=first_sequence + number,
                resource=Resource(url=f"https://cdn.example/{number}.ts"),
                duration=LENGTH,
                program_date_time=NOON + seconds(at) if dated else None,
            )
        )
    return MediaPlaylist(target_duration=LENGTH, segments=tuple(listed), ended=True, vod=True)


def gap(
    start: float,
    duration: float,
    *,
    dated: bool = True,
    joined: float = 0.0,
    first_sequence: int | None = None,
) -> Gap:
    """A gap of a stream that was joined `joined` seconds after noon."""
    first = int((joined + start) / LENGTH) if first_sequence is None else first_sequence
    anchored = max(0.0, start - LENGTH)
    return Gap(
        start=start,
        duration=duration,
        first_sequence=first,
        last_sequence=first + int(duration / LENGTH) - 1,
        reason=GapReason.ROLLED_OFF,
        anchor_at=anchored if dated else None,
        anchor_wall=NOON + seconds(joined + anchored) if dated else None,
    )
