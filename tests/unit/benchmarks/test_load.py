"""The figures of the load benchmark mean what their names say."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.origin import LoopedVideo
from benchmarks.load.probe import HistoryCounts, Snapshot, busiest_functions
from benchmarks.load.report import figures_of
from benchmarks.load.soak import Quarter, problems
from benchmarks.load.span import Span

seconds = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=60)


def test_of_twenty_clips_the_95th_percentile_is_the_second_slowest() -> None:
    figures = figures_of([float(n) for n in range(20, 0, -1)])
    assert (figures.p50, figures.p95, figures.max) == (10.0, 19.0, 20.0)


@given(seconds)
def test_at_least_95_in_a_hundred_are_as_fast_as_their_percentile(values: list[float]) -> None:
    p95 = figures_of(values).p95
    assert p95 in values
    assert sum(value <= p95 for value in values) >= 0.95 * len(values)


def test_without_a_value_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no value"):
        figures_of([])


VIDEO = LoopedVideo(Path("/video"), (2.0, 2.0, 1.5))


def test_a_segment_is_listed_when_its_last_frame_has_happened() -> None:
    assert [VIDEO.published(seconds) for seconds in (-1.0, 1.9, 2.0, 3.9, 5.5, 7.5)] == [
        0, 0, 1, 1, 3, 4,
    ]  # fmt: skip


def test_the_playlist_of_a_looped_video_lists_the_latest_segments_with_their_times() -> None:
    assert VIDEO.playlist(1000.0, now=1001.0) is None
    playlist = VIDEO.playlist(1000.0, now=1013.0)
    assert playlist is not None
    lines = playlist.splitlines()
    assert [line for line in lines if line.endswith(".ts")] == [f"{n}.ts" for n in range(2, 7)]
    assert "#EXT-X-MEDIA-SEQUENCE:2" in lines
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:0" in lines
    assert [lines[at + 3] for at, line in enumerate(lines) if line == "#EXT-X-DISCONTINUITY"] == [
        "3.ts",
        "6.ts",
    ]
    dates = [line.partition(":")[2] for line in lines if "PROGRAM-DATE-TIME" in line]
    assert dates[:2] == ["1970-01-01T00:16:44.000+00:00", "1970-01-01T00:16:45.500+00:00"]


def test_the_discontinuity_sequence_counts_the_loops_that_have_left_the_playlist() -> None:
    for number in range(1, 60):
        playlist = VIDEO.playlist(0.0, now=VIDEO.start(number))
        assert playlist is not None
        before = int(playlist.partition("DISCONTINUITY-SEQUENCE:")[2].partition("\n")[0])
        loops = sum(each > 0 and each % 3 == 0 for each in range(number))
        assert before + playlist.count("#EXT-X-DISCONTINUITY\n") == loops


def test_a_segment_is_served_from_its_listing_until_some_time_after_it_left_the_playlist() -> None:
    assert VIDEO.segment(3, 0.0, now=7.4) is None
    assert VIDEO.segment(3, 0.0, now=7.5) == Path("/video/0.ts")
    assert VIDEO.segment(3, 0.0, now=7.5 + 60) is None


def snapshot(
    second: int, *, cpu: float, memory: float, rows: float, beats: int, media: float = 0.0
) -> Snapshot:
    return Snapshot(
        at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second),
        cpu={"worker": cpu},
        memory={"worker": memory},
        machine=cpu,
        database={"rows inserted": rows},
        heartbeats=beats,
        store=Counter(),
        media=media,
    )


def test_a_stream_is_not_charged_for_what_the_idle_stack_does() -> None:
    span = Span(
        idle_from=snapshot(0, cpu=0.0, memory=100.0, rows=0.0, beats=0),
        idle=snapshot(10, cpu=1.0, memory=100.0, rows=10.0, beats=5),
        first=snapshot(100, cpu=2.0, memory=110.0, rows=100.0, beats=50),
        last=snapshot(136, cpu=5.6, memory=110.0, rows=172.0, beats=86),
        streams=2,
    )
    found = span.hourly(HistoryCounts(Counter(stream=30, clip=10), actions=8, bytes=2000, clips=1))
    assert span.stream_hours == pytest.approx(0.02)
    assert span.cpu() == {"worker": pytest.approx(5.0)}
    assert span.added_memory() == {"worker": 5.0}
    assert found["rows inserted"] == pytest.approx((72 - 36) / 0.02)
    assert found["of them heartbeats"] == pytest.approx((36 - 18) / 0.02)
    assert found["Temporal actions"] == pytest.approx((8 + 18) / 0.02)
    assert found["history events"] == pytest.approx(2000)
    assert "S3 reads" not in found


def test_stored_media_is_a_share_of_what_the_streams_published() -> None:
    idle = snapshot(0, cpu=0.0, memory=0.0, rows=0.0, beats=0)
    first = snapshot(100, cpu=0.0, memory=0.0, rows=0.0, beats=0, media=500.0)
    last = snapshot(130, cpu=0.0, memory=0.0, rows=0.0, beats=0, media=545.0)
    assert Span(idle, idle, first, last, streams=2).stored() == pytest.approx(0.75)


def test_a_profile_names_our_functions_with_what_they_call_and_the_innermost_ones(
    tmp_path: Path,
) -> None:
    profile = tmp_path / "profile"
    profile.write_text(
        "main (/code/app/cli.py:9);poll (/code/activities/poll.py:3);read (httpx/client.py:1) 30\n"
        "main (/code/app/cli.py:9);poll (/code/activities/poll.py:4) 60\n"
        "main (/code/app/cli.py:9);wait (asyncio/base.py:4) 10\n"
    )
    assert busiest_functions(profile, root=Path("/code"), most=2) == [
        "- 90 % in and below `poll (activities/poll.py)`",
        "- 60 % in `poll (activities/poll.py)`",
        "- 30 % in `read (httpx/client.py)`",
    ]


def test_a_stream_at_a_pace_is_served_by_its_own_length_of_list() -> None:
    video = LoopedVideo(Path("/video"), (2.0,), listed=30)
    playlist = video.playlist(0.0, now=100.0)
    assert playlist is not None
    assert playlist.count("#EXTINF") == 30
    assert video.segment(20, 0.0, now=100.0) is not None


def quarter(**changes: object) -> Quarter:
    settled = Quarter(
        media=3600.0,
        behind=0.0,
        missed=0,
        memory={"worker": 200.0, "temporal": 100.0},
        disk=800.0,
        runs=1,
        events=500,
    )
    return replace(settled, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"memory": {"worker": 239.0}}, None),
        ({"memory": {"worker": 241.0}}, "worker grew from 200 to 241 MiB"),
        ({"memory": {"worker": 200.0, "temporal": 900.0}}, None),
        ({"missed": 1}, "1 segments were missed"),
        ({"disk": 2000.0}, "more than 1800 s of media were stored"),
        ({"disk": 2000.0, "behind": 200.0}, None),
        ({"events": 20_000}, "a history has 20000 events"),
    ],
)
def test_a_soak_says_what_grew(changes: dict[str, object], problem: str | None) -> None:
    found = problems([quarter(), quarter(), quarter(), quarter(**changes)], pace=10.0)
    assert found == ([] if problem is None else [problem])
