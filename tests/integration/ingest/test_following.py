"""Live streams that behave, and live streams that do not, followed to their end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import pytest

from demo.origin import Faults, LiveOrigin, Mark, OriginOptions
from demo.origin.faults import (
    CorruptSegment,
    EncoderRestart,
    OversizedSegment,
    PlaylistErrors,
    Regression,
    SegmentError,
    SlowSegment,
    Stall,
)
from domain.media.segments import GapReason
from domain.streams.status import EndReason
from tests.integration.ingest.harness import QUICK, IngestHarness, Story

pytestmark = pytest.mark.timeout(60)

PACE = 8.0

ORIGIN: dict[str, object] = {"pace": PACE, "segment_duration": 1.0}

either = pytest.mark.usefixtures("plain_or_low_latency")
"""The test holds for an origin that publishes whole segments and for one that publishes parts."""


@pytest.fixture(params=[None, 0.34], ids=["plain", "low-latency"])
def plain_or_low_latency(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the origin publish segments whole, or in parts of 0.34 s."""
    monkeypatch.setitem(ORIGIN, "part_duration", request.param)


async def play(
    ingest: IngestHarness, video: Path, faults: Faults | None = None, **options: object
) -> Story:
    """Play the video as a live stream of 1 s segments and follow it to its end."""
    settings: dict[str, object] = {**ORIGIN, **options}
    chosen = OriginOptions.model_validate({**settings, "faults": faults or Faults()})
    async with LiveOrigin(video, chosen) as origin:
        return await ingest.follow(origin.master_url)


@either
async def test_every_segment_of_a_stream_is_stored_in_order_on_one_timeline(
    ingest: IngestHarness, video: Path
) -> None:
    story = await play(ingest, video)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.starts == [float(n) for n in range(12)]
    assert story.gaps == []
    story.assert_timeline_whole()
    assert await ingest.media_keys() == [segment.key for segment in story.segments]
    for segment in story.segments:
        path = await ingest.store.path(segment.key)
        assert path.stat().st_size == segment.size
        assert segment.has_video
        assert segment.has_audio


async def test_windows_hold_as_many_whole_segments_as_were_asked_for(
    ingest: IngestHarness, video: Path
) -> None:
    story = await play(ingest, video)
    assert [len(r.window.segments) for r in story.results if r.window] == [3, 3, 3, 3]


@either
@pytest.mark.parametrize(
    ("tracks", "has_video", "has_audio"), [("audio", False, True), ("video", True, False)]
)
async def test_streams_of_sound_or_pictures_alone(
    ingest: IngestHarness, video: Path, tracks: str, has_video: bool, has_audio: bool
) -> None:
    story = await play(ingest, video, tracks=tracks)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.gaps == []
    assert sum(segment.duration for segment in story.segments) == pytest.approx(12.0, abs=0.1)
    assert {(s.has_video, s.has_audio) for s in story.segments} == {(has_video, has_audio)}
    story.assert_timeline_whole()


@either
async def test_an_fmp4_segment_is_stored_playable_on_its_own(
    ingest: IngestHarness, video: Path
) -> None:
    story = await play(ingest, video, container="fmp4")
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.starts == [float(n) for n in range(12)]
    segment = story.segments[5]
    assert segment.key.endswith(".mp4")
    with av.open(str(await ingest.store.path(segment.key))) as container:
        frames = [frame.time for frame in container.decode(video=0)]
    assert min(frames) == pytest.approx(segment.first_timestamp, abs=0.001)
    assert len(frames) == 25


@either
async def test_declared_discontinuities_keep_the_timeline_continuous(
    ingest: IngestHarness, video: Path
) -> None:
    story = await play(ingest, video, Faults(discontinuities=(4, 8)))
    assert story.starts == [float(n) for n in range(12)]
    assert [s.discontinuity_sequence for s in story.segments] == [0] * 4 + [1] * 4 + [2] * 4
    story.assert_timeline_whole()


@either
async def test_a_wrap_of_33_bit_timestamps_is_not_seen_on_the_timeline(
    ingest: IngestHarness, video: Path
) -> None:
    story = await play(ingest, video, Faults(pts_wrap_in=5))
    assert story.starts == [float(n) for n in range(12)]
    assert {s.discontinuity_sequence for s in story.segments} == {0}
    story.assert_timeline_whole()


