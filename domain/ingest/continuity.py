"""Continuity of a live playlist: whether a reload continues, lags behind, or is a new session.

It is decided by the identity of segments: number and URI together. A date alone proves nothing,
since packagers correct their clocks, and a number alone proves nothing, since packagers restart.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import NonNegativeInt

from domain.ingest.playlist import ListedSegment, MediaPlaylist, Resource
from domain.model import Model

REMEMBERED_SEGMENTS: Final = 64
"""Segments remembered per session: more than live playlists list, at few bytes of a cursor."""

_PRINT_LENGTH: Final = 6
_SLIGHTLY_OLD: Final = 3
_SLACK: Final = 1.5


class FingerprintRun(Model):
    """Fingerprints of consecutive segments, 6 characters each; `first` is the first number."""

    first: NonNegativeInt
    prints: str

    @property
    def following(self) -> int:
        """The number after the last segment."""
        return self.first + len(self.prints) // _PRINT_LENGTH


class SegmentMemory(Model):
    """Fingerprints of recently ingested segments, of the current and the previous session."""

    current: tuple[FingerprintRun, ...] = ()
    previous: tuple[FingerprintRun, ...] = ()

    def with_segment(self, segment: ListedSegment) -> Self:
        """Return the memory with one more segment, without the oldest one if it is full."""
        found = fingerprint(segment.resource)
        runs = list(self.current)
        if runs and runs[-1].following == segment.sequence:
            runs[-1] = FingerprintRun(first=runs[-1].first, prints=runs[-1].prints + found)
        else:
            runs.append(FingerprintRun(first=segment.sequence, prints=found))
        if sum(len(run.prints) for run in runs) > REMEMBERED_SEGMENTS * _PRINT_LENGTH:
            oldest = FingerprintRun(first=runs[0].first + 1, prints=runs[0].prints[_PRINT_LENGTH:])
            runs[:1] = [oldest] if oldest.prints else []
        return type(self)(current=tuple(runs), previous=self.previous)

    def restarted(self) -> Self:
        """Return the memory at the start of a new session."""
        return type(self)(current=(), previous=self.current or self.previous)

    @cached_property
    def prints(self) -> Mapping[int, str]:
        """Fingerprints of the current session by number; the latest if a number repeats."""
        return _by_number(self.current)

    @cached_property
    def previous_prints(self) -> Mapping[int, str]:
        """Fingerprints of the previous session by number."""
        return _by_number(self.previous)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Numbers by fingerprint; empty if URIs repeat, since they then identify nothing."""
        numbers = {found: number for number, found in self.prints.items()}
        return numbers if len(numbers) == len(self.prints) else {}


class Movement(StrEnum):
    """What a reload of a live playlist means, given the reloads before."""

    ADVANCED = "advanced"  # it lists new segments
    UNCHANGED = "unchanged"  # nothing new; also a slightly old response of a cache
    STALE = "stale"  # a list of the previous session
    RESTARTED = "restarted"  # a new session: numbers restarted, media is new
    RESET = "reset"  # like a new session, but without proof that its media is new
    REGRESSED = "regressed"  # it went back, to earlier or unknown media


@dataclass(frozen=True)
class PlaylistPosition:
    """The segments of a playlist that were ingested so far.

    Attributes:
        next_sequence: media sequence expected next; None before the first segment.
        last_date_time: program date time of the last segment, if it had one.
        memory: recently ingested segments.
        head: highest first number of a reload in this session; None if unknown.
        durations: seconds of previously listed segments, by number.
    """

    next_sequence: int | None = None
    last_date_time: datetime | None = None
    memory: SegmentMemory = field(default_factory=SegmentMemory)
    head: int | None = None
    durations: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PlaylistAssessment:
    """Assessment of a reload.

    Attributes:
        movement: what it means. `RESET` and `REGRESSED` may come from one inconsistent cache: act
            on them after several reloads in a row, or when the list advances.
        fresh: the segments to ingest, for `ADVANCED` and `RESTARTED`.
        advances: how often the list must advance to be a new session, for `RESET` and `REGRESSED`.
    """

    movement: Movement
    fresh: tuple[ListedSegment, ...] = ()
    advances: int = 0


_UNCHANGED: Final = PlaylistAssessment(Movement.UNCHANGED)


