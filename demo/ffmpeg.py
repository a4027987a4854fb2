"""The ffmpeg program: where it is, and how it is run without a terminal."""

from __future__ import annotations

import shutil
from functools import cache

import imageio_ffmpeg


@cache
def ffmpeg_path() -> str:
    """Return the ffmpeg on PATH, else the static build that comes with imageio-ffmpeg.

    Raises:
        RuntimeError: there is neither.
    """
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())
