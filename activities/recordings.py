"""Activities that survey a stream's recording and fetch it into the segment store."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.analysis.state_store import delete_analyzer_states
from activities.heartbeat import INTERVAL, heartbeating
from activities.ingest.fetcher import DownloadedSegment, MissingSegment, SegmentFetcher
from activities.ingest.poller import PlaylistPoller
from activities.ingest.renditions import SeparateAudio
from activities.ingest.store import StoreGuard
from activities.interfaces import Recordings
from app.services.clips import MediaRetention
from domain.ingest.messages import IngestLimits, IngestProgress
from domain.ingest.playlist import ListedSegment, MediaPlaylist
from domain.ingest.window import WindowBuilder
from domain.media.segments import GapReason, SegmentRef, VariantPolicy
from domain.streams.backfill.messages import (
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    SurveyInput,
)
from domain.streams.backfill.planning import (
    BackfillPlan,
    plan_backfill,
    plan_reanalysis,
    plan_whole,
)
from domain.streams.status import EndReason, StreamEnd
from infra.media.hls_client import (
    FetchError,
    HlsClient,
    MediaSource,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnreachableError,
)
from infra.media.hls_playlist import NotAPlaylistError
from infra.media.pool import MediaPool
from infra.media.recordings.archive import UnusableArchiveError
from infra.media.recordings.cache import UPLOADED, RecordingCache, is_local, upload_key
from infra.media.recordings.local_recording import LocalRecording
from infra.media.recordings.media_file import UnusableFileError
from infra.ssrf import UrlForbiddenError
from infra.storage.segment_index import StoredSegment, StoredSegments
from infra.storage.segments import SegmentStore


def unusable(playlist: MediaPlaylist) -> StreamEnd | None:
    """Return why a playlist cannot be analyzed as a recording; None if it can.

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
    """Return what is definitely wrong with a recording that could not be read."""
    reason = EndReason.ORIGIN_UNREACHABLE
    match error:
        case UrlForbiddenError():
            reason, message = EndReason.URL_FORBIDDEN, str(error)
        case NotAPlaylistError():
            reason = EndReason.NOT_A_PLAYLIST
            message = (
                f"The recording is no HLS playlist ({error}). Publish a VOD playlist, a media file "
                "whose address ends in .mp4, .mov, .mkv, .webm or .ts, or a ZIP archive of a "
                "playlist whose address ends in .zip."
            )
        case UnusableArchiveError():
            reason = EndReason.NOT_A_PLAYLIST
            message = f"The recording's archive is not used: {error}."
        case UnusableFileError():
            reason = EndReason.NOT_A_PLAYLIST
            message = f"The recording's file is not used: {error}."
        case TooLargeError():
            reason = EndReason.PLAYLIST_TOO_LARGE
            message = f"The recording's playlist or file is too large ({error})."
        case NotFoundError():
            message = f"The recording is not there ({error})."
        case RefusedError():
            message = (
                f"The recording may not be read ({error}); a presigned address may have expired."
            )
        case _:
            message = f"The recording cannot be read: {error}."
    return StreamEnd(reason=reason, message=message)