@either
@pytest.mark.parametrize("reset_sequence", [False, True])
async def test_an_encoder_restart_goes_on_where_the_stream_was(
    ingest: IngestHarness, video: Path, reset_sequence: bool
) -> None:
    faults = Faults(restart=EncoderRestart(at=6, reset_sequence=reset_sequence))
    story = await play(ingest, video, faults, pace=3.0)  # what leaves the list at once was read
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert len(story.segments) == 12
    assert len({segment.key for segment in story.segments}) == 12
    assert story.segments[6].discontinuity_sequence == 1
    story.assert_timeline_whole()


@either
async def test_a_segment_that_stays_missing_is_a_gap_of_its_length(
    ingest: IngestHarness, video: Path
) -> None:
    story = await play(ingest, video, Faults(missing=(4,)))
    assert story.sequences == [n for n in range(12) if n != 4]
    (gap,) = story.gaps
    assert (gap.reason, gap.first_sequence, gap.last_sequence) == (GapReason.NOT_FOUND, 4, 4)
    assert gap.duration == pytest.approx(1.0, abs=0.05)
    story.assert_timeline_whole()


@either
async def test_a_declared_gap_is_not_even_asked_for(ingest: IngestHarness, video: Path) -> None:
    story = await play(ingest, video, Faults(gaps=(4, 5)))
    (gap,) = story.gaps
    assert (gap.reason, gap.segments) == (GapReason.DECLARED, 2)
    story.assert_timeline_whole()


@either
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Faults(corrupt=(CorruptSegment(segment=4),)), GapReason.CORRUPT),
        (Faults(corrupt=(CorruptSegment(segment=4, damage="empty"),)), GapReason.CORRUPT),
        (Faults(oversized=(OversizedSegment(segment=4),)), GapReason.TOO_LARGE),
        (Faults(oversized=(OversizedSegment(segment=4, declared=True),)), GapReason.TOO_LARGE),
    ],
)
async def test_an_unusable_segment_is_a_gap_and_the_stream_goes_on(
    ingest: IngestHarness, video: Path, fault: Faults, reason: GapReason
) -> None:
    story = await play(ingest, video, fault)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == [n for n in range(12) if n != 4]
    assert [gap.reason for gap in story.gaps] == [reason]
    assert story.gaps[0].detail
    story.assert_timeline_whole()


async def test_a_truncated_segment_counts_with_the_media_that_is_in_it(
    ingest: IngestHarness, video: Path
) -> None:
    faults = Faults(corrupt=(CorruptSegment(segment=4, damage="truncated"),))
    story = await play(ingest, video, faults)
    assert story.gaps == []
    assert story.starts == [float(n) for n in range(12)]


@either
async def test_passing_errors_of_segments_and_playlists_cost_nothing(
    ingest: IngestHarness, video: Path
) -> None:
    faults = Faults(
        errors=(
            SegmentError(segment=2, status=404, times=2),
            SegmentError(segment=5, status=503, times=3),
        ),
        playlist_errors=PlaylistErrors(after=6, times=3),
    )
    story = await play(ingest, video, faults)
    assert story.sequences == list(range(12))
    assert story.gaps == []


async def test_a_slow_segment_holds_up_its_place_only(ingest: IngestHarness, video: Path) -> None:
    story = await play(
        ingest, video, Faults(slow=(SlowSegment(segment=3, bytes_per_second=60_000),))
    )
    assert story.sequences == list(range(12))
    assert story.gaps == []


@either
async def test_a_stale_cache_is_waited_out(ingest: IngestHarness, video: Path) -> None:
    faults = Faults(regression=Regression(at=6, by=3, times=3))
    story = await play(ingest, video, faults)
    assert story.sequences == list(range(12))
    assert story.reason is EndReason.PLAYLIST_ENDED


@either
async def test_numbers_that_go_back_with_new_media_are_followed_as_a_discontinuity(
    ingest: IngestHarness, video: Path
) -> None:
    faults = Faults(regression=Regression(at=6, by=4, lasting=True))
    story = await play(ingest, video, faults)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert len(story.segments) == 12
    assert len({segment.key for segment in story.segments}) == 12
    story.assert_timeline_whole()


