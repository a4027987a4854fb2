"""Problems that are shown when they repeat, and hidden when they are mended."""

from __future__ import annotations

from typing import Final

from domain.stream import ProblemCode, StreamProblem
from domain.text import clean_text

_SHOWN_FROM: Final = 2
_MENDED_AFTER: Final = 3
_LONGEST_DETAIL: Final = 300
_SENTENCES: Final = {
    ProblemCode.MEDIA_ENCRYPTED: "Segments of the stream cannot be decrypted: {detail}. Publish a "
    "variant in the clear, or one with AES-128 whose key our requests can read.",
    ProblemCode.AUDIO_UNAVAILABLE: "The stream's separate audio cannot be read: {detail}. Until "
    "it can, highlights are found from the pictures alone and clips are silent.",
}


class RepeatedFailure:
    """A problem of a stream's segments that is shown when it repeats.

    A single segment is a gap, or a few seconds without sound. From the second one on the problem
    is shown, until three in a row are good, so that it does not come and go.

    Args:
        code: which problem it is.
        known: the problem of the stream that was reported last, if any; one with this code is
            still shown.

    Attributes:
        detail: why the latest segment failed; empty after a good one.
        shown: the problem, while it is shown.
    """

    def __init__(self, code: ProblemCode, *, known: StreamProblem | None = None) -> None:
        self._code = code
        self.detail = ""
        self.shown = known if known is not None and known.code is code else None
        self._failed = 0 if self.shown is None else _SHOWN_FROM
        self._good = 0

    def failed(self, detail: str) -> None:
        """Note a segment that failed, and why."""
        self._failed, self._good = self._failed + 1, 0
        self.detail = clean_text(detail, _LONGEST_DETAIL).rstrip(".")
        if self._failed >= _SHOWN_FROM:
            message = _SENTENCES[self._code].format(detail=self.detail)
            self.shown = StreamProblem(code=self._code, message=message)

    def succeeded(self) -> None:
        """Note a good segment."""
        self.detail = ""
        self._good += 1
        if self._good >= _MENDED_AFTER:
            self._failed, self.shown = 0, None
