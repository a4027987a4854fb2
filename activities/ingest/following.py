"""The followers of a worker: one per live stream, kept for a moment between two windows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from uuid import UUID

from activities.ingest.captions import CaptionFollower
from activities.ingest.fetcher import SegmentFetcher
from activities.ingest.follower import Follower
from activities.ingest.poller import PlaylistPoller
from activities.ingest.separate_audio import SeparateAudio
from activities.ingest.stored import StoredSegments
from activities.ingest.storing import StoreGuard
from domain.ingest import FetchWindowInput, IngestCursor, IngestLimits
from domain.repeated_failure import RepeatedFailure
from domain.stream import ProblemCode
from infra.hls_client import HlsClient, HlsSession
from infra.media_pool import MediaPool
from infra.segment_store import SegmentStore

StreamKey = tuple[UUID, UUID]


class Followers:
    """Hands a stream's follower from one window's activity to the next.

    Between two windows lie a few trips to the server, in which a live playlist moves on. The
    follower goes on meanwhile, so that the next window finds its segments fetched. It waits
    `linger` seconds; when the next window is fetched elsewhere, or never, it is closed.
    """

    def __init__(
        self,
        client: HlsClient,
        store: SegmentStore,
        pool: MediaPool,
        *,
        linger: float,
        caption_interval: float,
    ) -> None:
        self._client = client
        self._store = store
        self._pool = pool
        self._linger = linger
        self._caption_interval = caption_interval
        self._waiting: dict[StreamKey, tuple[IngestCursor, Follower, asyncio.TimerHandle]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def claim(self, request: FetchWindowInput, cursor: IngestCursor) -> Follower:
        """Return a follower that goes on at `cursor`: the one that waits there, or a new one."""
        key = (request.tenant_id, request.stream_id)
        if key in self._waiting:
            position, follower, timer = self._waiting.pop(key)
            timer.cancel()
            if position == cursor:
                return follower
            await follower.close()
        return await self._new(request, cursor)

    def keep(self, request: FetchWindowInput, cursor: IngestCursor, follower: Follower) -> None:
        """Let a follower go on for a while, for the window that begins at `cursor`."""
        key = (request.tenant_id, request.stream_id)
        loop = asyncio.get_running_loop()
        self._waiting[key] = (cursor, follower, loop.call_later(self._linger, self._expire, key))

    async def close(self) -> None:
        """Close all that wait."""
        waiting, self._waiting = self._waiting, {}
        for _, follower, timer in waiting.values():
            timer.cancel()
            await follower.close()
        await asyncio.gather(*self._closing)

    def _expire(self, key: StreamKey) -> None:
        _, follower, _ = self._waiting.pop(key)
        closing = asyncio.create_task(follower.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _new(self, request: FetchWindowInput, cursor: IngestCursor) -> Follower:
        stored = StoredSegments(
            self._store, tenant_id=request.tenant_id, stream_id=request.stream_id
        )
        session = self._client.session((request.tenant_id, request.stream_id))
        audio = RepeatedFailure(ProblemCode.AUDIO_UNAVAILABLE, known=request.problem)
        follower = Follower(
            poller=PlaylistPoller(
                session,
                url=request.playlist_url,
                limits=request.limits,
                policy=request.variant,
                media_url=cursor.media_playlist_url,
                variant=cursor.variant,
                captions_url=cursor.captions_url,
                audio_url=cursor.audio_url,
            ),
            fetcher=SegmentFetcher(session, self._store, self._pool),
            cursor=cursor,
            limits=request.limits,
            store=StoreGuard(self._store, problem=request.problem),
            encryption=RepeatedFailure(ProblemCode.MEDIA_ENCRYPTED, known=request.problem),
            audio=audio,
            captions=partial(self._captions, session, request.limits)
            if request.limits.captions
            else None,
            separate_audio=partial(self._audio, session, request.limits, audio),
            stored=await stored.following(
                discontinuity=cursor.discontinuity_sequence, sequence=cursor.next_sequence or 0
            ),
        )
        follower.start()
        return follower

    def _captions(
        self, session: HlsSession, limits: IngestLimits, url: str, variables: Mapping[str, str]
    ) -> CaptionFollower:
        return CaptionFollower(
            session,
            url=url,
            limits=limits,
            interval=self._caption_interval,
            variables=variables,
        )

    def _audio(
        self,
        session: HlsSession,
        limits: IngestLimits,
        failure: RepeatedFailure,
        url: str,
        variables: Mapping[str, str],
    ) -> SeparateAudio:
        return SeparateAudio(
            session,
            url=url,
            store=self._store,
            pool=self._pool,
            limits=limits,
            failure=failure,
            variables=variables,
        )
