"""What can be wrong with a live stream's playlist and segments, in words for its tenant."""

from __future__ import annotations

from dataclasses import dataclass

from domain.stream import EndReason, StreamEnd
from infra.hls_client import NotFoundError, RefusedError, TooLargeError
from infra.hls_parser import NotAPlaylistError
from infra.url_guard import UrlForbiddenError


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
