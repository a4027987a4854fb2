"""Where a clip begins and ends: around its moment, at points where a cut does not hurt.

A candidate while its fate is open, in the light form in which many are compared.

What stands already: where a newcomer would stand too near, be the same, or be too many.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection.models import (
    ConfirmedHighlight,
    ConfirmedPeak,
    OpenCandidateState,
    Tier,
)
from domain.highlights.similarity import (
    SHARED,
    SIMILAR_WITHIN,
    describe,
    same_moment,
    share_of_shorter,
)
from domain.profiles.model import ClipShape, GameProfile

SEARCH: Final = 1.5
"""Seconds by which a bound may move to reach a safe point: more would change what is shown."""


PEAK_MARGIN: Final = 0.5
"""Seconds that a cut at a safe point keeps from the peak, so that it is seen, not glimpsed."""


LEAD_SHARE: Final = 2 / 3
"""Share of added or kept length that lies before the peak: what leads up explains the moment, and
what follows must be waited for."""


class ClipBounds(NamedTuple):
    """`start`..`end` in seconds of media time, and how safe points moved them (s; 0: not)."""

    start: float
    end: float
    start_moved: float = 0.0
    end_moved: float = 0.0


def clip_bounds(
    *,
    start: float,
    peak: float,
    end: float,
    shape: ClipShape,
    safe_starts: Sequence[float] = (),
    safe_ends: Sequence[float] = (),
    available: tuple[float, float] = (0.0, float("inf")),
) -> ClipBounds:
    """Return the bounds of the clip of the moment `start` <= `peak` <= `end` (seconds).

    Pre- and post-roll are added; a moment that is too long is cut around its peak, a clip that is
    too short grows; then each bound moves to the nearest safe point within `SEARCH`, if that
    keeps the length within the shape's limits. The result lies within `available`, holds the
    peak exactly, is at most `max_length` long, and at least `min_length` where so much is available
    (both up to the rounding of floats).

    Raises:
        ValueError: the peak lies outside `available`.
    """
    earliest, latest = available
    if not earliest <= peak <= latest:
        raise ValueError(f"the peak at {peak:.3f} s lies outside {earliest:.3f}..{latest:.3f} s")
    first = max(earliest, start - shape.pre_roll)
    last = min(latest, end + shape.post_roll)
    first, last = _shorten(first, peak, last, shape.max_length)
    first, last = _lengthen(first, last, shape.min_length, available)
    least = min(shape.min_length, last - first)

    begin = _nearest(
        safe_starts,
        first,
        low=max(earliest, last - shape.max_length),
        high=min(max(start, first), peak - PEAK_MARGIN, last - least),
    )
    finish = _nearest(
        safe_ends,
        last,
        low=max(min(end, last), peak + PEAK_MARGIN, begin + least),
        high=min(latest, begin + shape.max_length),
    )
    return ClipBounds(begin, finish, begin - first, finish - last)


def _shorten(first: float, peak: float, last: float, longest: float) -> tuple[float, float]:
    if last - first <= longest:
        return first, last
    first = max(first, min(peak - longest * LEAD_SHARE, last - longest))
    # A sum of floats may round to just before a peak that is the last instant there is.
    return first, max(peak, min(last, first + longest))


def _lengthen(
    first: float, last: float, shortest: float, available: tuple[float, float]
) -> tuple[float, float]:
    missing = shortest - (last - first)
    if missing <= 0:
        return first, last
    last = min(available[1], last + missing * (1 - LEAD_SHARE))
    first = max(available[0], min(first, last - shortest))
    return first, min(available[1], max(last, first + shortest))


def _nearest(points: Sequence[float], target: float, *, low: float, high: float) -> float:
    """Return the point nearest to `target` within `SEARCH` and `low`..`high`, else `target`."""
    reachable = [
        point for point in points if low <= point <= high and abs(point - target) <= SEARCH
    ]
    return min(reachable, key=lambda point: (abs(point - target), point), default=target)


class OpenCandidate:
    """A candidate with its combined score, tier and rank; `peak` in seconds of media time.

    A plain class: a stream may bring a hundred thousand, most of which are refused on sight.
    `rank` sorts the best first: score, then confidence, then the earlier, then the id. `improved`
    tells that a better version of a known candidate has come in this call.
    """

    __slots__ = (
        *("_text", "bounds", "candidate", "improved", "late", "peak", "rank", "score", "shown"),
        "tier",
    )

    def __init__(self, candidate: HighlightCandidate, score: float, tier: Tier) -> None:
        self.candidate = candidate
        self.score = score
        self.tier = tier
        self.peak = candidate.peak
        self.rank = (-score, -candidate.score.confidence, candidate.peak, candidate.id.int)
        self.bounds: ClipBounds | None = None
        self.shown = False
        self.late = False
        self.improved = False
        self._text: str | None = None

    @classmethod
    def of(cls, state: OpenCandidateState) -> OpenCandidate:
        """Return the entry that an earlier call left open."""
        entry = cls(state.candidate, state.score, state.tier)
        entry.bounds = ClipBounds(
            state.clip_start, state.clip_end, state.start_moved, state.end_moved
        )
        entry.shown, entry.late = state.shown, state.late
        entry._text = state.text
        return entry

    def state(self, bounds: ClipBounds) -> OpenCandidateState:
        """Return what the next call must know of it."""
        return OpenCandidateState(
            candidate=self.candidate.replace(
                description="",
                commentary="",
                evidence=(),
                corrections=(),
                safe_starts=(),
                safe_ends=(),
            ),
            score=self.score,
            tier=self.tier,
            clip_start=bounds.start,
            clip_end=bounds.end,
            start_moved=bounds.start_moved,
            end_moved=bounds.end_moved,
            text=self.text,
            shown=self.shown,
            late=self.late,
        )

    @property
    def id(self) -> UUID:
        """The candidate's id."""
        return self.candidate.id

    @property
    def title(self) -> str:
        """The candidate's title."""
        return self.candidate.title

    @property
    def start(self) -> float:
        """Seconds of media time."""
        return self.candidate.start

    @property
    def end(self) -> float:
        """Seconds of media time."""
        return self.candidate.end

    @property
    def clip(self) -> tuple[float, float]:
        """What its clip shows (s), or the moment's span while its bounds are open."""
        return (self.start, self.end) if self.bounds is None else self.bounds[:2]

    @property
    def text(self) -> str:
        """The words of title and description, as similarity compares them."""
        if self._text is None:
            self._text = describe(self.candidate.title, self.candidate.description)
        return self._text

    @property
    def tags(self) -> tuple[str, ...]:
        """The candidate's tags."""
        return self.candidate.tags

    @property
    def thumbnail_hash(self) -> str | None:
        """The candidate's perceptual hash in hexadecimal."""
        return self.candidate.thumbnail_hash


