"""Perceptual hashes of frames: the same scene is near however encoded, other scenes are far."""

from __future__ import annotations

import subprocess
from itertools import combinations, islice
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from av.video.frame import VideoFrame

from demo.ffmpeg import ffmpeg_path
from demo.match.camera import Camera
from demo.match.direct import write_script
from demo.match.image import HEIGHT, WIDTH
from demo.match.play import FRAMES_PER_SECOND
from domain.highlights.similarity import PICTURE_REACH, hash_distance
from domain.profiles.model import SimilarityThresholds
from infra.media.phash import BITS, hash_of, hash_of_file

SCENES: Final = (
    *(("soccer", 0), ("soccer", 8), ("soccer", 32), ("basketball", 0), ("basketball", 8)),
    *(("esports", 8), ("esports", 24)),
)
"""Kinds of match, and seconds into it: wide shots, close-ups, another camera."""

WORSE: Final = {
    "a hard JPEG": ["-q:v", "24"],
    "a tenth of the size": ["-vf", "scale=128:-2"],
    "another shape": ["-vf", "scale=640:480"],
    "brighter": ["-vf", "eq=brightness=0.08:contrast=1.1"],
    "grey": ["-vf", "format=gray"],
}
NEAR: Final = SimilarityThresholds().thumbnail_distance


def still(path: Path, source: list[str], options: list[str]) -> Path:
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-y", *source]
    command += [*options, "-frames:v", "1", "-update", "1", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    folder = tmp_path_factory.mktemp("stills")
    found = {}
    for kind in dict.fromkeys(kind for kind, _ in SCENES):
        frames = Camera(write_script(seed=1, duration=60.0, kind=kind)).frames()
        for second, raw in enumerate(islice(frames, 0, None, FRAMES_PER_SECOND)):
            if (kind, second) in SCENES:
                planes = np.frombuffer(raw, np.uint8).reshape(HEIGHT * 3 // 2, WIDTH)
                path = folder / f"{kind}-{second}.png"
                VideoFrame.from_ndarray(planes, format="yuv420p").to_image().save(path)  # type: ignore[no-untyped-call]
                found[kind, second] = path
            if second >= max(at for of, at in SCENES if of == kind):
                break
    return found


def distance(one: Path, two: Path) -> int:
    found = hash_distance(hash_of_file(one), hash_of_file(two))
    assert found is not None
    return found


@pytest.mark.parametrize("how", WORSE)
@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_a_re_encoded_or_scaled_scene_is_near(
    stills: dict[tuple[str, int], Path], tmp_path: Path, scene: tuple[str, int], how: str
) -> None:
    again = still(tmp_path / "again.jpg", ["-i", str(stills[scene])], WORSE[how])
    assert distance(stills[scene], again) <= NEAR


def test_different_scenes_are_far(stills: dict[tuple[str, int], Path]) -> None:
    apart = {pair: distance(stills[pair[0]], stills[pair[1]]) for pair in combinations(SCENES, 2)}
    assert min(apart.values()) > PICTURE_REACH, apart


def test_a_video_through_an_encoder_keeps_its_hash(
    stills: dict[tuple[str, int], Path], tmp_path: Path
) -> None:
    source = stills["soccer", 8]
    video = tmp_path / "a.mp4"
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-loop", "1", "-i", str(source)]
    command += ["-t", "1", "-vf", "scale=426:240", "-c:v", "libx264", "-crf", "35"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(video)], check=True, timeout=60)
    assert distance(source, video) <= NEAR


def test_a_hash_is_64_bits_half_of_them_set() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (32, 32), dtype=np.uint8)
    found = hash_of(noise)
    assert found is not None
    assert len(found) * 4 == BITS
    assert int(found, 16).bit_count() == BITS // 2


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_on_which_nothing_is_to_be_seen_has_no_hash(level: int) -> None:
    assert hash_of(np.full((32, 32), level, dtype=np.uint8)) is None


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 broken"])
def test_a_file_that_is_no_picture_has_no_hash(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert hash_of_file(path) is None
