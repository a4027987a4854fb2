"""Recognition of one line of text.

Runs in a media child process (`infra.media.pool`), which loads the runtime (25 MB) and the model
(50 MB) when it reads for the first time. Measured on one core: 7 ms for a digit, 10 ms for `2-0`,
60 ms for a line of 35 letters.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from infra.media.screen.models import (
    RECOGNITION,
    TextRecognitionError,
    damaged,
    model_file,
    open_model,
)

Grey = NDArray[np.uint8]

HEIGHT: Final = 48
"""Rows of a line as the model sees it."""

_NARROWEST: Final = 16
_WIDEST: Final = 800
_FIXED_MILLISECONDS: Final = 4.0
_MILLISECONDS_PER_COLUMN: Final = 0.085


class RecognizedText(NamedTuple):
    """A line of text, and the mean confidence of its characters, 0 to 1."""

    text: str
    confidence: float


class TextRecognizer:
    """Recognizes lines of text, in any script that the model knows.

    Args:
        model: an ONNX file with the alphabet in its metadata.

    Raises:
        TextRecognitionError: the model is missing or damaged.
    """

    def __init__(self, model: Path) -> None:
        self._session = open_model(model)
        try:
            alphabet = self._session.get_modelmeta().custom_metadata_map["character"]
        except KeyError as error:
            raise damaged(model, error) from error
        # The first class means "no character", and the last one is a space.
        self._alphabet = ("", *alphabet.split("\n"), " ")
        self._digits = [self._alphabet.index(str(digit)) for digit in range(10)]
        self._input = self._session.get_inputs()[0].name

    def read(self, line: Grey, *, numbers: bool = False) -> RecognizedText:
        """Return the text of a line, dark on light.

        Args:
            line: its rows and columns.
            numbers: True if a single character is expected to be a digit.

        Raises:
            TextRecognitionError: the runtime failed, for example for lack of memory.
        """
        scaled = _scaled(line).astype(np.float32) / np.float32(127.5) - np.float32(1.0)
        picture = np.broadcast_to(scaled, (1, 3, *scaled.shape))
        try:
            (scores,) = self._session.run(None, {self._input: np.ascontiguousarray(picture)})
        except Exception as error:  # the runtime's own errors derive from Exception
            raise TextRecognitionError(f"the model failed: {str(error)[:120]}") from error
        found = self._decode(scores[0])
        if numbers and len(found.text) == 1 and not found.text.isascii():
            return self._digit(scores[0])
        return found

    def _digit(self, scores: NDArray[np.float32]) -> RecognizedText:
        """Return the most probable digit: pixel fonts look like characters of other scripts."""
        likely = scores[:, self._digits].max(axis=0)
        best = int(likely.argmax())
        return RecognizedText(str(best), float(likely[best] / max(likely.sum(), 1e-9)))

    def _decode(self, scores: NDArray[np.float32]) -> RecognizedText:
        """Return the best class of each step without repetitions and blanks (CTC, greedy)."""
        classes = [0, *map(int, scores.argmax(axis=1))]
        best = scores.max(axis=1)
        kept = [
            (self._alphabet[new] if new < len(self._alphabet) else "", float(best[step]))
            for step, (old, new) in enumerate(pairwise(classes))
            if new not in {0, old}
        ]
        if not kept:
            return RecognizedText("", 0.0)
        text = "".join(character for character, _ in kept).strip()
        return RecognizedText(text, sum(score for _, score in kept) / len(kept))


@lru_cache(maxsize=1)
def shared_recognizer() -> TextRecognizer:
    """Return this process's recognizer, loaded at the first call.

    Raises:
        TextRecognitionError: the model is missing or damaged.
    """
    return TextRecognizer(model_file(RECOGNITION))


def reading_cost(line: Grey) -> float:
    """Return the expected CPU time of reading a line, in ms.

    An estimate by width, so that a repeated analysis makes the same choices on any machine.
    """
    return _FIXED_MILLISECONDS + _MILLISECONDS_PER_COLUMN * _columns(line)


def _columns(line: Grey) -> int:
    rows, columns = line.shape
    return int(min(_WIDEST, max(_NARROWEST, round(columns * HEIGHT / rows))))


def _scaled(line: Grey) -> Grey:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(line), "gray")
    method = "AREA" if line.shape[0] > HEIGHT else "BICUBIC"
    scaled = frame.reformat(width=_columns(line), height=HEIGHT, interpolation=method)
    return scaled.to_ndarray().astype(np.uint8, copy=False)
