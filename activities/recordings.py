"""Recording to segment store: what a live stream left out, fetched from its VOD playlist."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.ingest.fetcher import Fetched, Lost, SegmentFetcher
from activities.ingest.poller import PlaylistPoller
from activities.interfaces import Recordings
from activities.recording_pieces import PieceFetch, ends_at, recording_prefix
from domain.backfill import BackfillPlan, plan_backfill, plan_whole
from domain.backfill_input import (
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    SurveyInput,
)
from domain.ingest import IngestLimits, IngestProgress
from domain.media import GapReason, VariantPolicy
from domain.playlist import ListedSegment, MediaPlaylist
from domain.reanalysis import plan_again
from domain.stream import EndReason, StreamEnd
from infra.hls_client import (
    FetchError,
    HlsClient,
    NotFoundError,
    RefusedError,
    TooLargeError,
    UnreachableError,
)
from infra.hls_parser import NotAPlaylistError
from infra.media_pool import MediaPool
from infra.segment_store import SegmentStore
from infra.url_guard import UrlForbiddenError

_log = structlog.get_logger(__name__)

_HEARTBEAT_INTERVAL: Final = 1.0
_AT_A_TIME: Final = 4
_PLAYLISTS_KEPT: Final = 4
# A recording lists all there was, with a signed address each: twelve hours of 2 s segments.
_MAX_PLAYLIST_BYTES: Final = 16 << 20


class RecordingActivities(Recordings):
    """Fetching of recordings on one worker.

    Args:
        store: receives the segments.
        client: connections to origins, behind a URL guard.
        pool: where media is looked into.
        heartbeat_interval: seconds between heartbeats.
    """

    def __init__(
        self,
        *,
        store: SegmentStore,
        client: HlsClient,
        pool: MediaPool,
        heartbeat_interval: float = _HEARTBEAT_INTERVAL,
    ) -> None:
        self._store = store
        self._client = client
        self._fetcher = SegmentFetcher(client, store, pool)
        self._heartbeat_interval = heartbeat_interval
        self._playlists: OrderedDict[str, MediaPlaylist] = OrderedDict()

    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        """Read the recording's playlist and plan what to fetch of it.

        The addresses are tried in order; what is definitely wrong with the first is the answer
        when none will do. No address is logged: a presigned one is a key.

        Raises:
            FetchError: an origin does not answer; worth another try.
            ApplicationError: `recording_unfinished`; the playlist has no end yet.
        """
        problems: list[StreamEnd] = []
        passing: Exception | None = None
        for url in (request.recording.url, *request.recording.alternatives):
            try:
                playlist_url, playlist = await self._open(url, request.limits, request.variant)
                problem = _unusable(playlist)
            except (UnreachableError, ApplicationError) as error:
                passing = passing or error
                continue
            except (UrlForbiddenError, NotAPlaylistError, FetchError) as error:
                problem = _problem(error)
            if problem is None:
                return RecordingSurvey(playlist_url=playlist_url, plan=_plan(request, playlist))
            problems.append(problem)
        if passing is not None:
            raise passing
        return RecordingSurvey(problem=problems[0])

    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        """Store one piece of the recording as a window, heartbeating the cursor.

        A retry goes on where the last heartbeat says. Segments that cannot be had are holes.

        Raises:
            FetchError: the playlist is not to be had (any more).
            NotAPlaylistError: something else is there now.
            UrlForbiddenError: the guard refuses the address.
        """
        playlist = await self._playlist(request.playlist_url, request.limits)
        details = activity.info().heartbeat_details
        progress = (
            IngestProgress.model_validate(details[0])
            if details
            else IngestProgress.begin(request.cursor)
        )
        piece = PieceFetch(request, playlist, progress=progress, store=self._store)
        async with self._heartbeating(piece):
            while wanted := piece.missing(_AT_A_TIME):
                await _take(piece, [self._obtain(each, request.limits) for each in wanted])
        return piece.result()

    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        """Delete stored media of the recording that ends before a point, or all of it."""
        prefix = recording_prefix(tenant_id=request.tenant_id, stream_id=request.stream_id)
        if request.before is None:
            await self._store.delete_prefix(prefix)
            return
        for key in await self._store.list(prefix):
            if ends_at(key) > request.before:
                break  # names sort in the order of the timeline
            await self._store.delete(key)

    async def _obtain(self, listed: ListedSegment, limits: IngestLimits) -> Fetched | Lost:
        if listed.declared_gap:
            return Lost(listed, GapReason.DECLARED, "EXT-X-GAP in the recording")
        return await self._fetcher.fetch(listed, limits=limits, still_listed=lambda: True)

    async def _open(
        self, url: str, limits: IngestLimits, policy: VariantPolicy
    ) -> tuple[str, MediaPlaylist]:
        self._client.guard.check(url)
        poller = PlaylistPoller(
            self._client,
            url=url,
            limits=limits.model_copy(update={"max_playlist_bytes": _MAX_PLAYLIST_BYTES}),
            policy=policy,
            media_url=None,
            variant=None,
        )
        playlist = await poller.read() or MediaPlaylist(target_duration=0)
        playlist_url = poller.media_url or url
        self._keep(playlist_url, playlist)
        return playlist_url, playlist

    async def _playlist(self, url: str, limits: IngestLimits) -> MediaPlaylist:
        """Return a recording's playlist; it is long and does not change, so a few are kept."""
        known = self._playlists.get(url)
        if known is None:
            _, known = await self._open(url, limits, VariantPolicy())
        return known

    def _keep(self, url: str, playlist: MediaPlaylist) -> None:
        self._playlists[url] = playlist
        self._playlists.move_to_end(url)
        while len(self._playlists) > _PLAYLISTS_KEPT:
            self._playlists.popitem(last=False)

    @contextlib.asynccontextmanager
    async def _heartbeating(self, piece: PieceFetch) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                activity.heartbeat(piece.progress)
                await asyncio.sleep(self._heartbeat_interval)

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _take(
    piece: PieceFetch, fetches: Sequence[Coroutine[object, object, Fetched | Lost]]
) -> None:
    """Fetch some segments together and take them in order; no file is left behind."""
    tasks = [asyncio.ensure_future(each) for each in fetches]
    try:
        for task in tasks:
            await piece.take(await task)
    finally:
        for task in tasks:
            task.cancel()
        for each in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(each, Fetched) and each.file is not None:
                await asyncio.to_thread(each.file.unlink, missing_ok=True)