def recording_prefix(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the key prefix of all stored segments of a stream's recording.

    They are separate from those of the live stream, which are deleted by other rules. A whole
    recording has no live stream; what is kept of it is stored like one.
    """
    return f"{tenant_id}/{stream_id}/recording/"


def ends_at(key: str) -> float:
    """Return the media time (s) at which a stored segment ends, from its key."""
    name = key.rpartition("/")[2].partition(".")[0]
    return int(name.partition("-")[2]) / 1000


class ChunkFetch:
    """Stores the segments of one chunk in order.

    Args:
        request: input of the activity.
        playlist: playlist of the recording.
        progress: where to start: the request's cursor, or where an earlier attempt stopped.
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
        self._progress = progress
        self._index = _index_of(store, request) if request.keep else None

    @property
    def progress(self) -> IngestProgress:
        """Progress of the chunk up to the last `save`, for heartbeats."""
        return self._progress

    async def save(self) -> None:
        """Write the index, if the media is kept; an interrupted chunk continues from here.

        Raises:
            StoreError: the store refused it.
        """
        if self._index is not None:
            await self._index.write()
        self._progress = self._builder.progress

    def missing(self, most: int) -> tuple[ListedSegment, ...]:
        """Return the next segments to fetch, at most so many."""
        following = self._builder.cursor.next_sequence or 0
        return tuple(each for each in self._wanted if each.sequence >= following)[:most]

    async def take(self, outcome: DownloadedSegment | MissingSegment) -> None:
        """Place and store a segment, or leave a gap if it could not be fetched."""
        now = datetime.now(UTC)
        skip = self._skip if outcome.listed.sequence == self._wanted[0].sequence else 0.0
        listed = outcome.listed.without_first(skip) if skip else outcome.listed
        if isinstance(outcome, MissingSegment):
            self._builder.add_gap(
                first_sequence=listed.sequence,
                last_sequence=listed.sequence,
                duration=listed.duration,
                reason=outcome.reason,
                detail=outcome.detail,
                published_at=now,
            )
            return
        media = outcome.media.without_first(skip) if skip else outcome.media
        ref = self._builder.place(listed, media, published_at=now)
        if self._index is None:
            ref = ref.model_copy(update={"key": self._key(ref, media.suffix)})
        if outcome.file is not None:
            await self._store.adopt(ref.key, outcome.file)
        if self._index is not None:
            await self._index.note(StoredSegment(listed=listed, media=media, ref=ref))
        self._builder.commit(ref, listed, media)

    def result(self) -> FetchRecordingResult:
        """Return the chunk, with the timed metadata in its range."""
        self._builder.take_metadata(self._playlist.date_ranges, final=self._request.last)
        window, cursor = self._builder.build()
        return FetchRecordingResult(cursor=cursor, window=window)

    def _key(self, ref: SegmentRef, suffix: str) -> str:
        start, end = (round(at * 1000) for at in (ref.start, ref.end))
        return f"{self._prefix}{start:012d}-{end:012d}.{suffix}"


_log = structlog.get_logger(__name__)


_AT_A_TIME: Final = 4


_STORE_PATIENCE: Final = 60.0


_PLAYLISTS_KEPT: Final = 4


# A recording lists all there was, with a signed address each: twelve hours of 2 s segments.
_MAX_PLAYLIST_BYTES: Final = 16 << 20


_Owner = tuple[UUID, UUID]
"""Tenant and stream: what is cached of a recording serves no other."""


class RecordingActivities(Recordings):
    """Fetches recordings on one worker.

    Args:
        store: receives the segments.
        client: HTTP client for untrusted URLs (SSRF guard).
        pool: child processes that decode media.
        ffmpeg: the ffmpeg that cuts media files into segments.
        retention: says how long the media of a whole recording is kept.
        heartbeat_interval: seconds between heartbeats.
    """

    def __init__(
        self,
        *,
        store: SegmentStore,
        client: HlsClient,
        pool: MediaPool,
        ffmpeg: Path,
        retention: MediaRetention,
        heartbeat_interval: float = INTERVAL,
    ) -> None:
        self._retention = retention
        self._store = store
        self._client = client
        self._pool = pool
        self._local = RecordingCache(store, ffmpeg=ffmpeg)
        self._heartbeat_interval = heartbeat_interval
        self._playlists: OrderedDict[tuple[_Owner, str], MediaPlaylist] = OrderedDict()

    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        async with heartbeating(interval=self._heartbeat_interval):
            return await self._survey(request)

    async def _survey(self, request: SurveyInput) -> RecordingSurvey:
        problems: list[StreamEnd] = []
        passing: Exception | None = None
        for url in (request.recording.url, *request.recording.alternatives):
            try:
                playlist_url, audio_url, playlist = await self._open(
                    url, _owner(request), request.limits, request.variant
                )
                problem = unusable(playlist)
            except (UnreachableError, ApplicationError) as error:
                passing = passing or error
                continue
            except (UrlForbiddenError, NotAPlaylistError, FetchError) as error:
                problem = problem_of(error)
            if problem is None:
                return RecordingSurvey(
                    playlist_url=playlist_url,
                    audio_url=audio_url,
                    plan=_plan(request, playlist),
                )
            problems.append(problem)
        if passing is not None:
            raise passing
        return RecordingSurvey(problem=problems[0])

    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        details = activity.info().heartbeat_details
        progress = (
            IngestProgress.model_validate(details[0])
            if details
            else IngestProgress.begin(request.cursor)
        )
        async with heartbeating(lambda: progress, interval=self._heartbeat_interval):
            playlist = await self._playlist(request)
            source = await self._source(request.playlist_url, _owner(request))
        fetcher = SegmentFetcher(source, self._store, self._pool)
        audio = self._audio(source, request)
        piece = ChunkFetch(request, playlist, progress=progress, store=self._store)
        guard, until = StoreGuard(self._store), time.monotonic() + _STORE_PATIENCE

        async def obtain() -> None:
            wanted = piece.missing(_AT_A_TIME)
            await _take(piece, [_obtain(fetcher, audio, each, request.limits) for each in wanted])
            await piece.save()

        try:
            async with heartbeating(lambda: piece.progress, interval=self._heartbeat_interval):
                while piece.missing(_AT_A_TIME):
                    await guard.run(obtain, still_wanted=lambda: time.monotonic() < until)
        finally:
            if audio is not None:
                await audio.close()
        return piece.result()

    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        async with heartbeating(interval=self._heartbeat_interval):
            await self._release(request)

    async def _release(self, request: RecordingRelease) -> None:
        prefix = recording_prefix(tenant_id=request.tenant_id, stream_id=request.stream_id)
        if request.before is None:
            self._local.release(request.stream_id)
            await self._store.delete_prefix(prefix)
            await self._store.delete(
                upload_key(tenant_id=request.tenant_id, stream_id=request.stream_id)
            )
            await delete_analyzer_states(
                self._store, tenant_id=request.tenant_id, stream_id=request.stream_id
            )
            if request.keep and not await self._retention.keep(
                tenant_id=request.tenant_id, stream_id=request.stream_id
            ):
                await _index_of(self._store, request).release(before=None)
            return
        for key in await self._store.list(prefix):
            if ends_at(key) > request.before:
                break  # names sort in the order of the timeline
            await self._store.delete(key)

    async def _open(
        self, url: str, owner: _Owner, limits: IngestLimits, policy: VariantPolicy
    ) -> tuple[str, str, MediaPlaylist]:
        """Read the playlist at a URL; return its URL, that of its separate audio, and the playlist.

        A playlist in a file of ours has the URL `address#entry`.

        Raises:
            FetchError: it cannot be fetched.
            NotAPlaylistError: the URL returns something else.
            UrlForbiddenError: the SSRF guard rejects the URL.
        """
        local = await self._local_recording(url, owner)
        source: MediaSource = self._client.session(owner)
        inside = url
        if local is not None:
            source, entry = local, url.partition("#")[2]
            inside = local.url_of(entry) if entry else local.entrance
        poller = PlaylistPoller(
            source,
            url=inside,
            limits=_roomy(limits),
            policy=policy,
            media_url=None,
            variant=None,
        )
        playlist = await poller.read() or MediaPlaylist(target_duration=0)
        playlist_url = poller.media_url or inside
        if local is not None:
            playlist_url = f"{url.partition('#')[0]}#{local.name_of(playlist_url)}"
        self._keep(owner, playlist_url, playlist)
        return playlist_url, poller.audio_url or "", playlist

    async def _local_recording(self, url: str, owner: _Owner) -> LocalRecording | None:
        """Return the recording if it is one file, else None.

        Raises:
            FetchError: it cannot be had, or is refused.
            UrlForbiddenError: the SSRF guard rejects the URL.
        """
        address = url.partition("#")[0]
        if address != f"{UPLOADED}{upload_key(tenant_id=owner[0], stream_id=owner[1])}":
            self._client.guard.check(address)
        if not is_local(address):
            return None
        return await self._local.get(
            address, stream_id=owner[1], session=self._client.session(owner)
        )

    async def _source(self, url: str, owner: _Owner) -> MediaSource:
        return await self._local_recording(url, owner) or self._client.session(owner)

    def _audio(self, source: MediaSource, request: FetchRecordingInput) -> SeparateAudio | None:
        if not request.audio_url:
            return None
        return SeparateAudio(
            source,
            url=request.audio_url,
            store=self._store,
            pool=self._pool,
            limits=_roomy(request.limits),
        )

    async def _playlist(self, request: FetchRecordingInput) -> MediaPlaylist:
        """Return a recording's playlist; it is long and does not change, so a few are kept."""
        owner, url = _owner(request), request.playlist_url
        known = self._playlists.get((owner, url))
        if known is None:
            _, _, known = await self._open(url, owner, request.limits, VariantPolicy())
        return known

    def _keep(self, owner: _Owner, url: str, playlist: MediaPlaylist) -> None:
        self._playlists[owner, url] = playlist
        self._playlists.move_to_end((owner, url))
        while len(self._playlists) > _PLAYLISTS_KEPT:
            self._playlists.popitem(last=False)


def _index_of(
    store: SegmentStore, request: FetchRecordingInput | RecordingRelease
) -> StoredSegments:
    return StoredSegments(store, tenant_id=request.tenant_id, stream_id=request.stream_id)


def _owner(request: SurveyInput | FetchRecordingInput) -> _Owner:
    return request.tenant_id, request.stream_id


def _roomy(limits: IngestLimits) -> IngestLimits:
    """Return limits that allow a playlist as long as recordings are."""
    return limits.model_copy(update={"max_playlist_bytes": _MAX_PLAYLIST_BYTES})


async def _obtain(
    fetcher: SegmentFetcher,
    audio: SeparateAudio | None,
    listed: ListedSegment,
    limits: IngestLimits,
) -> DownloadedSegment | MissingSegment:
    if listed.declared_gap:
        return MissingSegment(listed, GapReason.DECLARED, "EXT-X-GAP in the recording")
    outcome = await fetcher.fetch(listed, limits=limits, still_listed=lambda: True)
    if audio is not None and isinstance(outcome, DownloadedSegment):
        return await audio.complete(outcome)
    return outcome


async def _take(
    piece: ChunkFetch,
    fetches: Sequence[Coroutine[object, object, DownloadedSegment | MissingSegment]],
) -> None:
    """Fetch some segments concurrently and store them in order; no temporary file remains."""
    tasks = [asyncio.ensure_future(each) for each in fetches]
    try:
        for task in tasks:
            await piece.take(await task)
    finally:
        for task in tasks:
            task.cancel()
        for each in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(each, DownloadedSegment) and each.file is not None:
                await asyncio.to_thread(each.file.unlink, missing_ok=True)


def _plan(request: SurveyInput, playlist: MediaPlaylist) -> BackfillPlan:
    if request.gaps is None:
        plan = plan_whole(playlist)
    elif request.again:
        plan = plan_reanalysis(
            request.gaps, playlist, anchor=request.anchor, stream_end=request.stream_end
        )
    else:
        plan = plan_backfill(request.gaps, playlist, stream_end=request.stream_end)
    _log.info("recording_surveyed", ranges=len(plan.ranges), lost=len(plan.lost))
    return plan
