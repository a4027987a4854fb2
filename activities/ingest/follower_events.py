"""Events of a playlist follower: segments, gaps, and problems with texts for the tenant."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from activities.ingest.fetcher import DownloadedSegment, MissingSegment
from domain.ingest.playlist import ListedSegment
from domain.media.segments import GapReason
from domain.streams.status import EndReason, StreamEnd
from infra.media.hls_client import NotFoundError, RefusedError, TooLargeError
from infra.media.hls_playlist import NotAPlaylistError
from infra.ssrf import UrlForbiddenError


@dataclass(frozen=True)
class SegmentReady:
    """A new segment; `outcome` resolves to its media, or to why it is missing."""

    listed: ListedSegment
    published_at: datetime
    restarted: bool
    outcome: asyncio.Task[DownloadedSegment | MissingSegment]


@dataclass(frozen=True)
class SegmentGap:
    """Segments that are missing without a download attempt; `duration` is an estimate in seconds.

    `listed` is the segment, if the playlist lists it.
    """

    first_sequence: int
    last_sequence: int
    duration: float
    reason: GapReason
    detail: str
    published_at: datetime
    listed: ListedSegment | None = None


FollowerEvent = SegmentReady | SegmentGap


def unread_gap(first: int, *, duration: float, typical: float) -> SegmentGap:
    """Return the estimated gap of a time in which the playlist was not read.

    Args:
        first: number of the first missing segment.
        duration: missing seconds.
        typical: seconds of a typical segment.
    """
    segments = max(1, round(duration / max(typical, 0.5)))
    return SegmentGap(
        first_sequence=first,
        last_sequence=first + segments - 1,
        duration=duration,
        reason=GapReason.ROLLED_OFF,
        detail="was published while the service did not follow the stream",
        published_at=datetime.now(UTC),
    )


async def discard(arrival: SegmentReady) -> None:
    """Delete the file of a segment's download, once it has finished."""
    with suppress(asyncio.CancelledError, Exception):
        outcome = await arrival.outcome
        if isinstance(outcome, DownloadedSegment) and outcome.file is not None:
            await asyncio.to_thread(Path.unlink, outcome.file, missing_ok=True)


@dataclass(frozen=True)
class PlaylistProblem:
    """The problem of the latest playlist request, and the end that it would lead to."""

    reason: EndReason
    message: str


def encrypted_end(problem: str) -> StreamEnd:
    """Return the end of a stream whose segments cannot be decrypted."""
    return StreamEnd(
        reason=EndReason.ENCRYPTED,
        message=f"The stream's segments cannot be read: {problem}. Publish a variant in the clear, "
        "or one with AES-128 whose key our requests can read.",
    )


def playlist_problem(error: Exception) -> PlaylistProblem:
    """Return the problem of a playlist that could not be read, with a text for the tenant."""
    match error:
        case UrlForbiddenError():
            return PlaylistProblem(EndReason.URL_FORBIDDEN, str(error))
        case NotAPlaylistError():
            return PlaylistProblem(
                EndReason.NOT_A_PLAYLIST,
                f"The URL is no HLS playlist: {error}. Give the URL of the stream's .m3u8.",
            )
        case TooLargeError():
            return PlaylistProblem(
                EndReason.PLAYLIST_TOO_LARGE,
                f"The playlist is too large: {error}. Publish a sliding window of segments.",
            )
        case RefusedError():
            return PlaylistProblem(
                EndReason.NEVER_STARTED,
                f"The origin refuses access to the playlist: {error}. If its URL is signed, the "
                "signature may have expired; start a new analysis with a current URL.",
            )
        case NotFoundError():
            return PlaylistProblem(
                EndReason.NEVER_STARTED,
                f"The playlist is not there: {error}. Check the URL, and that the stream is live.",
            )
        case _:
            return PlaylistProblem(
                EndReason.ORIGIN_UNREACHABLE,
                f"The playlist cannot be read: {error}. Check the origin, then start a new "
                "analysis.",
            )
