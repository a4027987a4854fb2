"""What becomes of a piece's moments once it has been looked at, or not."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from pydantic import Field

from domain.analysis.gemini.budget import GateReason
from domain.analysis.gemini.chunks import CHUNK_MARGIN, CachedVerdict, Chunk, GeminiState
from domain.analysis.gemini.fusion import (
    SAME_MOMENT,
    GeminiDetection,
    gemini_only,
    is_same_moment,
    local_only,
)
from domain.highlights.candidate import HighlightCandidate
from domain.ids import highlight_id
from domain.media.timestamps import anchor_of
from domain.model import Model


class ChunkAnalysis(Model):
    """What looking at a piece brought.

    Attributes:
        sightings: moments seen, with their scores.
        unclear: peaks (s of media time) of moments seen of which nothing more could be learnt.
        counted: how often what was corrected or left out.
    """

    sightings: tuple[GeminiDetection, ...] = ()
    unclear: tuple[float, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


class PublishedCandidates(Model):
    """The moments of a piece, what was left out on the way, and what is to be remembered."""

    candidates: tuple[HighlightCandidate, ...] = ()
    opinions: tuple[CachedVerdict, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


def publish_local_only(piece: Chunk, grounds: GateReason) -> PublishedCandidates:
    """Return the moments of a piece that Gemini has not seen: the local analyzer's alone."""
    return PublishedCandidates(
        candidates=tuple(local_only(each, grounds) for each in piece.candidates)
    )


def publish_unusable(piece: Chunk, *, analyzer: str) -> PublishedCandidates:
    """Return the same where Gemini has answered, and nothing of use: it is not asked again."""
    return PublishedCandidates(
        candidates=publish_local_only(piece, GateReason.FAILED).candidates,
        opinions=tuple(
            CachedVerdict(id=each.id, analyzer=analyzer, unclear=True) for each in piece.candidates
        ),
    )


def publish_fused(
    piece: Chunk,
    look: ChunkAnalysis,
    state: GeminiState,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
) -> PublishedCandidates:
    """Return the moments of a piece that Gemini has seen: agreed, only seen, or only heard."""
    counted = Counter(look.counted)
    rest = list(look.sightings)
    found: list[HighlightCandidate] = []
    opinions: list[CachedVerdict] = []
    for candidate in piece.candidates:
        near = sorted(
            (each for each in rest if is_same_moment(candidate, each)),
            key=lambda each: abs(each.peak - candidate.peak),
        )
        if near:
            rest.remove(near[0])
        opinions.append(
            CachedVerdict(
                id=candidate.id,
                analyzer=analyzer,
                sighting=near[0] if near else None,
                unclear=any(abs(peak - candidate.peak) <= SAME_MOMENT for peak in look.unclear),
                earliest=state.told_until,
            )
        )
        found.append(opinions[-1].of(candidate))
    known = [*state.told, *(each.peak for each in found)]
    clock = anchor_of(piece.segments)
    for sighting in rest:
        if sighting.peak < state.told_until or _near(sighting.peak, known):
            counted["told_before"] += 1
        elif sighting.peak >= piece.end - CHUNK_MARGIN and not piece.last:
            counted["left_to_next"] += 1
        else:
            name = highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=sighting.peak)
            found.append(
                gemini_only(sighting, id=name, settled_at=piece.end, analyzer=analyzer, clock=clock)
            )
            opinions.append(
                CachedVerdict(id=name, analyzer=analyzer, sighting=sighting, heard=False)
            )
    return PublishedCandidates(
        candidates=tuple(sorted(found, key=lambda each: each.peak)),
        opinions=tuple(opinions),
        counted=dict(+counted),
    )


def _near(peak: float, known: list[float]) -> bool:
    return any(abs(peak - other) <= SAME_MOMENT for other in known)
