"""Which qualities a source is offered in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.errors import UnusableInputError
from demo.origin.ladder import choose_variants, keep_tracks
from demo.origin.source import AudioTrack, Source, VideoTrack


def source(height: int = 720, *, width: int = 1280, keyframe_gap: float | None = 2.0) -> Source:
    video = VideoTrack(
        index=0, width=width, height=height, frame_rate=30, keyframe_gap=keyframe_gap
    )
    return Source(
        path=Path("x.mp4"),
        duration=60,
        bit_rate=2_000_000,
        video=video,
        audio=AudioTrack(index=1, copyable=True),
    )


def names(played: Source, *, ladder: bool = True, longest_gop: float = 2.5) -> list[str]:
    return [v.name for v in choose_variants(played, ladder=ladder, longest_gop=longest_gop)]


def test_the_whole_ladder_of_100ms_is_offered_on_request() -> None:
    assert names(source()) == ["720p", "480p", "360p"]


def test_the_best_quality_alone_is_the_default() -> None:
    assert names(source(), ladder=False) == ["720p"]


def test_nothing_is_scaled_up() -> None:
    assert names(source(400, width=712)) == ["400p", "360p"]
    assert names(source(240, width=427)) == ["240p"]


def test_pictures_with_frequent_keyframes_are_sent_as_they_are() -> None:
    assert choose_variants(source(), ladder=False, longest_gop=2.5)[0].copy_video


@pytest.mark.parametrize("gap", [None, 5.0])
def test_pictures_that_cannot_be_cut_are_encoded(gap: float | None) -> None:
    (best,) = choose_variants(source(1080, keyframe_gap=gap), ladder=False, longest_gop=2.5)
    assert (best.copy_video, best.height) == (False, 720)


def test_sound_alone_is_one_variant() -> None:
    assert names(keep_tracks(source(), "audio")) == ["audio"]


def test_a_track_that_is_not_there_cannot_be_sent_alone() -> None:
    silent = source().model_copy(update={"audio": None})
    with pytest.raises(UnusableInputError, match="no audio stream"):
        keep_tracks(silent, "audio")


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_every_size_becomes_one_that_can_be_encoded(width: int, height: int) -> None:
    variants = choose_variants(
        source(height, width=width, keyframe_gap=None), ladder=True, longest_gop=2.5
    )
    assert variants
    assert all(v.width % 2 == 0 and v.height % 2 == 0 and v.width >= 16 for v in variants)
    assert len({v.name for v in variants}) == len(variants)
