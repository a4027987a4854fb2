"""Whether a reading of a live playlist goes on where we were, lags behind, or is a new session.

What decides is the identity of segments: number and URI together. A date alone proves nothing,
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
"""Segments remembered of a session: more than live playlists list, yet few bytes of a cursor."""

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
    """The segments taken lately: of the current session and of the one before it."""

    current: tuple[FingerprintRun, ...] = ()
    previous: tuple[FingerprintRun, ...] = ()

    def took(self, segment: ListedSegment) -> Self:
        """Return the memory with one more segment; the oldest one is forgotten."""
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
        """Return the memory at the beginning of a new session."""
        return type(self)(current=(), previous=self.current or self.previous)

    @cached_property
    def prints(self) -> Mapping[int, str]:
        """Fingerprints of the current session by number; the latest where one was taken twice."""
        return _by_number(self.current)

    @cached_property
    def previous_prints(self) -> Mapping[int, str]:
        """Fingerprints of the session before by number."""
        return _by_number(self.previous)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Numbers by fingerprint; empty where names repeat, since they then identify nothing."""
        numbers = {found: number for number, found in self.prints.items()}
        return numbers if len(numbers) == len(self.prints) else {}


class Movement(StrEnum):
    """What a new reading of a live playlist means, given what was read before."""

    ADVANCED = "advanced"  # it lists segments not seen yet
    UNCHANGED = "unchanged"  # nothing new; also a cache's answer that is slightly old
    STALE = "stale"  # a list of the session before
    RESTARTED = "restarted"  # a new session: its numbers began again, its media is new
    RESET = "reset"  # looks like a new session, but nothing proves that its media is new
    REGRESSED = "regressed"  # it went back, to media of the past or to unknown media


@dataclass(frozen=True)
class PlaylistPosition:
    """What has been taken of a stream so far.

    Attributes:
        next_sequence: the media sequence expected next; None before the first segment.
        last_date_time: program date time of the last segment taken, if it had one.
        memory: segments taken lately.
        head: highest number that a reading of this session began with; None where unknown.
        durations: seconds of segments listed before, by number.
    """

    next_sequence: int | None = None
    last_date_time: datetime | None = None
    memory: SegmentMemory = field(default_factory=SegmentMemory)
    head: int | None = None
    durations: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PlaylistAssessment:
    """What a reading means.

    Attributes:
        movement: what it means. `RESET` and `REGRESSED` may come from one confused cache: believe
            them when several readings in a row say so, or when the list advances.
        fresh: of `ADVANCED` and `RESTARTED`, the segments to take.
        advances: of `RESET` and `REGRESSED`, how often the list must advance to be a new session.
    """

    movement: Movement
    fresh: tuple[ListedSegment, ...] = ()
    advances: int = 0


_UNCHANGED: Final = PlaylistAssessment(Movement.UNCHANGED)


def believable_jump(
    segments: Sequence[ListedSegment], *, elapsed: float, interval: float | None
) -> int:
    """Return how many numbers a live playlist may have skipped since it was last read.

    Args:
        segments: what it lists now.
        elapsed: seconds of wall clock since the last new segment.
        interval: seconds of wall clock between new segments, where known.
    """
    durations = [each.duration for each in segments if each.duration > 0]
    typical = sum(durations) / len(durations) if durations else 1.0
    pace = max(min(typical, interval or typical), 0.02)
    return len(segments) + int(_SLACK * max(elapsed, 0.0) / pace)


def assess_playlist(
    playlist: MediaPlaylist, taken: PlaylistPosition, *, believable: int
) -> PlaylistAssessment:
    """Say what a reading means, and which of its segments are to be taken.

    Args:
        playlist: the reading, with numbers as `with_continued_numbers` gives them.
        taken: what has been taken so far.
        believable: how many numbers the playlist may have skipped (`believable_jump`).
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
    """Return a playlist that tells no media sequence numbers with numbers that go on from ours.

    Without EXT-X-MEDIA-SEQUENCE the first segment counts as number 0, whichever it is; what ties
    such a list to what was taken is the URIs.
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
    segments = tuple(
        each.model_copy(update={"sequence": each.sequence + offset}) for each in playlist.segments
    )
    ranges = tuple(
        each.model_copy(update={"sequence": each.sequence + offset})
        for each in playlist.date_ranges
    )
    return playlist.model_copy(update={"segments": segments, "date_ranges": ranges})


def fingerprint(resource: Resource) -> str:
    """Return 6 characters that tell apart the URIs of segments.

    Host and query are left out: the same segment is listed with another edge's name and with a
    renewed token.
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