def believable_jump(
    segments: Sequence[ListedSegment], *, elapsed: float, interval: float | None
) -> int:
    """Return the largest plausible jump in numbers since the playlist was last read.

    Args:
        segments: the segments it lists now.
        elapsed: seconds of wall clock since the last new segment.
        interval: seconds of wall clock between new segments, if known.
    """
    durations = [each.duration for each in segments if each.duration > 0]
    typical = sum(durations) / len(durations) if durations else 1.0
    pace = max(min(typical, interval or typical), 0.02)
    return len(segments) + int(_SLACK * max(elapsed, 0.0) / pace)


def assess_playlist(
    playlist: MediaPlaylist, taken: PlaylistPosition, *, believable: int
) -> PlaylistAssessment:
    """Assess a reload, and select the segments to ingest.

    Args:
        playlist: the reload, numbered by `with_continued_numbers`.
        taken: the segments ingested so far.
        believable: largest plausible jump in numbers (`believable_jump`).
    """
    segments = playlist.segments
    upcoming = taken.next_sequence
    if not segments:
        return _UNCHANGED
    if upcoming is None:
        return PlaylistAssessment(Movement.ADVANCED, segments)
    known = taken.memory.prints
    overlap = [each for each in segments if each.sequence < upcoming and each.sequence in known]
    same = sum(known[each.sequence] == fingerprint(each.resource) for each in overlap)
    if same:
        return _of_same_session(segments, taken, upcoming)
    if overlap:
        return _under_other_names(segments, overlap, taken, upcoming)
    if segments[-1].sequence >= upcoming:
        return _ahead(segments, taken, upcoming, believable)
    return _behind(segments, taken, upcoming)


def with_continued_numbers(playlist: MediaPlaylist, taken: PlaylistPosition) -> MediaPlaylist:
    """Return a playlist without EXT-X-MEDIA-SEQUENCE, numbered to continue from `taken`.

    Such a playlist numbers its first segment 0, whichever it is, so that segments are matched by
    URI. Other playlists are returned unchanged.
    """
    upcoming = taken.next_sequence
    if playlist.media_sequence is not None or upcoming is None or not playlist.segments:
        return playlist
    found = _last_known(playlist.segments, taken.memory)
    if found is not None:
        place, number = found
        offset = number - playlist.segments[place].sequence
    elif taken.memory.numbers and playlist.segments[-1].sequence < upcoming:
        offset = upcoming - playlist.segments[0].sequence
    else:
        offset = 0
    if offset <= 0:
        return playlist
    return playlist.renumbered(offset)


def fingerprint(resource: Resource) -> str:
    """Return 6 characters that identify a segment's URI.

    Host and query are ignored, since the same segment may be listed with another edge's host name
    and with a renewed token.
    """
    try:
        path = urlsplit(resource.url).path
    except ValueError:
        path = resource.url
    part = resource.byte_range
    text = path if part is None else f"{path} {part.offset} {part.length}"
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4).digest()
    return base64.urlsafe_b64encode(digest).decode()[:_PRINT_LENGTH]


def _of_same_session(
    segments: tuple[ListedSegment, ...], taken: PlaylistPosition, upcoming: int
) -> PlaylistAssessment:
    """Known segments are listed under their numbers."""
    last = segments[-1].sequence
    if last >= upcoming:
        return _advance(segments, upcoming)
    if last < upcoming - 1 and _all_later(segments, taken.last_date_time):
        return PlaylistAssessment(
            Movement.RESTARTED, segments
        )  # a new session with the same file names
    if _is_slightly_old(segments, upcoming):
        return _UNCHANGED
    return PlaylistAssessment(Movement.REGRESSED, advances=3)


def _under_other_names(
    segments: tuple[ListedSegment, ...],
    overlap: Sequence[ListedSegment],
    taken: PlaylistPosition,
    upcoming: int,
) -> PlaylistAssessment:
    """All known numbers have other URIs: a new session, or the same one with renewed tokens."""
    renumbered = _after_known(segments, taken.memory)
    if renumbered is not None:
        return _restart(renumbered)
    if _any_later(overlap, taken.last_date_time):
        return _restart(_later(segments, taken.last_date_time))
    dated = taken.last_date_time is not None and overlap[-1].program_date_time is not None
    if segments[-1].sequence < upcoming - 1:
        return PlaylistAssessment(Movement.REGRESSED, advances=2 if dated else 1)
    slid_on = taken.head is None or segments[0].sequence >= taken.head
    if slid_on and (dated or _equally_long(overlap, taken.durations)):
        return _advance(segments, upcoming)
    return PlaylistAssessment(Movement.RESTARTED, segments)


