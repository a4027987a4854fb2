"""What can be wrong with a live stream's playlist and segments, in words for its tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.stream import EndReason, ProblemCode, StreamEnd, StreamProblem
from domain.text import clean_text
from infra.hls_client import NotFoundError, RefusedError, TooLargeError
from infra.hls_parser import NotAPlaylistError
from infra.url_guard import UrlForbiddenError

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


@dataclass(frozen=True)
class Problem:
    """What was wrong with the latest request for the playlist, and the end it would lead to."""

    reason: EndReason
    message: str


def encrypted_end(problem: str) -> StreamEnd:
    """Say how a stream ends of which nothing could be decrypted."""
    return StreamEnd(
        reason=EndReason.ENCRYPTED,
        message=f"The stream's segments cannot be read: {problem}. Publish a variant in the clear, "
        "or one with AES-128 whose key our requests can read.",
    )


def playlist_problem(error: Exception) -> Problem:
    """Say what is wrong with a playlist that could not be read, in words for a tenant."""
    match error:
        case UrlForbiddenError():
            return Problem(EndReason.URL_FORBIDDEN, str(error))
        case NotAPlaylistError():
            return Problem(
                EndReason.NOT_A_PLAYLIST,
                f"The URL is no HLS playlist: {error}. Give the URL of the stream's .m3u8.",
            )
        case TooLargeError():
            return Problem(
                EndReason.PLAYLIST_TOO_LARGE,
                f"The playlist is too large: {error}. Publish a sliding window of segments.",
            )
        case RefusedError():
            return Problem(
                EndReason.NEVER_STARTED,
                f"The origin refuses access to the playlist: {error}. If its URL is signed, the "
                "signature may have expired; start a new analysis with a current URL.",
            )
        case NotFoundError():
            return Problem(
                EndReason.NEVER_STARTED,
                f"The playlist is not there: {error}. Check the URL, and that the stream is live.",
            )
        case _:
            return Problem(
                EndReason.ORIGIN_UNREACHABLE,
                f"The playlist cannot be read: {error}. Check the origin, then start a new "
                "analysis.",
            )
