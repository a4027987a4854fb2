"""Feed events of a stream: stored, placed, linked to highlights, and handed to the analyzer."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from cachetools import TTLCache
from sqlalchemy.ext.asyncio import AsyncSession

from app.services.streams import StreamStarter
from app.services.webhooks import WebhookDispatcher
from domain.feed.clock import (
    ClockSource,
    FeedClock,
    MeasuredMoment,
    estimate_clock,
)
from domain.feed.evidence import (
    FeedPlace,
    MatchTime,
    UnplacedEventError,
    marker_of,
    place_of,
    raw_place,
)
from domain.feed.linking import (
    FOLLOWING,
    FeedEventRecord,
    FeedRuling,
    LinkTarget,
    bet_tags,
    is_sole_base,
    rule_on,
    stale_tags,
)
from domain.feed.messages import FeedEventsStored, LinkFeedInput, LinkFeedResult
from domain.feed.models import FeedEvent, FeedOutcome
from domain.highlights.selection import HIDDEN, DecisionStatus, Reason
from domain.media.segments import TimedMetadata
from domain.media.timestamps import WallClockAnchor
from domain.streams.status import TERMINAL
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, events, highlights, streams
from infra.db.repositories.feed import feed_events
from infra.db.repositories.feed.feed_events import event_of, stored_event
from infra.db.repositories.publication import corrections
from infra.db.tables import FeedEventRow, Highlight, Stream
from infra.storage.clips import ClipStore

_log = structlog.get_logger(__name__)

ASKED_AGAIN_AFTER: Final = 15.0
"""Seconds for which the analyzer takes a stream for one without a feed: less than it remembers."""

SIGNALED_AGAIN_AFTER: Final = 300.0
"""Seconds after which a process signals the workflow of a stream again, in case it was lost."""

_STREAMS: Final = 10_000
_AT_A_TIME: Final = 500
_CLOCK_EVENTS: Final = 40
_AROUND: Final = 900.0
_REMEMBERED: Final = 7200.0
_EFFECTIVE: Final = frozenset({FeedOutcome.MARKED, FeedOutcome.RAISED, FeedOutcome.LINKED})
_SHOWN: Final = frozenset(DecisionStatus) - HIDDEN - {DecisionStatus.RETRACTED}


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """What one pass of linking knows of the stream."""

    clock: FeedClock
    anchor: WallClockAnchor | None
    rows: Mapping[UUID, Highlight]
    targets: Sequence[LinkTarget]
    read: Sequence[MatchTime]


@dataclass(frozen=True)
class _Linked:
    """The result of one pass of linking; `effective` if it may have led to webhook events."""

    result: LinkFeedResult
    effective: bool = False


class FeedService:
    """Stores feed events, and links them to highlights.

    Args:
        database: holds the events.
        starter: signals the streams' workflows.
        dispatcher: sends webhook events at once.
        files: the finished clips.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        database: Database,
        *,
        starter: StreamStarter,
        dispatcher: WebhookDispatcher,
        files: ClipStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._starter = starter
        self._dispatcher = dispatcher
        self._files = files
        self._without_events: TTLCache[tuple[UUID, UUID], None] = TTLCache(
            _STREAMS, ttl=ASKED_AGAIN_AFTER, timer=clock
        )
        self._signaled: TTLCache[tuple[UUID, UUID], None] = TTLCache(
            _STREAMS, ttl=SIGNALED_AGAIN_AFTER, timer=clock
        )

    async def store(
        self,
        session: AsyncSession,
        *,
        tenant_id: UUID,
        stream_id: UUID,
        new: Sequence[FeedEvent],
    ) -> tuple[Stream, list[FeedEventRow]]:
        """Store events in the caller's transaction; `notify` follows after the commit.

        No workflow runs for an ended stream or a recording, so their events are linked here.

        Raises:
            RecordMissingError: the tenant has no such stream.
        """
        stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
        if stream is None:
            raise RecordMissingError("stream", stream_id)
        rows = await feed_events.put(session, tenant_id=tenant_id, stream_id=stream_id, events=new)
        if _has_no_workflow(stream):
            linked = await self._link(session, stream, _without_workflow(stream))
            await self._delete_clips(session, stream, linked.result.retracted)
            for row in rows:
                await session.refresh(row)
        return stream, rows

    async def notify(self, stream: Stream, rows: Sequence[FeedEventRow]) -> None:
        """Signal the stream's workflow that events were stored, and send webhook events.

        `follow_stream` links the events of a stream that is known to have a feed, without a signal,
        unless one takes another back.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        if _has_no_workflow(stream):
            await self._dispatcher.try_dispatch(stream.tenant_id)
            return
        key = (stream.tenant_id, stream.id)
        if key not in self._signaled or any(row.retracts is not None for row in rows):
            await self._starter.feed_events_stored(stream, FeedEventsStored(events=len(rows)))
            self._signaled[key] = None

    async def link(self, request: LinkFeedInput) -> LinkFeedResult:
        """Place and link the events that wait, in one transaction. Idempotent."""
        async with self._database.session(request.tenant_id) as session:
            stream = await streams.get(
                session, tenant_id=request.tenant_id, stream_id=request.stream_id
            )
            if stream is None:
                return LinkFeedResult()
            linked = await self._link(session, stream, request)
        if linked.effective:
            await self._dispatcher.try_dispatch(request.tenant_id)
        return linked.result

    async def markers(
        self, *, tenant_id: UUID, stream_id: UUID, since: float
    ) -> Sequence[TimedMetadata]:
        """Return the waiting events at or after a media time (s) as markers.

        A stream without any event is asked about again after `ASKED_AGAIN_AFTER` seconds.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        if (tenant_id, stream_id) in self._without_events:
            return []
        async with self._database.session(tenant_id) as session:
            rows = await feed_events.to_mark(
                session, tenant_id=tenant_id, stream_id=stream_id, since=since
            )
            if not rows and not await feed_events.any_of(
                session, tenant_id=tenant_id, stream_id=stream_id
            ):
                self._without_events[tenant_id, stream_id] = None
        placed = [(row, stored_event(row)) for row in rows]
        markers = [
            marker_of(each.event, row.id, each.place)
            for row, each in placed
            if each.place is not None
        ]
        return [marker for marker in markers if marker is not None]

    async def _link(self, session: AsyncSession, stream: Stream, request: LinkFeedInput) -> _Linked:
        # One pass at a time, also with selection, which locks the row the same way.
        await session.refresh(stream, with_for_update={"key_share": True})
        unresolved = await feed_events.unresolved(
            session, tenant_id=stream.tenant_id, stream_id=stream.id, limit=_AT_A_TIME
        )
        waiting = [each for each in unresolved if request.takes_back or each[1] is None]
        if not waiting:
            return _Linked(LinkFeedResult())
        scene = await self._scene(session, stream, request)
        retracted: list[UUID] = []
        left, effective = 0, False
        for row, taken_back_by in waiting:
            stored = stored_event(row, taken_back_by=taken_back_by)
            ruling = await self._rule(session, row, stored, scene, request)
            left += ruling.outcome is FeedOutcome.WAITING
            effective |= ruling.outcome in _EFFECTIVE or ruling.outcome is FeedOutcome.RETRACTED
            if ruling.outcome is FeedOutcome.RETRACTED:
                retracted += await self._take_back(session, row, stored)
            elif ruling.outcome in _EFFECTIVE and ruling.highlight is not None:
                await self._publish(session, row, scene.rows[ruling.highlight])
        result = LinkFeedResult(waiting=left, retracted=tuple(dict.fromkeys(retracted)))
        return _Linked(result, effective=effective)

    async def _scene(self, session: AsyncSession, stream: Stream, request: LinkFeedInput) -> _Scene:
        found = await highlights.between(
            session,
            tenant_id=stream.tenant_id,
            stream_id=stream.id,
            first=0.0 if request.ended else max(0.0, request.media_end - _REMEMBERED),
            last=max(request.media_end, stream.position) + _AROUND,
        )
        anchor = request.anchor or next(
            (
                WallClockAnchor(at=each.peak_wall_clock, media_time=each.peak)
                for each in reversed(found)
                if each.peak_wall_clock is not None
            ),
            None,
        )
        return _Scene(
            clock=await self._clock(session, stream, anchor, found),
            anchor=anchor,
            rows={each.id: each for each in found},
            targets=[
                LinkTarget(
                    id=each.id,
                    start=each.start,
                    peak=each.peak,
                    end=each.end,
                    is_shown=each.status in _SHOWN,
                )
                for each in found
            ],
            read=[
                MatchTime(at=each.peak, clock=state["clock"], period=state.get("period"))
                for each in found
                if (state := each.match_state) is not None and state.get("clock")
            ],
        )

    async def _clock(
        self,
        session: AsyncSession,
        stream: Stream,
        anchor: WallClockAnchor | None,
        found: Sequence[Highlight],
    ) -> FeedClock:
        known = clock_of(stream)
        if known.source is ClockSource.SET or anchor is None:
            return known
        shown = await feed_events.shown_by_the_picture(
            session, tenant_id=stream.tenant_id, stream_id=stream.id, limit=_CLOCK_EVENTS
        )
        reported = [
            at
            for row in shown
            if (at := raw_place(event_of(row), received_at=row.received_at, anchor=anchor))
            is not None
        ]
        attached = await feed_events.of_highlights(
            session, tenant_id=stream.tenant_id, highlight_ids=[each.id for each in found]
        )
        # A moment that an event made lies where the clock put the event, and confirms anything.
        made = {row.highlight_id for row in attached if row.is_base}
        estimate = estimate_clock(
            sorted(reported), [_measured(each) for each in found if each.id not in made]
        )
        # What was known stays known while the evidence is contradictory.
        if estimate == known or (known.is_known and not estimate.is_known):
            return known
        await feed_events.put_clock(
            session, tenant_id=stream.tenant_id, stream_id=stream.id, clock=estimate
        )
        return estimate

    async def _rule(
        self,
        session: AsyncSession,
        row: FeedEventRow,
        stored: FeedEventRecord,
        scene: _Scene,
        request: LinkFeedInput,
    ) -> FeedRuling:
        place = stored.place
        try:
            place = place_of(
                stored.event,
                received_at=row.received_at,
                clock=scene.clock,
                anchor=scene.anchor,
                read=scene.read,
                media_end=request.media_end,
            )
        except UnplacedEventError as error:
            ruling = FeedRuling(FeedOutcome.UNPLACED, detail=str(error))
            if stored.taken_back_by is not None:
                ruling = FeedRuling(FeedOutcome.RETRACTED, stored.highlight)
        else:
            ruling = rule_on(
                stored,
                place,
                scene.targets,
                analyzed=request.analyzed,
                ended=request.ended,
                prefer=await self._same_market(session, row, stored.event),
            )
        if _is_news(row, place, ruling):
            await feed_events.rule(
                session, tenant_id=row.tenant_id, event_id=row.id, place=place, ruling=ruling
            )
            await session.refresh(row)
        return ruling

    async def _same_market(
        self, session: AsyncSession, row: FeedEventRow, event: FeedEvent
    ) -> frozenset[UUID]:
        """Return the highlights of the market that a settlement or cash-out is about."""
        if event.market is None or event.kind not in FOLLOWING:
            return frozenset()
        return await feed_events.highlights_of_market(
            session, tenant_id=row.tenant_id, stream_id=row.stream_id, market=event.market
        )

    async def _take_back(
        self, session: AsyncSession, row: FeedEventRow, stored: FeedEventRecord
    ) -> list[UUID]:
        """Undo what rested on an event alone; return the highlights that were withdrawn."""
        if stored.highlight is None:
            return []
        tenant_id = row.tenant_id
        others = [
            stored_event(each)
            for each in await feed_events.of_highlights(
                session, tenant_id=tenant_id, highlight_ids=[stored.highlight]
            )
        ]
        words = f"Event {row.event_id} of the feed was taken back by {stored.taken_back_by}."
        reason = Reason(code=highlights.WITHDRAWN, words=words)
        if is_sole_base(stored, others):
            gone = await corrections.withdraw(
                session, tenant_id=tenant_id, highlight_id=stored.highlight, reason=reason
            )
            return [stored.highlight] if gone else []
        about = await highlights.get(session, tenant_id=tenant_id, highlight_id=stored.highlight)
        if about is None:
            return []
        stale = stale_tags(stored, others, about.tags, about.peak)
        await corrections.relabel(
            session,
            tenant_id=tenant_id,
            highlight_id=stored.highlight,
            remove=stale,
            reason=reason,
        )
        return []

    async def _delete_clips(
        self, session: AsyncSession, stream: Stream, retracted: Collection[UUID]
    ) -> None:
        """Delete the clips of withdrawn highlights; the workflow of a running stream does so.

        Media under a legal hold stays.
        """
        if stream.legal_hold is not None:
            return
        for highlight_id in retracted:
            for clip in await clips.with_files(
                session, tenant_id=stream.tenant_id, highlight_id=highlight_id
            ):
                # Before the commit: while a row names its files, the request can be repeated.
                for key in (clip.key, clip.thumbnail_key):
                    if key is not None:
                        await self._files.delete(key)
                clips.mark_deleted(clip)

    async def _publish(
        self, session: AsyncSession, row: FeedEventRow, highlight: Highlight
    ) -> None:
        """Tag a highlight by the events around it, and publish it to the event's subjects."""
        around = await feed_events.placed_between(
            session,
            tenant_id=row.tenant_id,
            stream_id=row.stream_id,
            first=highlight.peak - _AROUND,
            last=highlight.peak + _AROUND,
        )
        tags = bet_tags(highlight.peak, [stored_event(each) for each in around])
        await corrections.relabel(
            session, tenant_id=row.tenant_id, highlight_id=highlight.id, add=tags
        )
        subjects = await feed_events.subjects_of(
            session, tenant_id=row.tenant_id, event_ids=[row.id]
        )
        for subject in subjects.get(row.id, ()):
            await events.append_subject_event(session, highlight, row, subject=subject)


def clock_of(stream: Stream) -> FeedClock:
    """Return the feed clock of a stream."""
    if stream.feed_clock is None:
        return FeedClock()
    return FeedClock.model_validate(stream.feed_clock)


def _has_no_workflow(stream: Stream) -> bool:
    return stream.is_recording or stream.status in TERMINAL


def _without_workflow(stream: Stream) -> LinkFeedInput:
    return LinkFeedInput(
        tenant_id=stream.tenant_id,
        stream_id=stream.id,
        media_end=max(stream.position, stream.duration or 0.0),
        analyzed=stream.analyzed,
        ended=stream.status in TERMINAL,
    )


def _measured(highlight: Highlight) -> MeasuredMoment:
    state = highlight.match_state or {}
    changed = state.get("score_before") != state.get("score_after")
    return MeasuredMoment.of(highlight.peak, score_changed=changed)


def _is_news(row: FeedEventRow, place: FeedPlace | None, ruling: FeedRuling) -> bool:
    at = (None, None) if place is None else (place.at, place.error)
    return (row.place, row.error, row.outcome, row.highlight_id, row.detail) != (
        *at,
        ruling.outcome.value,
        ruling.highlight,
        ruling.detail,
    )
