"""Activity `select_highlights`: decides on candidates and records the decisions."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.interfaces import Selection
from app.services.profiles import PinnedProfiles
from app.services.webhooks import WebhookDispatcher
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.commentary import apply_commentary
from domain.highlights.markers import apply_marker, rests_on_mark
from domain.highlights.selection import (
    HIDDEN,
    Decision,
    HighlightSelector,
    SelectHighlightsInput,
    SelectHighlightsResult,
)
from domain.highlights.taste import Taste, apply_taste
from domain.profiles.model import GameProfile
from infra.db.engine import Database
from infra.db.repositories import highlights
from infra.db.repositories.feed import feed_events
from infra.db.repositories.profiles import Tastes
from infra.profiles.phrasebooks import shipped_phrasebooks
from infra.profiles.store import ProfileStore
from infra.telemetry.metrics import HIGHLIGHTS, MOMENT_TO_PLAYABLE, seconds_since
from infra.telemetry.traces import start_moment

_LIVE_WORKFLOW: Final = "StreamWorkflow"
"""Type of the workflow that follows a live stream; a recording's has another."""


class SelectionActivities(Selection):
    """Selects highlights by the profile version that the stream pinned at its start.

    Args:
        database: receives the decisions.
        profiles: the shipped profiles.
        dispatcher: sends events at once; without it, the outbox relay does.
    """

    def __init__(
        self,
        *,
        database: Database,
        profiles: ProfileStore,
        dispatcher: WebhookDispatcher | None = None,
    ) -> None:
        self._database = database
        self._dispatcher = dispatcher
        self._profiles = PinnedProfiles(database, profiles)

    @activity.defn(name="select_highlights")
    async def select_highlights(self, request: SelectHighlightsInput) -> SelectHighlightsResult:
        pinned = await self._profiles.find(
            request.tenant_id, request.profile_id, request.profile_version
        )
        marked = [apply_marker(each, pinned.profile) for each in request.candidates]
        commented = [apply_commentary(each, pinned.profile) for each in marked]
        taste = await self._taste(request)
        candidates = [apply_taste(each, taste) for each in commented]
        media_end = math.inf if request.media_end is None else request.media_end
        candidates = [each.until(media_end) for each in candidates]
        result = HighlightSelector(pinned.profile).select(
            request.state,
            candidates,
            watermark=request.watermark,
            ended=request.ended,
            gaps=request.gaps,
        )
        if result.decisions:
            async with self._database.session(request.tenant_id) as session:
                if request.media_end is not None:
                    await highlights.end_at(
                        session,
                        tenant_id=request.tenant_id,
                        stream_id=request.stream_id,
                        media_end=request.media_end,
                    )
                changed = await highlights.record_decisions(
                    session,
                    tenant_id=request.tenant_id,
                    stream_id=request.stream_id,
                    profile=pinned.profile,
                    candidates=[_described(each, pinned.profile) for each in candidates],
                    decisions=[decision.until(media_end) for decision in result.decisions],
                )
                await feed_events.attach(
                    session,
                    tenant_id=request.tenant_id,
                    highlights=_fed(candidates, pinned.profile),
                )
            _note_published(candidates, result.decisions, changed)
            if changed and self._dispatcher is not None:
                await self._dispatcher.try_dispatch(request.tenant_id)
        return result

    async def _taste(self, request: SelectHighlightsInput) -> Taste:
        """Return the tenant's taste, as it is now; candidates decided before keep their scores."""
        if not request.candidates:
            return Taste()
        async with self._database.session(request.tenant_id) as session:
            return await Tastes(session).in_force(request.tenant_id, request.profile_id)


def _described(candidate: HighlightCandidate, profile: GameProfile) -> HighlightCandidate:
    """Return a candidate with its titles in all languages, and what is objectionable in them."""
    phrasebooks = shipped_phrasebooks()
    titles = phrasebooks.titles(candidate, profile)
    return candidate.replace(titles=titles, moderation=phrasebooks.moderate(candidate, titles))


def _fed(
    candidates: Sequence[HighlightCandidate], profile: GameProfile
) -> dict[UUID, tuple[UUID, bool]]:
    """Return the candidate that each event of the feed marks, and if it rests on the event."""
    return {
        each.mark.feed.event: (each.id, rests_on_mark(each, profile))
        for each in candidates
        if each.mark is not None and each.mark.feed is not None
    }


def _note_published(
    candidates: Sequence[HighlightCandidate],
    decisions: Sequence[Decision],
    changed: Collection[UUID],
) -> None:
    """Count the highlights that are published for the first time, and begin their traces.

    A candidate is passed once, so that what was published before is not among them. How late a
    moment comes is known only of live streams: a recording is analyzed at any time.
    """
    is_live = activity.in_activity() and activity.info().workflow_type == _LIVE_WORKFLOW
    by_id = {each.id: each for each in candidates}
    for decision in decisions:
        candidate = by_id.get(decision.highlight_id)
        if candidate is None or decision.status in HIDDEN or candidate.id not in changed:
            continue
        HIGHLIGHTS.labels(decision.status.value).inc()
        peak = candidate.peak_wall_clock if is_live else None
        if peak is not None:
            MOMENT_TO_PLAYABLE.observe(seconds_since(peak))
        start_moment(candidate.id, peak=peak, score=decision.score, status=decision.status.value)