@either
async def test_a_stall_is_told_early_and_the_stream_then_goes_on(
    ingest: IngestHarness, video: Path
) -> None:
    limits = QUICK.model_copy(update={"stall_notice": 0.5, "stall_timeout": 30.0})
    faults = Faults(stall=Stall(after=5, seconds=1.5))
    options = OriginOptions.model_validate({**ORIGIN, "faults": faults})
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url, limits)
    assert any(result.stalled for result in story.results)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == list(range(12))
    story.assert_timeline_whole()


@either
async def test_segments_that_rolled_off_during_a_stall_are_a_gap_of_their_true_length(
    ingest: IngestHarness, video: Path
) -> None:
    faults = Faults(stall=Stall(after=3, seconds=1.0, catch_up=True))
    story = await play(ingest, video, faults, window=2)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert {gap.reason for gap in story.gaps} == {GapReason.ROLLED_OFF}
    missed_before_joining = story.sequences[0]  # a slow machine may join after the first one
    assert story.segments[-1].end == pytest.approx(12.0 - missed_before_joining, abs=0.1)
    story.assert_timeline_whole()


@either
async def test_timed_metadata_is_reported_once_and_where_it_happened(
    ingest: IngestHarness, video: Path
) -> None:
    marks = (Mark(at=3.25, payload='{"goal": 1}'), Mark(at=7.5, payload="corner"))
    story = await play(ingest, video, marks=marks)
    assert [(each.id, each.payload) for each in story.metadata] == [
        ("mark-0", '{"goal": 1}'),
        ("mark-1", "corner"),
    ]
    assert [each.at for each in story.metadata] == pytest.approx([3.25, 7.5], abs=0.05)


async def test_a_workflow_that_takes_its_time_between_windows_loses_nothing_at_a_high_pace(
    ingest: IngestHarness, video: Path
) -> None:
    options = OriginOptions(pace=10.0, segment_duration=1.0, window=5)
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url, pause=0.6)
        assert max(n for path, n in origin.hits.items() if path.endswith(".ts")) == 1
    assert story.sequences == list(range(12))
    assert story.gaps == []


async def test_an_event_playlist_is_joined_no_further_back_than_allowed(
    ingest: IngestHarness, video: Path
) -> None:
    limits = QUICK.model_copy(update={"max_backlog": 2.0})
    options = OriginOptions(pace=PACE, segment_duration=1.0, playlist_type="event")
    async with LiveOrigin(video, options) as origin:
        await origin.wait_published(6)
        result = await ingest.window(ingest.request(origin.master_url, limits))
    assert result.window is not None
    assert result.window.segments[0].media_sequence >= 4
    assert result.window.start == 0.0


async def test_the_variant_follows_the_policy_and_names_the_segments(
    ingest: IngestHarness, tmp_path: Path
) -> None:
    from tests.factories.media import make_video  # noqa: PLC0415 used here only

    path = make_video(tmp_path / "high.mp4", seconds=3.0, size="854x480", keyframe_interval=1.0)
    options = OriginOptions(pace=PACE, segment_duration=1.0, ladder=True)
    async with LiveOrigin(path, options) as origin:
        story = await ingest.follow(origin.master_url, max_height=400)
    assert {segment.key.split("/")[3] for segment in story.segments} == {"360p"}
    assert {result.cursor.variant for result in story.results} == {"360p"}


async def test_two_streams_at_once_do_not_mix(ingest: IngestHarness, video: Path) -> None:
    from uuid import uuid4  # noqa: PLC0415 used here only

    options = OriginOptions(pace=PACE, segment_duration=1.0)
    async with LiveOrigin(video, options) as one, LiveOrigin(video, options) as two:
        request = ingest.request(two.master_url).model_copy(update={"stream_id": uuid4()})
        story, other = await asyncio.gather(ingest.follow(one.master_url), ingest.window(request))
    assert story.sequences == list(range(12))
    assert other.window is not None
    assert all(str(request.stream_id) in segment.key for segment in other.window.segments)
