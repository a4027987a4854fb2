"""The segments of a parsed HLS playlist, kept so that the next response need not repeat them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.ingest.playlist import ListedSegment, Resource, SegmentKey, SegmentPart
from infra.media.hls_attributes import Attributes


@dataclass(slots=True)
class PendingTags:
    """What the tags before a segment's URI say of it."""

    listed: bool = False  # EXTINF was there
    duration: float | None = None
    byte_range: str | None = None
    discontinuity: bool = False
    gap: bool = False
    date: datetime | None = None
    date_unreadable: bool = False
    parts: list[SegmentPart] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CarriedTags:
    """Tags that apply until others of their kind replace them."""

    initialization: Resource | None = None
    initialization_key: SegmentKey | None = None
    keys: tuple[tuple[str, SegmentKey], ...] = ()

    @property
    def key(self) -> SegmentKey | None:
        """The key that applies; None when segments are in the clear."""
        return dict(self.keys).get("identity") or next((key for _, key in self.keys), None)


@dataclass(slots=True)
class PlaylistEntry:
    """A segment.

    `duration` and `date` are filled in once the target duration is known, `ends` is the date after
    it, and `segment` what it was made into.
    """

    uri: str
    pending: PendingTags
    carried: CarriedTags
    duration: float = 0.0
    date: datetime | None = None
    ends: datetime | None = None
    segment: ListedSegment | None = None

    def is_followed_alike(self, other: PlaylistEntry) -> bool:
        """Return True if the same text after both means the same."""
        return (
            self.uri == other.uri
            and self.carried == other.carried
            and self.ends == other.ends
            and self.pending.byte_range == other.pending.byte_range
            and "@" in (self.pending.byte_range or "@")
        )


@dataclass(slots=True)
class ParsedPlaylist:
    """A response that was parsed, for the next one.

    Attributes:
        text: the response; empty for a delta update, whose segments are not all in it.
        base: its URL without the query.
        first: number of its first segment, and `numbered` if it says so.
        target: its target duration, if it says so.
        variables: what it defines.
        entries: all its segments.
        ends: where each ends in the text, less `origin`.
        reusable: number of entries before the first tag that concerns the whole playlist.
        date_ranges: each with the number of the segment that it stands before.
    """

    text: str
    base: str
    first: int
    numbered: bool
    target: float | None
    variables: Mapping[str, str]
    entries: list[PlaylistEntry]
    ends: array[int]
    origin: int
    reusable: int
    date_ranges: tuple[tuple[int, Attributes], ...]

    def end(self, place: int) -> int:
        """Return the position in the text after an entry."""
        return self.ends[place] + self.origin

    def last_unchanged(self, place: int, text: str, position: int) -> int:
        """Return the last reusable entry up to which `text` has the same as this one.

        Args:
            place: entry that the text at `position` follows.
            text: a later response.
            position: where to compare from.
        """
        begin = self.end(place)

        def differs(last: int) -> bool:
            return not text.startswith(self.text[begin : self.end(last)], position)

        last = self.reusable - 1
        if differs(last):
            last = bisect_left(range(last), x=True, lo=place + 1, key=differs) - 1
        return last
