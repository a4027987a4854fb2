"""Clip bounds, open candidates, and the timeline of confirmed highlights.

`SelectionTimeline` answers whether a candidate would be too near to, or the same moment as, a
confirmed highlight, and whether its window and hour have room left.
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
from domain.profiles.model import ClipShape, FillMethod, GameProfile

SEARCH: Final = 1.5
"""Seconds by which a bound may move to reach a safe point: more would change what is shown."""


PEAK_MARGIN: Final = 0.5
"""Seconds that a cut at a safe point keeps from the peak, so that it is seen, not glimpsed."""


LEAD_SHARE: Final = 2 / 3
"""Share of added or kept length that lies before the peak: what leads up explains the moment, and
what follows must be waited for."""


class ClipBounds(NamedTuple):
    """Clip bounds `start`..`end` (s of media time), and how far safe cuts moved them (s)."""

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
    """Return the clip bounds of the moment `start` <= `peak` <= `end` (seconds).

    Pre- and post-roll are added. A moment that is too long is cut around its peak, a clip that is
    too short is extended. Then each bound moves to the nearest safe point within `SEARCH`, if the
    length stays within the shape's limits. The result lies within `available`, contains the peak,
    is at most `max_length` long, and at least `min_length` if that much is available (both up to
    floating-point rounding).

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
    """An undecided candidate with combined score, tier and rank; `peak` in s of media time.

    A plain class for speed: a stream may deliver a hundred thousand, most of which are rejected on
    arrival. `rank` sorts the best first: score, confidence, earlier peak, id. `improved` is True if
    this call delivered a better version of a known candidate.
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
        """Return the open candidate that an earlier call stored."""
        entry = cls(state.candidate, state.score, state.tier)
        entry.bounds = ClipBounds(
            state.clip_start, state.clip_end, state.start_moved, state.end_moved
        )
        entry.shown, entry.late = state.shown, state.late
        entry._text = state.text
        return entry

    def state(self, bounds: ClipBounds) -> OpenCandidateState:
        """Return the state to store for the next call."""
        return OpenCandidateState(
            candidate=self.candidate.replace(
                description="",
                commentary="",
                evidence=(),
                corrections=(),
                safe_starts=(),
                safe_ends=(),
                titles=(),
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
        """Span (s) of its clip; the moment's span until its bounds are fixed."""
        return (self.start, self.end) if self.bounds is None else self.bounds[:2]

    @property
    def text(self) -> str:
        """Normalized words of title and description, for similarity."""
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
    """A highlight that conflicts with a candidate: the same moment (`sameness`), or too near.

    `other` is None if only the peak of the other is still known; `distance` is in seconds.
    """

    other: OpenCandidate | ConfirmedHighlight | None
    distance: float
    sameness: str | None


def same_seconds(one: OpenCandidate, two: OpenCandidate | ConfirmedHighlight) -> str | None:
    """Return a phrase if the clips of two moments share most of their seconds, else None."""
    shown = two.shown if isinstance(two, ConfirmedHighlight) else two.clip
    share = max(
        share_of_shorter(one.clip, shown),
        share_of_shorter((one.start, one.end), (two.start, two.end)),
    )
    return f"they share {share:.0%} of the shorter one's seconds" if share > SHARED else None


class SelectionRules:
    """A profile's limits as selection applies them; lengths in seconds."""

    def __init__(self, profile: GameProfile) -> None:
        limits = profile.selection
        self.limits = limits
        self.similarity = profile.similarity
        self.window = limits.window
        self.spacing = limits.min_spacing
        self.reach = max(limits.min_spacing, SIMILAR_WITHIN, profile.clip.max_length)
        self.fills = limits.fill is FillMethod.BEST_OF
        self.hour = math.ceil(HOUR / limits.window) + 1
        """Windows that together hold any hour, however it lies across their edges."""

    def window_of(self, peak: float) -> int:
        """Return the number of the window that contains `peak`."""
        return int(peak // self.window)

    def ends_at(self, window: int) -> float:
        """Return the media time (s) at which the window ends."""
        return (window + 1) * self.window

    def closes_at(self, window: int) -> float:
        """Return the watermark (s) at which the window is decided.

        That is one spacing after its end, so that candidates just after the end are known.
        """
        return self.ends_at(window) + self.spacing

    def first_open(self, watermark: float) -> int:
        """Return the number of the first window that is undecided at `watermark`."""
        window = max(0, self.window_of(watermark) - 2)
        while self.closes_at(window) <= watermark:
            window += 1
        return window


class SpacingIndex(Generic[Item]):
    """Moments sorted by peak; finds the one that conflicts with a candidate."""

    def __init__(self, rules: SelectionRules, items: Iterable[Item] = ()) -> None:
        self._rules = rules
        self._items: list[Item] = sorted(items, key=lambda item: item.peak)
        self._peaks: list[float] = [item.peak for item in self._items]

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def add(self, item: Item) -> None:
        """Add a moment; O(log n) comparisons."""
        at = bisect_right(self._peaks, item.peak)
        self._peaks.insert(at, item.peak)
        self._items.insert(at, item)

    def copy(self) -> SpacingIndex[Item]:
        """Return an independent copy."""
        twin: SpacingIndex[Item] = SpacingIndex(self._rules)
        twin._items, twin._peaks = self._items.copy(), self._peaks.copy()
        return twin

    def too_near(self, entry: OpenCandidate) -> Conflict | None:
        """Return the nearest moment within the minimum spacing, if any; O(log n)."""
        peaks, peak = self._peaks, entry.peak
        at = bisect_left(peaks, peak)
        nearest, distance = -1, self._rules.spacing
        if at > 0 and (before := peak - peaks[at - 1]) < distance:
            nearest, distance = at - 1, before
        if at < len(peaks) and (after := peaks[at] - peak) < distance:
            nearest, distance = at, after
        return None if nearest < 0 else Conflict(self._items[nearest], distance, None)

    def same(self, entry: OpenCandidate) -> Conflict | None:
        """Return the first moment that is the same as `entry`, if any."""
        low = bisect_right(self._peaks, entry.peak - self._rules.reach)
        high = bisect_left(self._peaks, entry.peak + self._rules.reach)
        for item in self._items[low:high]:
            words = same_seconds(entry, item) or same_moment(entry, item, self._rules.similarity)
            if words is not None:
                return Conflict(item, abs(item.peak - entry.peak), words)
        return None

    def conflict(self, entry: OpenCandidate) -> Conflict | None:
        """Return the conflict with `entry`, if any."""
        return self.too_near(entry) or self.same(entry)


class SelectionTimeline:
    """The confirmed highlights, and how many of them each window and hour has.

    Overrides do not count towards the quotas of windows and hours.
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
        """Add `entry` as a confirmed highlight."""
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
        """Return the distance (s) to an older highlight within the minimum spacing."""
        at = bisect_left(self._past_peaks, peak)
        near = (abs(other - peak) for other in self._past_peaks[max(0, at - 1) : at + 1])
        return min((gap for gap in near if gap < self._rules.spacing), default=None)

    def shows(self, entry: OpenCandidate) -> ConfirmedPeak | None:
        """Return an older highlight whose clip shows most of the same seconds, if any."""
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
        """Return how many more highlights fit into the window's quota."""
        return self._rules.limits.per_window - self._regular[window]

    def fill_room(self, window: int) -> int:
        """Return how many weak highlights fit into the window, until it has `fill_to`."""
        taken = self._regular[window] + self._overrides[window]
        return self._rules.limits.fill_to - taken

    def hour_room(self, window: int) -> int:
        """Return how many more highlights fit into every hour that touches the window."""
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
