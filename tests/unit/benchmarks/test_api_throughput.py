"""The figures of the throughput benchmark mean what their names say."""

from __future__ import annotations

import pytest

from benchmarks.api_throughput.report import Comparison, Round, percentile


def round_of(rate: float, cpu: float) -> Round:
    return Round(rate=rate, p50=1, p99=2, cpu=cpu, size=100, generator_share=0.1)


def test_a_percentile_is_a_value_that_was_seen() -> None:
    ranked = [1.0, 2.0, 3.0, 4.0]
    assert [percentile(ranked, share) for share in (0.0, 0.5, 0.51, 0.99)] == [1.0, 2.0, 3.0, 4.0]


def test_each_round_is_compared_with_the_one_beside_it() -> None:
    compared = Comparison(
        operation="list",
        ours=(round_of(50, 4.0), round_of(10, 4.0), round_of(60, 4.0)),
        bare=(round_of(100, 2.0), round_of(20, 2.0), round_of(100, 2.0)),
    )
    assert compared.rate_ratio == pytest.approx(0.5)
    assert compared.cpu_ratio == pytest.approx(0.5)
