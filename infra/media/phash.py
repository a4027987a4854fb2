"""A picture's perceptual hash: 64 bits that stay nearly the same however it is encoded or scaled.

The DCT hash ("pHash"; Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010): the picture in 32 x 32 grey cells, of its discrete cosine transform the 8 x 8
lowest frequencies without the constant ones, and of each whether it is above their median. Twenty
lines over numpy: the library `imagehash` would bring SciPy and PyWavelets into every worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

SIDE: Final = 32
BITS: Final = 64
_FREQUENCIES: Final = 8
_FLAT: Final = 8.0
"""Deviation (grey levels) below which a picture shows nothing: its hash would be noise."""


def _cosines() -> NDArray[np.float64]:
    """Return the rows of the DCT-II that are kept."""
    cells = np.arange(SIDE)
    frequencies = np.arange(1, _FREQUENCIES + 1)
    return np.cos(np.pi / SIDE * np.outer(frequencies, cells + 0.5))


_COSINES: Final = _cosines()

# Kept, since setting up a scaler costs more than scaling. A media child has one thread.
_SCALER: Final = VideoReformatter()


def hash_of(grey: NDArray[np.generic]) -> str | None:
    """Return the hash of 32 x 32 grey levels in hexadecimal; None when there is nothing to see."""
    cells = grey.astype(np.float64)
    if cells.std() < _FLAT:
        return None
    transformed = _COSINES @ cells @ _COSINES.T
    bits = (transformed > np.median(transformed)).ravel()
    return np.packbits(bits).tobytes().hex()


def hash_of_frame(frame: VideoFrame) -> str | None:
    """Return the hash of a decoded picture; None when there is nothing to see on it."""
    grey = _SCALER.reformat(frame, width=SIDE, height=SIDE, format="gray", interpolation="AREA")
    return hash_of(grey.to_ndarray())


def hash_of_file(path: Path) -> str | None:
    """Return the hash of a picture file; None when nothing is to be seen, or it cannot be read.

    Runs in a media child process (`infra.media.pool`).
    """
    try:
        with av.open(str(path)) as container:
            frame = next(iter(container.decode(video=0)), None)
            return None if frame is None else hash_of_frame(frame)
    except (av.error.FFmpegError, IndexError):
        return None
