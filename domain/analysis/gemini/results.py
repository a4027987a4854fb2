"""The candidates that a chunk publishes, with Gemini's analysis or without it."""

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
    """Gemini's analysis of a chunk.

    Attributes:
        detections: moments with their scores.
        unclear: peaks (s of media time) of detected moments whose details are missing or unusable.
        counted: corrections and omissions, by reason.
    """

    detections: tuple[GeminiDetection, ...] = ()
    unclear: tuple[float, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


class PublishedCandidates(Model):
    """The candidates of a chunk, ready to be published.

    Attributes:
        candidates: in the order of their peaks, if Gemini analyzed the chunk.
        verdicts: Gemini's results, to be cached.
        counted: corrections and omissions, by reason.
    """

    candidates: tuple[HighlightCandidate, ...] = ()
    verdicts: tuple[CachedVerdict, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


def publish_local_only(chunk: Chunk, reason: GateReason) -> PublishedCandidates:
    """Return the local candidates of a chunk that Gemini did not analyze."""
    return PublishedCandidates(
        candidates=tuple(local_only(each, reason) for each in chunk.candidates)
    )


def publish_unusable(chunk: Chunk, *, analyzer: str) -> PublishedCandidates:
    """Return the local candidates of a chunk for which Gemini's answer was unusable.

    The verdicts say so, so that Gemini is not asked about these moments again.
    """
    return PublishedCandidates(
        candidates=publish_local_only(chunk, GateReason.FAILED).candidates,
        verdicts=tuple(
            CachedVerdict(id=each.id, analyzer=analyzer, unclear=True) for each in chunk.candidates
        ),
    )


def publish_fused(
    chunk: Chunk,
    analysis: ChunkAnalysis,
    state: GeminiState,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
) -> PublishedCandidates:
    """Return the candidates of an analyzed chunk: found by both detectors, or by one of them."""
    counted = Counter(analysis.counted)
    rest = list(analysis.detections)
    found: list[HighlightCandidate] = []
    verdicts: list[CachedVerdict] = []
    for candidate in chunk.candidates:
        near = sorted(
            (each for each in rest if is_same_moment(candidate, each)),
            key=lambda each: abs(each.peak - candidate.peak),
        )
        if near:
            rest.remove(near[0])
        verdicts.append(
            CachedVerdict(
                id=candidate.id,
                analyzer=analyzer,
                detection=near[0] if near else None,
                unclear=any(abs(peak - candidate.peak) <= SAME_MOMENT for peak in analysis.unclear),
                earliest=state.published_until,
            )
        )
        found.append(verdicts[-1].apply_to(candidate))
    known = [*state.published_peaks, *(each.peak for each in found)]
    clock = anchor_of(chunk.segments)
    for detection in rest:
        if detection.peak < state.published_until or _is_near(detection.peak, known):
            counted["told_before"] += 1
        elif detection.peak >= chunk.end - CHUNK_MARGIN and not chunk.last:
            counted["left_to_next"] += 1
        else:
            new_id = highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=detection.peak)
            found.append(
                gemini_only(
                    detection, id=new_id, settled_at=chunk.end, analyzer=analyzer, clock=clock
                )
            )
            verdicts.append(
                CachedVerdict(
                    id=new_id, analyzer=analyzer, detection=detection, found_locally=False
                )
            )
    return PublishedCandidates(
        candidates=tuple(sorted(found, key=lambda each: each.peak)),
        verdicts=tuple(verdicts),
        counted=dict(+counted),
    )


def _is_near(peak: float, known: list[float]) -> bool:
    return any(abs(peak - other) <= SAME_MOMENT for other in known)