def _ahead(
    segments: tuple[ListedSegment, ...], taken: PlaylistPosition, upcoming: int, believable: int
) -> PlaylistAssessment:
    """New numbers, with nothing known before them."""
    skipped = segments[0].sequence - upcoming
    if skipped <= 0:
        return _advance(segments, upcoming)
    before = taken.memory.previous_prints
    if all(before.get(each.sequence) == fingerprint(each.resource) for each in segments):
        return PlaylistAssessment(Movement.STALE)
    if skipped <= believable:
        return _advance(segments, upcoming)
    renumbered = _after_known(segments, taken.memory)
    if renumbered is not None:
        return _restart(renumbered)
    return _restart(_later(segments, taken.last_date_time) or segments)


def _behind(
    segments: tuple[ListedSegment, ...], taken: PlaylistPosition, upcoming: int
) -> PlaylistAssessment:
    """Numbers below those taken, none of which is remembered."""
    renumbered = _after_known(segments, taken.memory)
    if renumbered is not None:
        return _restart(renumbered)
    before, latest = taken.last_date_time, segments[-1].program_date_time
    if _any_later(segments, before):
        return _restart(_later(segments, before))
    if _is_slightly_old(segments, upcoming):
        return _UNCHANGED
    if latest is not None and before is not None:
        return PlaylistAssessment(Movement.REGRESSED, advances=3)
    if any(each.discontinuity for each in segments):
        return PlaylistAssessment(Movement.RESET, advances=1)
    return PlaylistAssessment(Movement.REGRESSED, advances=2)


def _advance(segments: tuple[ListedSegment, ...], upcoming: int) -> PlaylistAssessment:
    fresh = tuple(each for each in segments if each.sequence >= upcoming)
    return PlaylistAssessment(Movement.ADVANCED, fresh) if fresh else _UNCHANGED


def _restart(fresh: tuple[ListedSegment, ...]) -> PlaylistAssessment:
    return PlaylistAssessment(Movement.RESTARTED, fresh) if fresh else _UNCHANGED


def _is_slightly_old(segments: Sequence[ListedSegment], upcoming: int) -> bool:
    return upcoming - 1 - segments[-1].sequence <= max(len(segments), _SLIGHTLY_OLD)


def _all_later(segments: Sequence[ListedSegment], last: datetime | None) -> bool:
    return last is not None and all(
        each.program_date_time is not None and each.program_date_time > last for each in segments
    )


def _any_later(segments: Sequence[ListedSegment], last: datetime | None) -> bool:
    """Return True if any is dated later than all that was taken.

    A quarter of a segment of difference is left to packagers that correct their clock.
    """
    return last is not None and any(
        each.program_date_time is not None
        and each.program_date_time > last + timedelta(seconds=each.duration / 4)
        for each in segments
    )


def _later(segments: tuple[ListedSegment, ...], last: datetime | None) -> tuple[ListedSegment, ...]:
    """Return the segments of a new session that are new media, by their program date time.

    A packager that numbers anew may still list, under new numbers, what was taken already.
    """
    return tuple(
        each
        for each in segments
        if last is None or each.program_date_time is None or each.program_date_time > last
    )


def _equally_long(segments: Sequence[ListedSegment], durations: Mapping[int, float]) -> bool:
    return all(
        abs(durations.get(each.sequence, each.duration) - each.duration) <= 0.001  # noqa: PLR2004
        for each in segments
    )


def _after_known(
    segments: tuple[ListedSegment, ...], memory: SegmentMemory
) -> tuple[ListedSegment, ...] | None:
    """Return what follows the last segment whose URI is known; None where none is."""
    found = _last_known(segments, memory)
    return None if found is None else segments[found[0] + 1 :]


def _last_known(segments: Sequence[ListedSegment], memory: SegmentMemory) -> tuple[int, int] | None:
    """Return the place of the last segment whose URI is known, and its number when taken."""
    if not memory.numbers:
        return None
    prints = [fingerprint(each.resource) for each in segments]
    if len(set(prints)) < len(prints):
        return None
    for place in reversed(range(len(prints))):
        if prints[place] in memory.numbers:
            return place, memory.numbers[prints[place]]
    return None


def _by_number(runs: Sequence[FingerprintRun]) -> dict[int, str]:
    return {
        run.first + n // _PRINT_LENGTH: run.prints[n : n + _PRINT_LENGTH]
        for run in runs
        for n in range(0, len(run.prints), _PRINT_LENGTH)
    }