HOUR: Final = 3600.0


Item = TypeVar("Item", OpenCandidate, ConfirmedHighlight)


class Conflict(NamedTuple):
    """One that stands in the way: `sameness` in words if it is the same moment, else too near.

    `other` is None for one so old that only its peak is remembered; `distance` in seconds.
    """

    other: OpenCandidate | ConfirmedHighlight | None
    distance: float
    sameness: str | None


def same_seconds(one: OpenCandidate, two: OpenCandidate | ConfirmedHighlight) -> str | None:
    """Return in words that the clips of two moments share most of their seconds, else None."""
    shown = two.shown if isinstance(two, ConfirmedHighlight) else two.clip
    share = max(
        share_of_shorter(one.clip, shown),
        share_of_shorter((one.start, one.end), (two.start, two.end)),
    )
    return f"they share {share:.0%} of the shorter one's seconds" if share > SHARED else None


class SelectionRules:
    """A profile's limits in the form in which selection applies them; lengths in seconds."""

    def __init__(self, profile: GameProfile) -> None:
        limits = profile.selection
        self.limits = limits
        self.similarity = profile.similarity
        self.window = limits.window
        self.spacing = limits.min_spacing
        self.reach = max(limits.min_spacing, SIMILAR_WITHIN, profile.clip.max_length)
        self.hour = math.ceil(HOUR / limits.window) + 1
        """Windows that together hold any hour, however it lies across their edges."""

    def window_of(self, peak: float) -> int:
        """Return the number of the window that holds `peak`."""
        return int(peak // self.window)

    def ends_at(self, window: int) -> float:
        """Return the media time (s) just after the window's last instant."""
        return (window + 1) * self.window

    def closes_at(self, window: int) -> float:
        """Return the watermark (s) at which the window is decided.

        One spacing after its end, so that what follows just across the edge is known.
        """
        return self.ends_at(window) + self.spacing

    def first_open(self, watermark: float) -> int:
        """Return the number of the first window that is not decided at `watermark`."""
        window = max(0, self.window_of(watermark) - 2)
        while self.closes_at(window) <= watermark:
            window += 1
        return window


class SpacingIndex(Generic[Item]):
    """Moments in order of peak, asked for the one that a newcomer conflicts with."""

    def __init__(self, rules: SelectionRules, items: Iterable[Item] = ()) -> None:
        self._rules = rules
        self._items: list[Item] = sorted(items, key=lambda item: item.peak)
        self._peaks: list[float] = [item.peak for item in self._items]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def add(self, item: Item) -> None:
        """Take in one more; O(log n) comparisons."""
        at = bisect_right(self._peaks, item.peak)
        self._peaks.insert(at, item.peak)
        self._items.insert(at, item)

    def copy(self) -> SpacingIndex[Item]:
        """Return an independent copy."""
        twin: SpacingIndex[Item] = SpacingIndex(self._rules)
        twin._items, twin._peaks = self._items.copy(), self._peaks.copy()
        return twin

    def too_near(self, entry: OpenCandidate) -> Conflict | None:
        """Return the nearest one within the minimum spacing, if any; O(log n)."""
        peaks, peak = self._peaks, entry.peak
        at = bisect_left(peaks, peak)
        nearest, distance = -1, self._rules.spacing
        if at > 0 and (before := peak - peaks[at - 1]) < distance:
            nearest, distance = at - 1, before
        if at < len(peaks) and (after := peaks[at] - peak) < distance:
            nearest, distance = at, after
        return None if nearest < 0 else Conflict(self._items[nearest], distance, None)

    def same(self, entry: OpenCandidate) -> Conflict | None:
        """Return the first one that is the same moment, if any."""
        low = bisect_right(self._peaks, entry.peak - self._rules.reach)
        high = bisect_left(self._peaks, entry.peak + self._rules.reach)
        for item in self._items[low:high]:
            words = same_seconds(entry, item) or same_moment(entry, item, self._rules.similarity)
            if words is not None:
                return Conflict(item, abs(item.peak - entry.peak), words)
        return None

    def conflict(self, entry: OpenCandidate) -> Conflict | None:
        """Return what forbids `entry` here, if anything."""
        return self.too_near(entry) or self.same(entry)


class SelectionTimeline:
    """The confirmed highlights: their places, and how many each window and hour holds.

    Only those in a regular place count towards quotas: an override takes nobody's place.
    """

    def __init__(
        self,
        rules: SelectionRules,
        placed: Iterable[ConfirmedHighlight],
        past: Iterable[ConfirmedPeak],
    ) -> None:
        self._rules = rules
        self.placed: SpacingIndex[ConfirmedHighlight] = SpacingIndex(rules)
        self._regular: Counter[int] = Counter()
        self._overrides: Counter[int] = Counter()
        self.past = tuple(past)
        self._past_peaks = sorted(item.peak for item in self.past)
        for item in placed:
            self.placed.add(item)
        for one in (*self.past, *self.placed):
            self._count(one.peak, override=one.override)

    def copy(self) -> SelectionTimeline:
        """Return an independent copy."""
        twin = SelectionTimeline(self._rules, (), ())
        twin.placed = self.placed.copy()
        twin._regular, twin._overrides = self._regular.copy(), self._overrides.copy()
        twin.past, twin._past_peaks = self.past, self._past_peaks
        return twin

    def place(self, entry: OpenCandidate, *, override: bool = False) -> None:
        """Let `entry` stand from now on."""
        self.placed.add(
            ConfirmedHighlight(
                id=entry.id,
                start=entry.start,
                peak=entry.peak,
                end=entry.end,
                clip_start=entry.clip[0],
                clip_end=entry.clip[1],
                title=entry.title,
                text=entry.text,
                tags=entry.tags,
                thumbnail_hash=entry.thumbnail_hash,
                override=override,
            )
        )
        self._count(entry.peak, override=override)

    def near_past(self, peak: float) -> float | None:
        """Return the distance (s) to an older highlight closer than the minimum spacing."""
        at = bisect_left(self._past_peaks, peak)
        near = (abs(other - peak) for other in self._past_peaks[max(0, at - 1) : at + 1])
        return min((gap for gap in near if gap < self._rules.spacing), default=None)

    def shows(self, entry: OpenCandidate) -> ConfirmedPeak | None:
        """Return an older highlight that shows most of the same seconds, if any."""
        reach = self._rules.reach
        return next(
            (
                one
                for one in self.past
                if abs(one.peak - entry.peak) < reach
                and share_of_shorter(entry.clip, one.shown) > SHARED
            ),
            None,
        )

    def overrides_left(self, window: int) -> int:
        """Return how many exceptional moments of the window may still ignore its limits."""
        return self._rules.limits.exceptional_per_window - self._overrides[window]

    def window_room(self, window: int) -> int:
        """Return how many more regular places the window has."""
        return self._rules.limits.per_window - self._regular[window]

    def hour_room(self, window: int) -> int:
        """Return how many more regular places every hour that touches the window has."""
        span = self._rules.hour
        counts = [self._regular[index] for index in range(window - span + 1, window + span)]
        held = most = sum(counts[:span])
        for index in range(span, len(counts)):
            held += counts[index] - counts[index - span]
            most = max(most, held)
        return self._rules.limits.per_hour - most

    def _count(self, peak: float, *, override: bool) -> None:
        counter = self._overrides if override else self._regular
        counter[self._rules.window_of(peak)] += 1
