"""The short form of `make bench`: ratios of CPU time that a busy machine does not change much.

Each compares ours with a baseline in the same process, the fastest of a few rounds, and fails at a
multiple of what was measured (benchmarks/README.md), so that only a regression reaches it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.analyzer_cost import SEGMENT, decode_cost, make_stream
from benchmarks.exports import copy_costs
from benchmarks.low_latency import reload_costs
from benchmarks.selection import broadcast, fastest
from infra.media.probe import probe
from infra.media.signals import SegmentFile, measure_segments

ROUNDS = 3


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def test_a_segment_is_analyzed_for_less_than_a_third_of_what_decoding_it_costs(
    tmp_path: Path,
) -> None:
    """Measured: 0.17 to 0.19."""
    files = make_stream(tmp_path, 6)
    segments = tuple(
        SegmentFile(
            path=file,
            start=SEGMENT * number,
            duration=SEGMENT,
            first_timestamp=probe(str(file)).first_timestamp,
        )
        for number, file in enumerate(files)
    )
    rounds = [
        (cpu_seconds(lambda: measure_segments(segments)), cpu_seconds(lambda: decode_cost(files)))
        for _ in range(ROUNDS)
    ]
    ours, decoding = map(min, zip(*rounds, strict=True))
    assert ours < decoding / 3


def test_a_reload_costs_less_than_a_tenth_of_reading_a_long_playlist() -> None:
    """Measured: a sixtieth of a playlist of 1 MiB."""
    rounds = [reload_costs(1 << 18, reloads=4) for _ in range(ROUNDS)]
    whole, known = map(min, zip(*rounds, strict=True))
    assert known < 0.1 * whole


def test_selection_costs_the_same_for_each_candidate_of_a_long_stream() -> None:
    """Measured: 8 to 12 µs at every size."""
    few, _ = fastest(broadcast(1, 500, 500.0), ROUNDS)
    many, _ = fastest(broadcast(1, 4_000, 4_000.0), ROUNDS)
    assert many < 3 * 8 * few


def test_a_copied_export_costs_little_more_than_ffmpeg_alone() -> None:
    """Measured: a third for the copy of a clip, nine tenths for a smart cut."""
    costs = copy_costs(10.0, 360, ROUNDS)
    assert costs.copy < 1.2 * costs.plain
    assert costs.smart_cut < 1.2 * (costs.plain + costs.ends)
