"""Windows in memory forget whoever is gone, and nobody else."""

from __future__ import annotations

from unittest.mock import patch

from infra.rate_limit import SlidingWindowStorage

START = 1_800_000_000.0


async def test_owners_of_whom_nothing_is_left_are_forgotten() -> None:
    windows = SlidingWindowStorage()
    for number in range(100):
        with patch("time.time", return_value=START + number):
            assert await windows.acquire_entry(f"owner-{number}", 5, 10)
    assert len(windows) == 11


async def test_who_comes_back_in_time_is_remembered() -> None:
    windows = SlidingWindowStorage()
    for second in range(0, 60, 5):
        with patch("time.time", return_value=START + second):
            assert await windows.acquire_entry("regular", 100, 10)
            assert await windows.acquire_entry(f"passer-{second}", 100, 10)
    with patch("time.time", return_value=START + 56):
        assert await windows.get_moving_window("regular", 100, 10) == (START + 50, 2)


async def test_a_look_leaves_nothing_behind() -> None:
    windows = SlidingWindowStorage()
    with patch("time.time", return_value=START):
        assert await windows.get_moving_window("nobody", 5, 10) == (START, 0)
    assert len(windows) == 0


async def test_a_clock_that_is_set_back_blocks_no_owner() -> None:
    windows = SlidingWindowStorage()
    with patch("time.time", return_value=START + 3600):
        assert await windows.acquire_entry("owner", 1, 10)
        assert not await windows.acquire_entry("owner", 1, 10)
    with patch("time.time", return_value=START):
        assert await windows.acquire_entry("owner", 1, 10)
        assert not await windows.acquire_entry("owner", 1, 10)
