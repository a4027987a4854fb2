"""Decisions in order of media time.

There are two kinds of event: an exceptional candidate is decided at its own peak; the other
candidates of a window are decided together when the window closes. Events are processed in order of
media time, not of arrival, so that the outcome depends on the candidates alone. `settle_early`
decides earlier only what no later candidate can change.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from domain.highlights.selection.models import Tier
from domain.highlights.selection.timeline import (
    Conflict,
    OpenCandidate,
    SelectionRules,
    SelectionTimeline,
    SpacingIndex,
)
from domain.highlights.similarity import choose_diverse

POOL: Final = 4
"""Times the quota among which variety is sought: beyond, score would be given up for nothing."""


class Cause(StrEnum):
    """Cause of a decision; also the code of its reason."""

    __hash__ = str.__hash__  # an enumeration's own is slow, and this one is looked up by thousands

    EXCEPTIONAL = "exceptional"
    OVERRIDE = "override"
    OVERRIDE_LIMIT = "override_limit"
    WINDOW_CLOSED = "window_closed"
    SAFE_EARLY = "safe_early"
    LATE_FREE = "late_place_free"
    BEST_OF = "best_of"
    SPACING = "spacing"
    SIMILAR = "similar"
    NEXT_WINDOW = "next_window"
    WINDOW_QUOTA = "window_quota"
    HOUR_QUOTA = "hour_quota"
    VARIETY = "variety"
    FILLED = "filled"


CONFIRMING: Final = frozenset(
    {
        Cause.EXCEPTIONAL,
        Cause.OVERRIDE,
        Cause.WINDOW_CLOSED,
        Cause.SAFE_EARLY,
        Cause.LATE_FREE,
        Cause.BEST_OF,
    }
)


class SelectionVerdict(NamedTuple):
    """Decision on one candidate: its cause, and for an override the limit that it overrode."""

    entry: OpenCandidate
    cause: Cause
    conflict: Conflict | None = None
    overridden: Cause | None = None

    @property
    def confirmed(self) -> bool:
        """True if the candidate becomes a highlight."""
        return self.cause in CONFIRMING


class Resolution:
    """The confirmed timeline, the open candidates, and the verdicts so far."""

    def __init__(
        self, rules: SelectionRules, timeline: SelectionTimeline, entries: Iterable[OpenCandidate]
    ) -> None:
        self._rules = rules
        self._timeline = timeline
        self._ordinary: defaultdict[int, list[OpenCandidate]] = defaultdict(list)
        self._exceptional: list[OpenCandidate] = []
        self.verdicts: list[SelectionVerdict] = []
        for entry in entries:
            self._admit(entry)

    def copy(self) -> Resolution:
        """Return an independent copy without the verdicts."""
        return Resolution(self._rules, self._timeline.copy(), self.open())

    def open(self) -> list[OpenCandidate]:
        """Return the undecided candidates, unordered."""
        return [*self._exceptional, *(item for items in self._ordinary.values() for item in items)]

    def _admit(self, entry: OpenCandidate) -> None:
        if entry.tier is Tier.EXCEPTIONAL:
            self._exceptional.append(entry)
        else:
            self._ordinary[self._rules.window_of(entry.peak)].append(entry)

    def decide_late_arrival(self, entry: OpenCandidate, first_open: float) -> None:
        """Process a candidate whose peak the watermark has passed; confirmed highlights stay.

        An exceptional candidate, or one whose window is closed, is decided at once; another joins
        the open candidates of its window.
        """
        if entry.tier is Tier.EXCEPTIONAL:
            self._decide_exceptional(entry)
        elif (window := self._rules.window_of(entry.peak)) >= first_open:
            self._ordinary[window].append(entry)
        else:
            self._decide_late(entry, window)

    def _decide_late(self, entry: OpenCandidate, window: int) -> None:
        ahead = SpacingIndex(self._rules, (item for item in self.open() if item.rank < entry.rank))
        conflict = self._conflict_with_confirmed(entry) or ahead.conflict(entry)
        if conflict is not None:
            self._refuse(entry, _kind(conflict), conflict)
        elif (full := self._full(window, entry.tier)) is not None:
            self._refuse(entry, full)
        else:
            self._confirm(entry, Cause.BEST_OF if _is_weak(entry) else Cause.LATE_FREE)

    def advance(self, until: float) -> None:
        """Process every event up to the watermark `until` (s, or infinity)."""
        due = sorted(
            (entry for entry in self._exceptional if entry.peak < until),
            key=lambda entry: (entry.peak, entry.rank),
        )
        self._exceptional = [entry for entry in self._exceptional if entry.peak >= until]
        peaks = deque(due)
        for window in sorted(self._ordinary):
            close = self._rules.closes_at(window)
            if close > until:
                break
            while peaks and peaks[0].peak < close:
                self._decide_exceptional(peaks.popleft())
            self._close(window)
        for entry in peaks:
            self._decide_exceptional(entry)

    def _decide_exceptional(self, entry: OpenCandidate) -> None:
        window = self._rules.window_of(entry.peak)
        same = self._timeline.placed.same(entry) or self._shown_before(entry)
        if same is not None:
            self._refuse(entry, Cause.SIMILAR, same)
            return
        near = self._timeline.placed.too_near(entry) or self._near_past(entry)
        broken = Cause.SPACING if near is not None else self._full(window)
        if broken is None:
            self._confirm(entry, Cause.EXCEPTIONAL)
        elif self._timeline.overrides_left(window) > 0:
            self._timeline.place(entry, override=True)
            self.verdicts.append(SelectionVerdict(entry, Cause.OVERRIDE, near, broken))
        else:
            self.verdicts.append(SelectionVerdict(entry, Cause.OVERRIDE_LIMIT, near, broken))

    def _close(self, window: int) -> None:
        """Decide the ordinary candidates of a window, best first, then the weak ones."""
        ranked = sorted(self._ordinary.pop(window), key=lambda item: item.rank)
        items = [item for item in ranked if not _is_weak(item)]
        next_window = self._next_window(window)
        survivors: list[OpenCandidate] = []
        spacing = SpacingIndex(self._rules)
        limits = self._rules.limits
        places = min(self._timeline.window_room(window), self._timeline.hour_room(window))
        scarce = self._short(window)
        wanted = places if limits.diversity == 0 else POOL * limits.per_window
        for entry in items:
            if len(survivors) >= max(0, wanted):
                near = spacing.too_near(entry) or self._timeline.placed.too_near(entry)
                self._refuse(entry, Cause.SPACING if near else scarce, near)
            elif (conflict := self._conflict_with_confirmed(entry)) is not None:
                self._refuse(entry, _kind(conflict), conflict)
            elif (across := next_window.ahead_of(entry)) is not None:
                self._refuse(entry, Cause.NEXT_WINDOW, across)
            elif (conflict := spacing.conflict(entry)) is not None:
                self._refuse(entry, _kind(conflict), conflict)
            else:
                survivors.append(entry)
                spacing.add(entry)
        self._assign_places(survivors, places, scarce)
        self._fill(window, [item for item in ranked if _is_weak(item)], next_window)

    def _fill(self, window: int, weak: Sequence[OpenCandidate], next_window: _NextWindow) -> None:
        """Give places that no good candidate took to the best candidates below the threshold."""
        for entry in weak:
            if (conflict := self._conflict_with_confirmed(entry)) is not None:
                self._refuse(entry, _kind(conflict), conflict)
            elif (across := next_window.ahead_of(entry)) is not None:
                self._refuse(entry, Cause.NEXT_WINDOW, across)
            elif (full := self._full(window, entry.tier)) is not None:
                self._refuse(entry, full)
            else:
                self._confirm(entry, Cause.BEST_OF)

    def _assign_places(
        self, survivors: Sequence[OpenCandidate], places: int, scarce: Cause
    ) -> None:
        limits = self._rules.limits
        chosen = set(range(max(0, places)))
        if limits.diversity > 0 and places < len(survivors):
            chosen = set(
                choose_diverse(
                    survivors,
                    [item.score for item in survivors],
                    places=max(0, places),
                    weight=limits.diversity,
                    method=limits.diversity_method,
                )
            )
        for index, entry in enumerate(survivors):
            if index in chosen:
                self._confirm(entry, Cause.WINDOW_CLOSED)
            else:
                self._refuse(entry, Cause.VARIETY if index < places else scarce)

    def _next_window(self, window: int) -> _NextWindow:
        close = self._rules.closes_at(window)
        later = self._ordinary.get(window + 1, ())
        near = (item for item in later if item.peak < close)
        return _NextWindow((item for item in near if not self._is_shown(item)), self._rules)

    def settle_early(self, watermark: float) -> None:
        """Decide what no candidate with a peak at or after `watermark` can change.

        Only in the first open window, on which the later windows depend. Repeats until nothing
        changes, since each decision may make another certain.
        """
        window = self._rules.first_open(watermark)
        reached = -1
        while window in self._ordinary and reached < len(self.verdicts):
            reached = len(self.verdicts)
            self._settle_window(window, watermark)
        self._refuse_shown()

    def _refuse_shown(self) -> None:
        """Reject candidates of all windows whose seconds a confirmed highlight shows.

        Their own events would reject them too, since confirmed highlights stay.
        """
        for item in self._exceptional:
            if self._is_shown(item):
                self._refuse(item, Cause.SIMILAR, self._timeline.placed.same(item))
        self._exceptional = [item for item in self._exceptional if not self._is_shown(item)]
        for window, items in list(self._ordinary.items()):
            left = [item for item in items if not self._is_shown(item)]
            for item in items:
                if item not in left:
                    self._refuse(item, Cause.SIMILAR, self._timeline.placed.same(item))
            if left:
                self._ordinary[window] = left
            else:
                del self._ordinary[window]

    def _is_shown(self, entry: OpenCandidate) -> bool:
        return self._timeline.placed.same(entry) is not None

    def _settle_window(self, window: int, watermark: float) -> None:
        rules = self._rules
        ranked = sorted(self._ordinary[window], key=lambda item: item.rank)
        items = [item for item in ranked if not _is_weak(item)]
        close = rules.closes_at(window)
        coming = [item for item in self._exceptional if item.peak < close + rules.reach]
        unsettled = SpacingIndex(rules, coming)
        next_window = self._next_window(window)
        ahead_window = sum(rules.window_of(item.peak) == window for item in coming)
        ahead_hour = sum(item.peak < close for item in coming)
        future_window = _capacity(watermark, rules.ends_at(window), rules.spacing)
        future_hour = _capacity(watermark, close, rules.spacing)
        left: list[OpenCandidate] = []
        for index, entry in enumerate(items):
            others = (
                len(left) if rules.limits.diversity == 0 else len(left) + len(items) - index - 1
            )
            conflict = self._conflict_with_confirmed(entry)
            if conflict is not None:
                self._refuse(entry, _kind(conflict), conflict)
            elif (full := self._full(window)) is not None:
                self._refuse(entry, full)
            elif (
                watermark >= entry.peak + rules.reach
                and ahead_window + others + future_window < self._timeline.window_room(window)
                and ahead_hour + others + future_hour < self._timeline.hour_room(window)
                and unsettled.conflict(entry) is None
                and next_window.ahead_of(entry) is None
            ):
                self._confirm(entry, Cause.SAFE_EARLY)
            else:
                left.append(entry)
                unsettled.add(entry)
        left += [item for item in ranked if _is_weak(item)]
        if left:
            self._ordinary[window] = left
        else:
            del self._ordinary[window]

    def next_change(self, watermark: float) -> float | None:
        """Return the smallest later watermark (s) that decides anything by itself."""
        times = sorted(time for time in self._turning_points(watermark) if time > watermark)
        low, high = 0, len(times)
        while low < high:
            middle = (low + high) // 2
            trial = self.copy()
            trial.advance(times[middle])
            trial.settle_early(times[middle])
            if trial.verdicts:
                high = middle
            else:
                low = middle + 1
        return times[low] if low < len(times) else None

    def _turning_points(self, watermark: float) -> set[float]:
        rules = self._rules
        points = {math.nextafter(item.peak, math.inf) for item in self._exceptional}
        for window, items in self._ordinary.items():
            close = rules.closes_at(window)
            points.update((rules.closes_at(window - 1), close))
            points.update(item.peak + rules.reach for item in items)
            if rules.spacing > 0:
                for bound in (rules.ends_at(window), close):
                    steps = _capacity(watermark, bound, rules.spacing)
                    points.update(bound - step * rules.spacing for step in range(int(steps) + 1))
        return points

    def _conflict_with_confirmed(self, entry: OpenCandidate) -> Conflict | None:
        return (
            self._timeline.placed.conflict(entry)
            or self._near_past(entry)
            or self._shown_before(entry)
        )

    def _shown_before(self, entry: OpenCandidate) -> Conflict | None:
        """Return the conflict with a highlight of which only the bounds are still known."""
        past = self._timeline.shows(entry)
        if past is None:
            return None
        words = "it shows the same seconds as a highlight confirmed long before"
        return Conflict(None, abs(past.peak - entry.peak), words)

    def _near_past(self, entry: OpenCandidate) -> Conflict | None:
        distance = self._timeline.near_past(entry.peak)
        return None if distance is None else Conflict(None, distance, None)

    def _full(self, window: int, tier: Tier = Tier.STANDARD) -> Cause | None:
        """Return why a window has no place for a candidate of this tier; None if it has one."""
        if self._timeline.window_room(window) <= 0:
            return Cause.WINDOW_QUOTA
        if tier is Tier.BELOW and self._timeline.fill_room(window) <= 0:
            return Cause.FILLED
        return Cause.HOUR_QUOTA if self._timeline.hour_room(window) <= 0 else None

    def _short(self, window: int) -> Cause:
        """Return the tighter of the two quotas."""
        tight = self._timeline.hour_room(window) < self._timeline.window_room(window)
        return Cause.HOUR_QUOTA if tight else Cause.WINDOW_QUOTA

    def _confirm(self, entry: OpenCandidate, cause: Cause) -> None:
        self._timeline.place(entry)
        self.verdicts.append(SelectionVerdict(entry, cause))

    def _refuse(self, entry: OpenCandidate, cause: Cause, conflict: Conflict | None = None) -> None:
        self.verdicts.append(SelectionVerdict(entry, cause, conflict))


def _is_weak(entry: OpenCandidate) -> bool:
    """Return True if a candidate is below the threshold and can only fill a window."""
    return entry.tier is Tier.BELOW


def _kind(conflict: Conflict) -> Cause:
    return Cause.SPACING if conflict.sameness is None else Cause.SIMILAR


def _capacity(start: float, end: float, spacing: float) -> float:
    """Return how many peaks at least `spacing` s apart fit into `start` <= peak < `end` (s)."""
    if start >= end:
        return 0
    return math.inf if spacing == 0 else math.ceil((end - start) / spacing)


class _NextWindow:
    """The ordinary candidates just after a window's end; finds a better one that follows.

    They lie within one spacing of each other, so that checking the best one nearby is enough.
    """

    def __init__(self, items: Iterable[OpenCandidate], rules: SelectionRules) -> None:
        self._spacing = rules.spacing
        self._best: list[OpenCandidate] = []
        for item in sorted(items, key=lambda item: item.peak):
            if not self._best or item.rank < self._best[-1].rank:
                self._best.append(item)
        self._peaks = [item.peak for item in self._best]

    def ahead_of(self, entry: OpenCandidate) -> Conflict | None:
        """Return the best one less than the minimum spacing after `entry`, if it is better."""
        near = bisect_left(self._peaks, entry.peak + self._spacing)
        if near == 0 or self._best[near - 1].rank > entry.rank:
            return None
        other = self._best[near - 1]
        return Conflict(other, other.peak - entry.peak, None)
