"""Selection: its time, its quality against the optimum, and the score that variety costs.

Run with `python -m benchmarks.selection`; add `--quick` for smaller sizes.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import random
import statistics
import time
from collections.abc import Sequence
from uuid import UUID

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import (
    DecisionStatus,
    HighlightSelector,
    SelectionState,
    needs_selection,
)
from domain.highlights.selection.models import Tier
from domain.highlights.selection.timeline import OpenCandidate
from domain.highlights.similarity import likeness
from domain.profiles.model import DiversityMethod, GameProfile, SelectionLimits
from domain.score import DIMENSIONS, HighlightScore

KINDS = ("goal", "save", "card", "penalty", "near_miss", "celebration")


def moment(rng: random.Random, number: int, peak: float) -> HighlightCandidate:
    level = rng.betavariate(5, 2)
    kind = rng.choices(KINDS, weights=(8, 4, 2, 1, 4, 1))[0]
    return HighlightCandidate(
        id=UUID(int=number),
        start=max(0.0, peak - 4),
        peak=peak,
        end=peak + 3,
        settled_at=peak + 5,
        score=HighlightScore(
            **{name: min(1.0, max(0.0, rng.gauss(level, 0.05))) for name in DIMENSIONS}
        ),
        analyzer="benchmark",
        title=kind.replace("_", " "),
        tags=(kind,),
    )


def stream(seed: int, count: int, seconds: float) -> list[HighlightCandidate]:
    """Return moments in no order, as if delivered by chance."""
    rng = random.Random(seed)
    return [moment(rng, number, rng.uniform(0, seconds)) for number in range(1, count + 1)]


def broadcast(seed: int, count: int, seconds: float) -> list[HighlightCandidate]:
    """Return moments in order of media time, as in a stream."""
    rng = random.Random(seed)
    peaks = sorted(rng.uniform(0, seconds) for _ in range(count))
    return [moment(rng, number, peak) for number, peak in enumerate(peaks, 1)]


def profile(**limits: float | DiversityMethod) -> GameProfile:
    return GameProfile(
        id="benchmark",
        version="1",
        name="Benchmark",
        selection=SelectionLimits.model_validate(limits),
    )


def speed(sizes: Sequence[int], repeats: int) -> None:
    """Time one call over a whole stream, one candidate a second; best of `repeats`.

    Without the cyclic garbage collector, as `timeit` measures: its cost depends on all that the
    process holds, here a hundred thousand candidates, and selection makes no cycles. The same
    work on shuffled candidates shows what a memory read in no order costs.
    """
    print("one call over a whole stream, one candidate a second (best run, one core)")
    print(f"{'candidates':>12} {'order':>10} {'CPU s':>8} {'us each':>8} {'confirmed':>10}")
    for size in sizes:
        for order, made in (("media time", broadcast), ("shuffled", stream)):
            best, confirmed = fastest(made(1, size, float(size)), repeats)
            each = best / size * 1e6
            print(f"{size:>12,} {order:>10} {best:>8.3f} {each:>8.1f} {confirmed:>10,}")


def fastest(candidates: Sequence[HighlightCandidate], repeats: int) -> tuple[float, int]:
    """Return the least CPU time (s) of one call, and how many it confirms."""
    selector, watermark = HighlightSelector(profile()), float(len(candidates))
    best, confirmed = float("inf"), 0
    gc.collect()
    gc.disable()
    for _ in range(repeats):
        begin = time.process_time()
        result = selector.select(SelectionState(), candidates, watermark=watermark, ended=True)
        best = min(best, time.process_time() - begin)
        confirmed = sum(item.status is DecisionStatus.CONFIRMED for item in result.decisions)
        del result
    gc.enable()
    return best, confirmed


def live(hours: float) -> None:
    """Drive it as a workflow does: a call per six-second window that could change anything."""
    candidates = sorted(stream(2, int(hours * 120), hours * 3600), key=lambda item: item.peak)
    selector, state = HighlightSelector(profile()), SelectionState()
    calls, largest, taken, at = 0, 0, 0.0, 0
    for mark in range(6, int(hours * 3600) + 60, 6):
        due = at
        while due < len(candidates) and candidates[due].settled_at < mark:
            due += 1
        arrived, at = candidates[at:due], due
        if not needs_selection(state, watermark=mark - 5.0, candidates=arrived):
            continue
        begin = time.process_time()
        state = selector.select(state, arrived, watermark=mark - 5.0).state
        taken += time.process_time() - begin
        calls += 1
        largest = max(largest, len(state.model_dump_json()))
    print(
        f"\nlive, {hours:g} h with 120 candidates an hour: {calls} calls of "
        f"{int(hours * 600)} windows, {taken / calls * 1e3:.2f} ms each, "
        f"state at most {largest / 1024:.1f} KiB"
    )


def optimum(candidates: Sequence[HighlightCandidate], limits: GameProfile) -> float:
    """Return the greatest total score that spacing and quotas allow, by trying every set."""
    rules = limits.selection
    good = sorted(
        (item.peak, item.score.calculate_combined_score(limits.weights))
        for item in candidates
        if item.score.calculate_combined_score(limits.weights) >= limits.thresholds.standard
    )
    best = 0.0
    for size in range(1, len(good) + 1):
        for chosen in itertools.combinations(good, size):
            peaks = [peak for peak, _ in chosen]
            spaced = all(b - a >= rules.min_spacing for a, b in itertools.pairwise(peaks))
            windows = [int(peak // rules.window) for peak in peaks]
            if spaced and all(windows.count(w) <= rules.per_window for w in set(windows)):
                best = max(best, sum(value for _, value in chosen))
    return best


def loss(cases: int) -> None:
    """Compare with the optimum on small crowded cases: exceptional overrides switched off."""
    rules = profile(per_window=3, exceptional_per_window=0)
    selector = HighlightSelector(rules)
    ratios = []
    for seed in range(cases):
        rng = random.Random(seed)
        candidates = stream(seed, rng.randint(4, 14), 600.0)
        result = selector.select(SelectionState(), candidates, watermark=600.0, ended=True)
        reached = sum(
            item.score for item in result.decisions if item.status is DecisionStatus.CONFIRMED
        )
        best = optimum(candidates, rules)
        if best > 0:
            ratios.append(reached / best)
    print(
        f"\nagainst the brute-force optimum, {len(ratios)} cases of 4 to 14 candidates in two "
        f"windows: mean {statistics.mean(ratios):.4f}, median {statistics.median(ratios):.4f}, "
        f"5th percentile {statistics.quantiles(ratios, n=20)[0]:.4f}, worst {min(ratios):.4f}; "
        f"optimal in {sum(ratio > 1 - 1e-9 for ratio in ratios) / len(ratios):.1%}"
    )


def variety(streams: int) -> None:
    """Trade score for variety: what two hours of highlights look like, window by window."""
    print("\nvariety against score (4 highlights a window, two hours, 240 candidates an hour)")
    print(f"{'choice':>16} {'mean score':>11} {'kinds/window':>13} {'likeness':>9}")
    choices = [("by score", 0.0, DiversityMethod.MMR)]
    choices += [(f"{m.value} {w:g}", w, m) for m in DiversityMethod for w in (0.1, 0.2, 0.4)]
    for name, weight, method in choices:
        rules = profile(per_window=4, per_hour=60, diversity=weight, diversity_method=method)
        scores, kinds, alike = [], [], []
        for seed in range(streams):
            candidates = {item.id: item for item in stream(seed, 480, 7200.0)}
            result = HighlightSelector(rules).select(
                SelectionState(), candidates.values(), watermark=7200.0, ended=True
            )
            windows: dict[int, list[OpenCandidate]] = {}
            for item in result.decisions:
                if item.status is DecisionStatus.CONFIRMED:
                    scores.append(item.score)
                    chosen = OpenCandidate(candidates[item.highlight_id], item.score, Tier.STANDARD)
                    windows.setdefault(int(item.peak // 300), []).append(chosen)
            for group in windows.values():
                kinds.append(len({item.tags for item in group}))
                alike += [likeness(a, b) for a, b in itertools.combinations(group, 2)]
        print(
            f"{name:>16} {statistics.mean(scores):>11.4f} {statistics.mean(kinds):>13.3f} "
            f"{statistics.mean(alike):>9.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a smoke test")
    quick = parser.parse_args().quick
    sizes = (1_000, 10_000) if quick else (1_000, 10_000, 25_000, 50_000, 100_000)
    speed(sizes, repeats=1 if quick else 3)
    live(hours=0.5 if quick else 4.0)
    loss(cases=50 if quick else 1_000)
    variety(streams=2 if quick else 20)


if __name__ == "__main__":
    main()
