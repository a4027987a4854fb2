"""A highlight's row and the domain values it holds, both ways."""

from __future__ import annotations

from typing import Any

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus, Reason, Tier
from domain.score import DIMENSIONS, HighlightScore
from infra.db.tables import Highlight


def candidate_values(candidate: HighlightCandidate) -> dict[str, Any]:
    """Return what is stored of a candidate."""
    return {
        "id": candidate.id,
        "start": candidate.start,
        "peak": candidate.peak,
        "end": candidate.end,
        "settled_at": candidate.settled_at,
        "confidence": candidate.score.confidence,
        **candidate.score.dimensions(),
        "peak_wall_clock": candidate.peak_wall_clock,
        "title": candidate.title,
        "description": candidate.description,
        "commentary": candidate.commentary,
        "analyzer": candidate.analyzer,
        "tags": list(candidate.tags),
        "evidence": [evidence.model_dump(mode="json") for evidence in candidate.evidence],
        "corrections": list(candidate.corrections),
    }


def decision_values(decision: Decision) -> dict[str, Any]:
    """Return what is stored of a decision, by itself and not of its candidate."""
    return {
        "status": decision.status.value,
        "tier": decision.tier.value,
        "score": decision.score,
        "clip_start": decision.clip_start,
        "clip_end": decision.clip_end,
        "decided_at": decision.decided_at,
        "reasons": [reason.model_dump(mode="json") for reason in decision.reasons],
    }


def candidate_of(row: Highlight) -> HighlightCandidate:
    """Return the candidate as it was recorded; what served the choice of its clip is not kept."""
    return HighlightCandidate(
        id=row.id,
        start=row.start,
        peak=row.peak,
        end=row.end,
        settled_at=row.settled_at,
        score=HighlightScore(
            **{name: getattr(row, name) for name in DIMENSIONS}, confidence=row.confidence
        ),
        analyzer=row.analyzer,
        title=row.title,
        description=row.description,
        commentary=row.commentary,
        tags=tuple(row.tags),
        evidence=tuple(Evidence.model_validate(evidence) for evidence in row.evidence),
        corrections=tuple(row.corrections),
        peak_wall_clock=row.peak_wall_clock,
    )


def decision_of(row: Highlight) -> Decision:
    """Return the latest decision about a candidate."""
    return Decision(
        highlight_id=row.id,
        status=DecisionStatus(row.status),
        tier=Tier(row.tier),
        score=row.score,
        peak=row.peak,
        clip_start=row.clip_start,
        clip_end=row.clip_end,
        decided_at=row.decided_at,
        reasons=tuple(Reason.model_validate(reason) for reason in row.reasons),
    )
