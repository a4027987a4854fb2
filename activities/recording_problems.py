"""What can be wrong with a recording, in words for its tenant."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from domain.playlist import MediaPlaylist
from domain.stream import EndReason, StreamEnd
from infra.hls_client import NotFoundError, RefusedError, TooLargeError
from infra.hls_parser import NotAPlaylistError
from infra.recording_archive import UnusableArchiveError
from infra.url_guard import UrlForbiddenError


def unusable(playlist: MediaPlaylist) -> StreamEnd | None:
    """Say why a playlist is no recording that can be analysed; None: it is one.

    Raises:
        ApplicationError: `recording_unfinished`; the playlist has no end yet.
    """
    if not (playlist.ended or playlist.vod):
        raise ApplicationError(
            "The recording is still being written: its playlist has no end yet.",
            type="recording_unfinished",
        )
    if not playlist.segments:
        return StreamEnd(
            reason=EndReason.NO_MEDIA, message="The recording's playlist lists no segment."
        )
    refusals = [each.refusal for each in playlist.segments]
    if all(refusals):
        return StreamEnd(
            reason=EndReason.ENCRYPTED,
            message=f"The recording's segments cannot be read: {refusals[0]}. Publish it in the "
            "clear, or with AES-128 and a key that our requests can read.",
        )
    return None


def problem_of(error: Exception) -> StreamEnd:
    """Say what is definitely wrong with a recording that could not be read."""
    reason = EndReason.ORIGIN_UNREACHABLE
    match error:
        case UrlForbiddenError():
            reason, message = EndReason.URL_FORBIDDEN, str(error)
        case NotAPlaylistError():
            reason = EndReason.NOT_A_PLAYLIST
            message = (
                f"The recording is no HLS playlist ({error}); publish it as a VOD playlist, or as "
                "a ZIP archive of one whose address ends in .zip: single files are not analysed."
            )
        case UnusableArchiveError():
            reason = EndReason.NOT_A_PLAYLIST
            message = f"The recording's archive is not used: {error}."
        case TooLargeError():
            reason = EndReason.PLAYLIST_TOO_LARGE
            message = f"The recording's playlist or archive is too large ({error})."
        case NotFoundError():
            message = f"The recording is not there ({error})."
        case RefusedError():
            message = (
                f"The recording may not be read ({error}); a presigned address may have expired."
            )
        case _:
            message = f"The recording cannot be read: {error}."
    return StreamEnd(reason=reason, message=message)
