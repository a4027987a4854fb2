"""Segments that others made, of mux.js: read, analyzed and clipped with every picture."""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path

import av
import pytest

from infra.media.concat import SourceFile, SpliceError, splice
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.probe import UndecodableError, probe
from infra.media.render import Cut, inspect, render
from infra.media.signals import SegmentFile, measure_segment, measure_segments
from infra.media.signals import UndecodableSegmentError as Undecodable
from tests.factories.media import damage

REFUSED = {
    "test-stuffed-pes.ts": "a single packet of MPEG-TS, without tables",
    "test-webvtt.m4s": "captions only",
}
"""What is refused, and why that is right; anything else that is refused fails the test."""

OTHERWISE: dict[str, int] = {}
"""By how many pictures a sample's clip differs from what ffmpeg decodes; none does now."""

EXAMPLES = int(os.environ.get("EXTERNAL_EXAMPLES", "2"))
"""How many damaged copies of each sample are tried."""

SAMPLES = (
    "dash-608-captions-seg.m4s",
    "malformed-sei.m4s",
    "multi-channel-608-captions.ts",
    "sintel-captions.ts",
    "test-aac-segment.aac",
    "test-middle-pat-pmt.ts",
    "test-no-audio-segment.ts",
    "test-segment.ts",
    *REFUSED,
)


@pytest.fixture(scope="module")
def samples(tools: Path) -> Path:
    return tools / "node_modules" / "mux.js" / "test" / "segments"


def stored(samples: Path, name: str, folder: Path) -> Path:
    """Write a sample as ingest stores it: with its initialization section in front."""
    path = samples / name
    start = samples / f"{name.removesuffix('.m4s').removesuffix('-seg')}-init.mp4"
    data = start.read_bytes() if start.is_file() and path.suffix == ".m4s" else b""
    target = folder / name
    target.write_bytes(data + path.read_bytes())
    return target


def decoded_by_ffmpeg(path: Path) -> int:
    """How many pictures ffmpeg decodes."""
    command = [find_ffmpeg(), "-v", "error", "-i", path, "-map", "0:v:0?"]
    command += ["-fps_mode", "passthrough", "-progress", "pipe:1", "-f", "null", "-"]
    run = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, timeout=60
    )
    found = [line for line in run.stdout.splitlines() if line.startswith("frame=")]
    return int(found[-1].partition("=")[2]) if found else 0


def test_every_sample_is_tried(samples: Path) -> None:
    found = {path.name for path in samples.iterdir() if not path.name.endswith("-init.mp4")}
    assert found == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_analyzed_and_clipped_with_all_that_ffmpeg_decodes(
    samples: Path, tmp_path: Path, name: str
) -> None:
    path = stored(samples, name, tmp_path)
    try:
        facts = probe(str(path))
    except UndecodableError:
        assert name in REFUSED
        return
    assert name not in REFUSED
    file = SegmentFile(
        path=path, start=0.0, duration=facts.duration, first_timestamp=facts.first_timestamp
    )
    (signals,) = measure_segments((file,))
    assert signals is not None
    assert signals.damaged_packets == 0
    frames = signals.frames
    assert all((frame.picture is not None) == facts.has_video for frame in frames)
    heard = sum(frame.sound is not None for frame in frames)
    assert heard >= len(frames) - 1 if facts.has_audio else heard == 0
    source = SourceFile(path=path, first_timestamp=facts.first_timestamp, duration=facts.duration)
    spliced = splice([source], str(tmp_path), 0.0, facts.duration, 0.0)
    expected = decoded_by_ffmpeg(path) + OTHERWISE.get(name, 0)
    assert (expected > 0) == facts.has_video
    assert sum(len(pictures(run.path)) for run in spliced.runs) == expected
    assert (spliced.sound is not None) == facts.has_audio


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in REFUSED])
@pytest.mark.timeout(600)
def test_a_damaged_sample_raises_nothing_but_our_own_errors(
    samples: Path, tmp_path: Path, name: str
) -> None:
    path = stored(samples, name, tmp_path)
    whole, data = probe(str(path)), path.read_bytes()
    dice = random.Random(name)
    for _ in range(EXAMPLES):
        path.write_bytes(damage(data, dice))
        with suppress(UndecodableError):
            assert probe(str(path)).duration >= 0
        file = SegmentFile(
            path=path, start=0.0, duration=whole.duration, first_timestamp=whole.first_timestamp
        )
        with suppress(Undecodable):
            assert measure_segment(file).frames
        source = SourceFile(
            path=path, first_timestamp=whole.first_timestamp, duration=whole.duration
        )
        with suppress(SpliceError):
            assert splice([source], str(tmp_path), 0.0, whole.duration, 0.0).start >= 0


async def test_samples_of_different_size_clock_and_container_make_one_clip(
    samples: Path, tmp_path: Path
) -> None:
    sources: list[SourceFile] = []
    position, expected = 0.0, 0
    for name in ("test-segment.ts", "malformed-sei.m4s", "test-middle-pat-pmt.ts"):
        path = stored(samples, name, tmp_path)
        facts = probe(str(path))
        sources.append(
            SourceFile(
                path=path,
                first_timestamp=facts.first_timestamp,
                start=position,
                duration=facts.duration,
                has_audio=facts.has_audio,
            )
        )
        position += facts.duration
        expected += decoded_by_ffmpeg(path)
    cut = Cut(sources=tuple(sources), offset=0.0, duration=position, thumbnail_at=5.0)
    async with MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=20, timeout=30.0) as pool:
        rendering = await render(
            cut,
            pool=pool,
            binary=find_ffmpeg(),
            directory=tmp_path,
            limits=FfmpegLimits(),
        )
    clip = inspect(rendering.clip, rendering.longest_still, rendering.pauses)
    assert clip.duration == pytest.approx(position, abs=0.1)
    assert (clip.width, clip.height, clip.holes) == (388, 300, ())
    times = pictures(rendering.clip)
    assert len(times) == expected
    assert times == sorted(set(times))


def pictures(path: Path) -> list[float]:
    """When each picture of a file is shown."""
    with av.open(str(path)) as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)]
