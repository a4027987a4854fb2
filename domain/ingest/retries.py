"""Timeouts of ingest requests, and problems that are reported when they repeat.

Timeouts derive from the stream's own durations (RFC 8216, 4.3.3.1).
"""

from __future__ import annotations

from typing import Final

from pydantic import PositiveFloat

from domain.model import Model
from domain.streams.status import ProblemCode, StreamProblem
from domain.text import clean_text

LONGEST_IDLE: Final = 60.0
"""Longest idle timeout, in seconds without a byte."""


LONGEST_REQUEST: Final = 120.0
"""Longest timeout of a whole response, in seconds."""


_LONGEST_PATIENCE: Final = 60.0


_UNHURRIED: Final = 60.0


class RequestTiming(Model):
    """Timeouts of one request in seconds: of the whole response, and without a byte."""

    total: PositiveFloat
    idle: PositiveFloat


class SegmentTiming(RequestTiming):
    """Timeouts of a segment's requests, and how long failed ones are retried.

    Attributes:
        missing_patience: seconds of retries for a missing segment (404); a listed segment may
            become available up to a target duration late.
        error_patience: seconds of retries for other errors, while the playlist lists the segment.
    """

    missing_patience: float = 0.0
    error_patience: float = 0.0


def playlist_timing(target_duration: float | None, *, request_timeout: float) -> RequestTiming:
    """Return the timeouts of a playlist request.

    Args:
        target_duration: last target duration of the playlist; None if unknown.
        request_timeout: configured minimum.
    """
    target = target_duration or 0.0
    idle = min(max(request_timeout, 1.5 * target), max(LONGEST_IDLE, request_timeout))
    return RequestTiming(total=_bounded(max(2 * idle, 3 * target), request_timeout), idle=idle)


def segment_timing(
    duration: float, *, target_duration: float, window: float, request_timeout: float
) -> SegmentTiming:
    """Return the timeouts of a segment's requests.

    Half as long again as the segment lasts may pass without a byte: an origin that makes segments
    on demand needs that. The whole may take as long as the playlist lists a segment, since others
    are fetched beside it, and at least three times its duration.

    Args:
        duration: EXTINF.
        target_duration: of the playlist.
        window: seconds of media that the playlist lists; 0 when it lists them for good.
        request_timeout: the configured least.
    """
    longest = max(duration, target_duration)
    idle = min(max(request_timeout, 1.5 * longest), max(LONGEST_IDLE, request_timeout))
    return SegmentTiming(
        total=_bounded(max(idle, 3 * longest, window or _UNHURRIED), request_timeout),
        idle=idle,
        missing_patience=min(target_duration, _LONGEST_PATIENCE) if window else 0.0,
        error_patience=min(window, _LONGEST_PATIENCE),
    )


def _bounded(seconds: float, request_timeout: float) -> float:
    return min(seconds, max(LONGEST_REQUEST, request_timeout))


_SHOWN_FROM: Final = 2


_RESOLVED_AFTER: Final = 3


_LONGEST_DETAIL: Final = 300


_SENTENCES: Final = {
    ProblemCode.MEDIA_ENCRYPTED: "Segments of the stream cannot be decrypted: {detail}. Publish a "
    "variant in the clear, or one with AES-128 whose key our requests can read.",
    ProblemCode.AUDIO_UNAVAILABLE: "The stream's separate audio cannot be read: {detail}. Until "
    "it can, highlights are found from the pictures alone and clips are silent.",
}


class RepeatedFailure:
    """A problem of a stream's segments that is shown when it repeats.

    A single failure is a gap, or a few seconds without audio. The problem is shown from the second
    failure until three segments in a row succeed, so that it does not flap.

    Args:
        code: code of the problem.
        known: problem of the stream that was reported last; if it has this code, it is still shown.

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
        """Record a failed segment."""
        self._failed, self._good = self._failed + 1, 0
        self.detail = clean_text(detail, _LONGEST_DETAIL).rstrip(".")
        if self._failed >= _SHOWN_FROM:
            message = _SENTENCES[self._code].format(detail=self.detail)
            self.shown = StreamProblem(code=self._code, message=message)

    def succeeded(self) -> None:
        """Record a successful segment."""
        self.detail = ""
        self._good += 1
        if self._good >= _RESOLVED_AFTER:
            self._failed, self.shown = 0, None
