"""A video is cut as a live stream would be, measured once, and kept."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.quality.measurements import measure
from benchmarks.quality.tools import TOOLS
from demo.errors import UnusableInputError
from tests.unit.benchmarks.quality.conftest import SECONDS, make


def _own(curves: dict[str, tuple[float, ...]]) -> set[str]:
    """Return the methods that need no tool, which may or may not be installed."""
    return curves.keys() - TOOLS.keys()


def test_segments_are_short_follow_each_other_and_cover_the_video(
    short: Path, tmp_path: Path
) -> None:
    measured = measure(short, home=tmp_path)
    segments = [segment for window in measured.windows for segment in window.segments]
    assert measured.duration == pytest.approx(SECONDS, abs=0.1)
    assert [s.duration for s in segments] == pytest.approx([2.0] * 6, abs=0.1)
    assert all(one.end == pytest.approx(other.start) for one, other in pairwise(segments))
    assert [len(window.segments) for window in measured.windows] == [3, 3]
    assert len(measured.signals) == len(segments)
    assert all(each is not None and each.frames for each in measured.signals)


def test_a_video_with_rare_keyframes_is_encoded_as_a_live_encoder_would(tmp_path: Path) -> None:
    measured = measure(make(tmp_path / "rare.mp4", keyframes=60.0), home=tmp_path)
    durations = [segment.duration for window in measured.windows for segment in window.segments]
    assert durations == pytest.approx([2.0] * 6, abs=0.1)


def test_methods_are_left_out_where_the_video_lacks_what_they_need(tmp_path: Path) -> None:
    deaf = measure(make(tmp_path / "deaf.mp4", sound=False), home=tmp_path)
    blind = measure(make(tmp_path / "blind.mp4", picture=False), home=tmp_path)
    assert _own(deaf.curves) == {"scene-cut density"}
    assert _own(blind.curves) == {"loudness peaks"}


def test_what_was_measured_is_kept_by_the_content_of_the_video(short: Path, tmp_path: Path) -> None:
    first = measure(short, home=tmp_path)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(short.read_bytes())
    assert measure(copy, home=tmp_path) == first
    assert len(list((tmp_path / "quality").iterdir())) == 1


def test_stored_measurements_can_be_repeated(short: Path, tmp_path: Path) -> None:
    first = measure(short, home=tmp_path)
    again = measure(short, home=tmp_path, fresh=True)
    assert again.windows[0].segments[0].published_at > first.windows[0].segments[0].published_at
    assert again.signals == first.signals


def test_a_kept_file_that_is_spoilt_is_replaced(short: Path, tmp_path: Path) -> None:
    first = measure(short, home=tmp_path)
    (kept,) = (tmp_path / "quality").iterdir()
    kept.write_text("{")
    assert measure(short, home=tmp_path).signals == first.signals


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(UnusableInputError, match="not a media file"):
        measure(tmp_path / "no.mp4", home=tmp_path)