def _plan(request: SurveyInput, playlist: MediaPlaylist) -> BackfillPlan:
    if request.gaps is None:
        plan = plan_whole(playlist)
    elif request.again:
        plan = plan_again(
            request.gaps, playlist, anchor=request.anchor, stream_end=request.stream_end
        )
    else:
        plan = plan_backfill(request.gaps, playlist, stream_end=request.stream_end)
    _log.info("recording_surveyed", ranges=len(plan.ranges), lost=len(plan.lost))
    return plan


def _unusable(playlist: MediaPlaylist) -> StreamEnd | None:
    """Say why a playlist is no recording that can be analysed."""
    if not (playlist.ended or playlist.vod):
        raise ApplicationError(
            "The recording is still being written: its playlist has no end yet.",
            type="recording_unfinished",
        )
    if not playlist.segments:
        return StreamEnd(
            reason=EndReason.NO_MEDIA, message="The recording's playlist lists no segment."
        )
    encrypted = next((each.encryption for each in playlist.segments if each.encryption), None)
    if encrypted is not None:
        return StreamEnd(
            reason=EndReason.ENCRYPTED,
            message=f"The recording is encrypted ({encrypted}), and we have no key; publish one "
            "in the clear for analysis.",
        )
    return None


def _problem(error: Exception) -> StreamEnd:
    match error:
        case UrlForbiddenError():
            return StreamEnd(reason=EndReason.URL_FORBIDDEN, message=str(error))
        case NotAPlaylistError():
            return StreamEnd(
                reason=EndReason.NOT_A_PLAYLIST,
                message=f"The recording is no HLS playlist ({error}); publish it as a VOD "
                "playlist: archives and single files are not analysed.",
            )
        case TooLargeError():
            return StreamEnd(
                reason=EndReason.PLAYLIST_TOO_LARGE,
                message=f"The recording's playlist is too large ({error}).",
            )
        case NotFoundError():
            return StreamEnd(
                reason=EndReason.ORIGIN_UNREACHABLE,
                message=f"The recording is not there ({error}).",
            )
        case RefusedError():
            return StreamEnd(
                reason=EndReason.ORIGIN_UNREACHABLE,
                message=f"The recording may not be read ({error}); a presigned address may have "
                "expired.",
            )
        case _:
            return StreamEnd(
                reason=EndReason.ORIGIN_UNREACHABLE,
                message=f"The recording is not to be had: {error}.",
            )
