"""What demuxing tells of a segment."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from infra.media.probe import UndecodableError, probe
from tests.factories.media import make_video


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "segment.ts"
    offset = ("-output_ts_offset", "100")
    return make_video(path, seconds=2.0, size="160x90", keyframe_interval=1.0, options=offset)


def test_a_transport_stream_has_clock_duration_and_streams(segment: Path) -> None:
    facts = probe(str(segment))
    assert facts.container == "mpegts"
    assert facts.suffix == "ts"
    assert facts.first_timestamp == pytest.approx(101.4, abs=0.2)  # ffmpeg's own 1.4 s included
    assert facts.duration == pytest.approx(2.0, abs=0.01)
    assert (facts.has_video, facts.has_audio) == (True, True)
    assert (facts.keyframes, facts.starts_with_keyframe) == (2, True)


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_one_kind_of_stream_alone(tmp_path: Path, kind: str) -> None:
    alone = make_video(
        tmp_path / "x.ts", seconds=2.0, size="160x90", video=kind == "video", audio=kind == "audio"
    )
    facts = probe(str(alone))
    assert (facts.has_video, facts.has_audio) == (kind == "video", kind == "audio")
    assert facts.duration == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x47",
        bytes(10_000),
        random.Random(1).randbytes(50_000),
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
    ],
)
def test_other_things_are_undecodable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.ts"
    path.write_bytes(content)
    with pytest.raises(UndecodableError):
        probe(str(path))


def test_a_damaged_segment_is_read_or_refused_but_never_raises_anything_else(
    segment: Path, tmp_path: Path
) -> None:
    dice, whole = random.Random(7), segment.read_bytes()
    path = tmp_path / "x.ts"
    for _ in range(40):
        data = bytearray(whole[: dice.randrange(1, len(whole))])
        for _ in range(dice.randrange(200)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(data)
        try:
            facts = probe(str(path))
        except UndecodableError:
            continue
        assert facts.duration >= 0
