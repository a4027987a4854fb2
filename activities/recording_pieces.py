"""One piece of a recording in the making: segments placed on the stream's timeline and stored."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from activities.ingest.fetcher import Fetched, Lost
from domain.backfill_input import FetchRecordingInput, FetchRecordingResult
from domain.ingest import IngestProgress
from domain.media import SegmentRef
from domain.playlist import ListedSegment, MediaPlaylist
from domain.window import WindowBuilder
from infra.segment_store import SegmentStore


def recording_prefix(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return what the names of all stored segments of a stream's recording begin with.

    Apart from those of the live stream, which is followed and released by rules of its own.
    """
    return f"{tenant_id}/{stream_id}/recording/"


def ends_at(key: str) -> float:
    """Return the media time (s) at which a stored segment ends, by its name."""
    name = key.rpartition("/")[2].partition(".")[0]
    return int(name.partition("-")[2]) / 1000


class PieceFetch:
    """Takes the segments of one piece in order.

    Args:
        request: what the activity was asked.
        playlist: of the recording.
        progress: where to begin: at the request's cursor, or where an earlier attempt stopped.
        store: receives the segments.
    """

    def __init__(
        self,
        request: FetchRecordingInput,
        playlist: MediaPlaylist,
        *,
        progress: IngestProgress,
        store: SegmentStore,
    ) -> None:
        self._request = request
        self._playlist = playlist
        self._store = store
        piece = request.piece
        self._wanted = playlist.segments[piece.first : piece.last + 1]
        self._skip = piece.skip
        self._prefix = recording_prefix(tenant_id=request.tenant_id, stream_id=request.stream_id)
        self._builder = WindowBuilder(
            tenant_id=request.tenant_id, stream_id=request.stream_id, progress=progress
        )

    @property
    def progress(self) -> IngestProgress:
        """The piece so far, to heartbeat."""
        return self._builder.progress

    def missing(self, most: int) -> tuple[ListedSegment, ...]:
        """Return the next segments to fetch, at most so many."""
        following = self._builder.cursor.next_sequence or 0
        return tuple(each for each in self._wanted if each.sequence >= following)[:most]

    async def take(self, outcome: Fetched | Lost) -> None:
        """Place and store a segment, or leave a hole where it could not be had."""
        now = datetime.now(UTC)
        skip = self._skip if outcome.listed.sequence == self._wanted[0].sequence else 0.0
        listed = outcome.listed.without_first(skip) if skip else outcome.listed
        if isinstance(outcome, Lost):
            self._builder.lose(
                first_sequence=listed.sequence,
                last_sequence=listed.sequence,
                duration=listed.duration,
                reason=outcome.reason,
                detail=outcome.detail,
                published_at=now,
            )
            return
        media = outcome.media.without_first(skip) if skip else outcome.media
        placed = self._builder.place(listed, media, published_at=now)
        ref = placed.model_copy(update={"key": self._key(placed, media.suffix)})
        if outcome.file is not None:
            await self._store.adopt(ref.key, outcome.file)
        self._builder.commit(ref, listed, media)

    def result(self) -> FetchRecordingResult:
        """Return the piece, with the timed metadata that lies in it."""
        self._builder.take_metadata(self._playlist.date_ranges, final=self._request.last)
        window, cursor = self._builder.build()
        return FetchRecordingResult(cursor=cursor, window=window)

    def _key(self, ref: SegmentRef, suffix: str) -> str:
        start, end = (round(at * 1000) for at in (ref.start, ref.end))
        return f"{self._prefix}{start:012d}-{end:012d}.{suffix}"
