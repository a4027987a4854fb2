"""Rows in the database during a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from domain.clips.models import ClipSpec, ClipStatus, RenderedClip
from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus, Reason, Tier
from domain.ids import clip_id, highlight_id
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore
from domain.streams.messages import ClipRecord
from infra.db.engine import Database
from infra.db.repositories import clips, highlights, streams

STREAMS: Final = 4
HIGHLIGHTS: Final = 100
"""Highlights per stream: all confirmed, each with a clip."""

_PROFILE: Final = GameProfile(id="soccer", version="1", name="Soccer")
_KICK_OFF: Final = datetime(2026, 5, 2, 19, 0, tzinfo=UTC)


async def fill(database: Database, tenant_id: UUID) -> None:
    """Give a tenant streams with highlights and clips, as the worker writes them."""
    for _ in range(STREAMS):
        stream_id = uuid4()
        found = [_candidate(tenant_id, stream_id, number) for number in range(HIGHLIGHTS)]
        async with database.session(tenant_id) as session:
            await streams.create(
                session,
                tenant_id=tenant_id,
                stream_id=stream_id,
                playlist_url="https://cdn.example.com/master.m3u8",
                game=_PROFILE.id,
                profile_id=_PROFILE.id,
                profile_version=_PROFILE.version,
            )
            await highlights.record_decisions(
                session,
                tenant_id=tenant_id,
                stream_id=stream_id,
                profile=_PROFILE,
                candidates=found,
                decisions=[_decision(candidate) for candidate in found],
            )
            for record in _clips(tenant_id, stream_id, found):
                await clips.record_clip(session, record)


def _candidate(tenant_id: UUID, stream_id: UUID, number: int) -> HighlightCandidate:
    peak = 30.0 + 27.0 * number
    return HighlightCandidate(
        id=highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=peak),
        start=peak - 4.3,
        peak=peak,
        end=peak + 4.7,
        settled_at=peak + 8,
        score=HighlightScore(
            **{name: (number * 7 + place) % 100 / 100 for place, name in enumerate(DIMENSIONS)},
            confidence=0.8,
        ),
        analyzer="local",
        title="The crowd rises",
        description="The loudest moment of the half, right after a cut to the far goal.",
        tags=("crowd", "commentary"),
        evidence=(
            Evidence(signal="loudness", strength=4.2, words="the crowd swells for six seconds"),
            Evidence(signal="onset", strength=3.1, words="all at once"),
            Evidence(signal="motion", strength=2.4, words="the picture moves with it"),
        ),
        peak_wall_clock=_KICK_OFF + timedelta(seconds=peak),
    )


def _decision(about: HighlightCandidate) -> Decision:
    return Decision(
        highlight_id=about.id,
        status=DecisionStatus.CONFIRMED,
        tier=Tier.STANDARD,
        score=about.score.game_impact,
        peak=about.peak,
        clip_start=about.start,
        clip_end=about.end,
        decided_at=about.settled_at,
        reasons=(
            Reason(code="above_threshold", words="0.87 is above 0.85", value=0.87, limit=0.85),
            Reason(code="window_quota", words="the second of three", value=2, limit=3),
        ),
    )


def _clips(
    tenant_id: UUID, stream_id: UUID, found: Sequence[HighlightCandidate]
) -> list[ClipRecord]:
    records = []
    for candidate in found:
        identity = clip_id(highlight=candidate.id, start=candidate.start, end=candidate.end)
        spec = ClipSpec(
            id=identity,
            tenant_id=tenant_id,
            stream_id=stream_id,
            highlight_id=candidate.id,
            start=candidate.start,
            end=candidate.end,
            peak=candidate.peak,
            segments=(),
        )
        rendered = RenderedClip(
            clip_id=identity,
            key=f"{tenant_id}/{stream_id}/{identity}.mp4",
            thumbnail_key=f"{tenant_id}/{stream_id}/{identity}.jpg",
            start=candidate.start,
            duration=candidate.end - candidate.start,
            size=3_145_728,
            width=1280,
            height=720,
            has_audio=True,
            sha256="ab" * 32,
            rendered_at=_KICK_OFF + timedelta(seconds=candidate.peak + 15),
        )
        records.append(ClipRecord(spec=spec, status=ClipStatus.READY, rendered=rendered))
    return records
