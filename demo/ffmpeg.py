"""The ffmpeg program of the demo and the tests: the one that the service renders with."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def ffmpeg_path() -> str:
    """Return the ffmpeg that HIGHLIGHTS_FFMPEG_PATH names, else that of imageio-ffmpeg.

    The same rule as `infra.media.ffmpeg.find_ffmpeg`, which the demo may not import.

    Raises:
        RuntimeError: there is neither.
    """
    if configured := os.environ.get("HIGHLIGHTS_FFMPEG_PATH"):
        return configured
    packaged = sorted(Path(str(files("imageio_ffmpeg.binaries"))).glob("ffmpeg-*"))
    if not packaged:
        raise RuntimeError(
            "imageio-ffmpeg holds no ffmpeg for this platform: set HIGHLIGHTS_FFMPEG_PATH to one"
        )
    return str(packaged[0])
