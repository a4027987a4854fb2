"""A stream as its operator reads it."""

from __future__ import annotations

import pytest

from domain.highlights.selection import DecisionStatus
from domain.streams.report import clock, match_report
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from tests.factories.clips import decision, gap

PROGRESS = StreamProgress(
    status=StreamStatus.LIVE,
    position=3725.0,
    analyzed=3719.9,
    segments=1860,
    missed=2,
    highlights=4,
    clips=3,
)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0:00"), (59.9, "0:59"), (61.0, "1:01"), (3599.0, "59:59"), (3600.0, "1:00:00")],
)
def test_media_time_reads_like_a_match_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_state_comes_first_then_how_far_it_has_come() -> None:
    report = match_report(game="valorant", progress=PROGRESS, gaps=(), decisions=())
    assert report.splitlines() == [
        "## valorant: live",
        "**1:02:05** stored, **1:01:59** analysed, 1860 segments, 2 missed, 4 highlights, 3 clips",
    ]


def test_an_end_is_told_with_its_reason() -> None:
    ended = StreamProgress(end=StreamEnd(reason=EndReason.STOPPED, message="the tenant said so"))
    report = match_report(game="chess", progress=ended, gaps=(), decisions=())
    assert "Ended (stopped): the tenant said so" in report


def test_highlights_are_listed_in_order_of_time_without_those_never_shown() -> None:
    decided = [
        decision(1, peak=90.0),
        decision(2, peak=30.0, status=DecisionStatus.PENDING),
        decision(3, peak=60.0, status=DecisionStatus.RETRACTED),
        decision(4, peak=70.0, status=DecisionStatus.HELD),
        decision(5, peak=80.0, status=DecisionStatus.REJECTED),
    ]
    report = match_report(game="x", progress=PROGRESS, gaps=(), decisions=decided)
    rows = [line for line in report.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        "| 0:30 | … pending | 0.80 | standard |",
        "| 1:00 | ✗ retracted | 0.80 | standard |",
        "| 1:30 | ✓ confirmed | 0.80 | standard |",
    ]


def test_a_long_match_shows_its_latest_highlights() -> None:
    decided = [decision(number, peak=60.0 * number) for number in range(1, 30)]
    report = match_report(game="x", progress=PROGRESS, gaps=(), decisions=decided)
    assert report.count("confirmed") == 12
    assert "| 29:00 |" in report
    assert "| 17:00 |" not in report


def test_the_last_gap_is_told() -> None:
    gaps = (gap(10.0, 2.0), gap(65.0, 4.0))
    report = match_report(game="x", progress=PROGRESS, gaps=gaps, decisions=())
    assert report.endswith("Last gap: 1:05, 4.0 s (rolled_off)")


def test_what_the_owner_should_know_is_told() -> None:
    limited = PROGRESS.model_copy(update={"notice": "Only the local analyzer is at work."})
    report = match_report(game="x", progress=limited, gaps=(), decisions=())
    assert report.endswith("Only the local analyzer is at work.")
