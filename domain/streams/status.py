"""Status of a stream: states, allowed transitions, end reasons and problems."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.model import Model


class StreamStatus(StrEnum):
    """Status of a stream."""

    STARTING = "starting"  # accepted; no media yet
    LIVE = "live"
    STALLED = "stalled"  # was live; the playlist has stopped moving
    ENDING = "ending"  # no more media will come; the last windows and clips are being finished
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL: Final = frozenset({StreamStatus.COMPLETED, StreamStatus.FAILED, StreamStatus.CANCELLED})

_ALLOWED: Final[dict[StreamStatus, frozenset[StreamStatus]]] = {
    StreamStatus.STARTING: frozenset(
        {StreamStatus.LIVE, StreamStatus.ENDING, StreamStatus.FAILED, StreamStatus.CANCELLED}
    ),
    StreamStatus.LIVE: frozenset(
        {StreamStatus.STALLED, StreamStatus.ENDING, StreamStatus.FAILED, StreamStatus.CANCELLED}
    ),
    StreamStatus.STALLED: frozenset(
        {StreamStatus.LIVE, StreamStatus.ENDING, StreamStatus.FAILED, StreamStatus.CANCELLED}
    ),
    StreamStatus.ENDING: frozenset(
        {StreamStatus.COMPLETED, StreamStatus.FAILED, StreamStatus.CANCELLED}
    ),
    StreamStatus.COMPLETED: frozenset(),
    StreamStatus.FAILED: frozenset(),
    StreamStatus.CANCELLED: frozenset(),
}


class EndReason(StrEnum):
    """Why a stream ended. The first group is a normal end, the second a failure."""

    PLAYLIST_ENDED = "playlist_ended"  # EXT-X-ENDLIST
    STOPPED = "stopped"  # a stop signal: the tenant's or 100ms's
    STALLED = "stalled"  # the playlist stood still for longer than the stall timeout
    CANCELLED = "cancelled"

    NEVER_STARTED = "never_started"
    NOT_A_PLAYLIST = "not_a_playlist"
    VOD_PLAYLIST = "vod_playlist"
    ENCRYPTED = "encrypted"
    URL_FORBIDDEN = "url_forbidden"
    PLAYLIST_REGRESSED = "playlist_regressed"
    PLAYLIST_TOO_LARGE = "playlist_too_large"
    NO_MEDIA = "no_media"  # nothing decodable in the whole stream
    SOURCE_FAILED = "source_failed"  # 100ms said hls.failure
    ORIGIN_UNREACHABLE = "origin_unreachable"
    INTERNAL = "internal"


NORMAL_ENDS: Final = frozenset(
    {EndReason.PLAYLIST_ENDED, EndReason.STOPPED, EndReason.STALLED, EndReason.CANCELLED}
)


class StreamEnd(Model):
    """How a stream ended: a reason for programs and a message for people."""

    reason: EndReason
    message: str

    @property
    def status(self) -> StreamStatus:
        """Terminal status that this end leads to."""
        if self.reason is EndReason.CANCELLED:
            return StreamStatus.CANCELLED
        return StreamStatus.COMPLETED if self.reason in NORMAL_ENDS else StreamStatus.FAILED


class ProblemCode(StrEnum):
    """Problems that keep a stream from being followed or analyzed, while they last."""

    STORE_FULL = "store_full"  # our media store has no space left
    STORE_UNAVAILABLE = "store_unavailable"  # our media store cannot be written
    SOURCE_UNAVAILABLE = "source_unavailable"  # the playlist cannot be read
    MEDIA_ENCRYPTED = "media_encrypted"  # the latest segments cannot be decrypted
    AUDIO_UNAVAILABLE = "audio_unavailable"  # the audio published separately cannot be read
    INGEST_FAILING = "ingest_failing"  # an internal error that is retried
    ANALYSIS_FAILING = "analysis_failing"  # the latest windows could not be analysed
    ANALYSIS_BEHIND = "analysis_behind"  # analysis lags behind ingest
    CLIPS_FAILING = "clips_failing"  # the latest clips could not be made


class StreamProblem(Model):
    """An ongoing problem of a stream: a code for programs and a message for its owner."""

    code: ProblemCode
    message: str


class StreamProgress(Model):
    """Progress of a stream, as shown to its owner.

    Attributes:
        position: media time (s) up to which segments are fetched.
        duration: length (s) of a recording that is analyzed as a whole; None of a live stream.
        analyzed: media time (s) up to which media is analyzed.
        segments: number of stored segments.
        missed: number of segments recorded as gaps.
        windows: number of fetched windows.
        refused_marks: number of markers that could not be parsed.
        notice: status message about the analysis for the owner; empty if all is well.
        problems: current problems, the most severe first.
    """

    status: StreamStatus = StreamStatus.STARTING
    position: float = 0.0
    duration: float | None = None
    analyzed: float = 0.0
    segments: int = 0
    missed: int = 0
    windows: int = 0
    highlights: int = 0
    clips: int = 0
    refused_marks: int = 0
    notice: str = ""
    problems: tuple[StreamProblem, ...] = ()
    end: StreamEnd | None = None
    last_segment_at: datetime | None = None

    def replace(
        self,
        *,
        status: StreamStatus | None = None,
        position: float | None = None,
        duration: float | None = None,
        analyzed: float | None = None,
        segments: int | None = None,
        missed: int | None = None,
        windows: int | None = None,
        highlights: int | None = None,
        clips: int | None = None,
        refused_marks: int | None = None,
        notice: str | None = None,
        problems: tuple[StreamProblem, ...] | None = None,
        end: StreamEnd | None = None,
        last_segment_at: datetime | None = None,
    ) -> StreamProgress:
        """Return a validated copy with the given fields changed; None leaves a field as it is."""
        return StreamProgress(
            status=self.status if status is None else status,
            position=self.position if position is None else position,
            duration=self.duration if duration is None else duration,
            analyzed=self.analyzed if analyzed is None else analyzed,
            segments=self.segments if segments is None else segments,
            missed=self.missed if missed is None else missed,
            windows=self.windows if windows is None else windows,
            highlights=self.highlights if highlights is None else highlights,
            clips=self.clips if clips is None else clips,
            refused_marks=self.refused_marks if refused_marks is None else refused_marks,
            notice=self.notice if notice is None else notice,
            problems=self.problems if problems is None else problems,
            end=self.end if end is None else end,
            last_segment_at=self.last_segment_at if last_segment_at is None else last_segment_at,
        )


def may_become(before: StreamStatus, after: StreamStatus) -> bool:
    """Return True if a stream may change from `before` to `after`."""
    return after in _ALLOWED[before]


def conclude(end: StreamEnd, progress: StreamProgress) -> StreamEnd:
    """Return the final end of a stream, given its progress.

    A normal end becomes a failure if segments were published and none could be stored: an empty
    list of highlights would suggest that nothing happened.
    """
    if end.reason in NORMAL_ENDS and progress.segments == 0 and progress.missed > 0:
        return StreamEnd(
            reason=EndReason.NO_MEDIA,
            message=f"none of the {progress.missed} published segments held playable media",
        )
    return end


def may_follow(before: StreamStatus, after: StreamStatus) -> bool:
    """Return True if `after` can follow `before`, directly or through other states.

    Used for writes that arrive late or out of order: nothing follows a terminal state.
    """
    reachable: set[StreamStatus] = set()
    frontier = {before}
    while frontier:
        reachable |= frontier
        frontier = {after for status in frontier for after in _ALLOWED[status]} - reachable
    return after in reachable
