"""No mutation of an input raises an undocumented error, takes long or costs memory that stays.

This is the short form: a fixed number of mutations, the same ones in CI each time. `make fuzz`
searches with atheris, guided by coverage.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, TOKENS, Target, close

LONGEST = 2.0
"""CPU time (s) of this process for one input."""

GROWTH = 64 << 20
"""Bytes by which this process may grow over the second half of the inputs."""


@pytest.fixture(scope="module", autouse=True)
def media_child() -> Iterator[None]:
    yield
    close()


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...], *, is_text: bool) -> bytes:
    """A seed with bytes replaced, inserted, removed, repeated, or cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    inserted = st.binary(min_size=1, max_size=8)
    if is_text:
        inserted = st.one_of(st.sampled_from(TOKENS), inserted)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 40)))
        change = draw(st.sampled_from(["replace", "insert", "remove", "repeat", "cut"]))
        match change:
            case "replace":
                new = draw(inserted)
                data[place : place + len(new)] = new
            case "insert":
                data[place:place] = draw(inserted)
            case "remove":
                del data[place:end]
            case "repeat":
                data[place:place] = data[place:end] * draw(st.integers(1, 20))
            case _:
                del data[max(place, 1) :]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted(name: str) -> None:
    for seed in TARGETS[name].seeds():
        assert TARGETS[name].run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_mutations_are_read_or_refused_within_bounds(name: str) -> None:
    target: Target = TARGETS[name]
    process = psutil.Process()
    sizes: list[int] = []

    @settings(
        max_examples=target.examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(mutated(target.seeds(), is_text=target.is_text))
    def check(data: bytes) -> None:
        began = time.process_time()
        target.run(data)
        assert time.process_time() - began < LONGEST
        sizes.append(process.memory_info().rss)

    check()
    assert sizes[-1] - sizes[len(sizes) // 2] < GROWTH
