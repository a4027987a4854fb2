"""Short videos, made once: twelve seconds that are black and quiet, then white and loud."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from demo.ffmpeg import ffmpeg_path

SECONDS = 12.0
CHANGE = 6.0
"""When the picture changes and the sound becomes loud, seconds."""

_PICTURE = (
    f"color=black:s=320x180:r=25:d={CHANGE}[a];color=white:s=320x180:r=25:d={SECONDS - CHANGE}[b];"
    "[a][b]concat=n=2,format=yuv420p[v]"
)
_SOUND = f"anoisesrc=r=48000:d={SECONDS}:seed=1,volume='if(lt(t,{CHANGE}),0.01,0.5)':eval=frame[s]"
_ENCODER = ("-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0", "-g", "600")


def make(file: Path, *, picture: bool = True, sound: bool = True, keyframes: float = 2.0) -> Path:
    """Make the video, with a keyframe every so many seconds."""
    filters = [_PICTURE] * picture + [_SOUND] * sound
    options = [
        *("-map", "[v]", *_ENCODER, "-force_key_frames", f"expr:gte(t,n_forced*{keyframes})")
        * picture,
        *("-map", "[s]", "-c:a", "aac", "-ac", "2") * sound,
    ]
    subprocess.run(
        [ffmpeg_path(), "-v", "error", "-y", "-filter_complex", ";".join(filters), *options, file],
        check=True,
    )
    return file


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The video, with picture and sound."""
    return make(tmp_path_factory.mktemp("short") / "short.mp4")
