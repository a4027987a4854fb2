"""Detection of text near the top and bottom of a picture, where games and broadcasters show scores.

The PP-OCR model marks letters and digits of any script, also single ones and in textured bars. It
sees a small picture without the middle. Estimated on one core: 70 ms. Runs in a media child process
(`infra.media.pool`), which loads the model (35 MB) when it learns regions for the first time.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from domain.profiles.model import HudBox
from infra.media.screen.lines import Grey
from infra.media.screen.models import DETECTION, TextRecognitionError, model_file, open_model
from infra.media.screen.regions import components

DETECTION_COST: Final = 70.0
"""Expected CPU time of a detection, in ms, so that each analysis makes the same choices."""

_PIXELS: Final = 512 * 288
_MULTIPLE: Final = 32
_SHOWN: Final = 2 / 9
"""Part of the picture's rows that are seen at the top, and again at the bottom."""

_MEAN: Final = np.array((0.485, 0.456, 0.406), np.float32)
_DEVIATION: Final = np.array((0.229, 0.224, 0.225), np.float32)
_LIKELY: Final = 0.3
_BLOCK: Final = 2
# The model marks the core of a line. Its letters reach further, by this share of the core's height.
_ABOVE: Final = 0.5
_BESIDE: Final = 0.75
_LEAST_HEIGHT: Final = 3
_HIGHEST: Final = 0.16
# Two lines are parts of one if they are alike in height and this close, by their height.
_ONE_ROW: Final = 0.6
_ONE_SIZE: Final = 1.8
_ONE_GAP: Final = 3.5
_MOST: Final = 24


class _Line(NamedTuple):
    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top


class TextDetector:
    """Finds lines of text in a picture.

    Args:
        model: an ONNX file.

    Raises:
        TextRecognitionError: the model is missing or damaged.
    """

    def __init__(self, model: Path) -> None:
        self._session = open_model(model)
        self._input = self._session.get_inputs()[0].name

    def find(self, frame: VideoFrame) -> list[HudBox]:
        """Return boxes around lines of text, the largest first.

        Raises:
            TextRecognitionError: the runtime failed, for example for lack of memory.
        """
        scale = (_PIXELS / (frame.width * frame.height)) ** 0.5
        width, height = (
            max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE)
            for side in (frame.width, frame.height)
        )
        band = max(_MULTIPLE, round(height * _SHOWN / _MULTIPLE) * _MULTIPLE)
        small = frame.reformat(width=width, height=height, format="bgr24", interpolation="AREA")
        picture = small.to_ndarray().astype(np.uint8, copy=False)
        if height <= 2 * band:
            return _boxes(self._lines(picture), width, height)
        seen = np.concatenate([picture[:band], picture[-band:]])
        lines = []
        for line in self._lines(seen):
            if (line.top < band) == (line.bottom <= band):  # what the seam joins is no line
                down = 0 if line.top < band else height - 2 * band
                lines.append(_Line(line.top + down, line.left, line.bottom + down, line.right))
        return _boxes(lines, width, height)

    def _lines(self, picture: NDArray[np.uint8]) -> list[_Line]:
        values = (picture.astype(np.float32) / 255 - _MEAN) / _DEVIATION
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        try:
            (likely,) = self._session.run(None, {self._input: batch})
        except Exception as error:  # the runtime's own errors derive from Exception
            raise TextRecognitionError(f"the model failed: {str(error)[:120]}") from error
        rows, columns = (side // _BLOCK for side in picture.shape[:2])
        blocks: Grey = likely[0, 0].reshape(rows, _BLOCK, columns, _BLOCK).max(axis=(1, 3))
        found = (_Line(*(_BLOCK * side for side in each)) for each in components(blocks > _LIKELY))
        return [line for line in found if line.height >= _LEAST_HEIGHT]


def _boxes(lines: list[_Line], width: int, height: int) -> list[HudBox]:
    joined = _joined([line for line in lines if line.height <= _HIGHEST * height])
    joined.sort(key=lambda line: -line.height * (line.right - line.left))
    boxes = []
    for line in joined[:_MOST]:
        above, beside = _ABOVE * line.height, _BESIDE * line.height
        left, right = max(0.0, line.left - beside) / width, (line.right + beside) / width
        top, bottom = max(0.0, line.top - above) / height, (line.bottom + above) / height
        boxes.append(
            HudBox(x=left, y=top, width=min(1.0, right) - left, height=min(1.0, bottom) - top)
        )
    return boxes


def _joined(lines: list[_Line]) -> list[_Line]:
    """Return lines with those joined that stand beside each other."""
    joined: list[_Line] = []
    for line in sorted(lines, key=lambda each: each.left):
        whole = line
        for each in [before for before in joined if _is_one_row(before, line)]:
            joined.remove(each)
            whole = _Line(
                min(each.top, whole.top),
                min(each.left, whole.left),
                max(each.bottom, whole.bottom),
                max(each.right, whole.right),
            )
        joined.append(whole)
    return joined


def _is_one_row(one: _Line, other: _Line) -> bool:
    lower, higher = sorted((one.height, other.height))
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    gap = max(one.left, other.left) - min(one.right, other.right)
    return common >= _ONE_ROW * lower and higher <= _ONE_SIZE * lower and gap <= _ONE_GAP * lower


@lru_cache(maxsize=1)
def shared_detector() -> TextDetector:
    """Return this process's detector, loaded at the first call.

    Raises:
        TextRecognitionError: the model is missing or damaged.
    """
    return TextDetector(model_file(DETECTION))
