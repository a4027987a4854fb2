"""Fusion of two detectors of one moment: measured signals and Gemini.

Both give probabilities. Each is calibrated and converted to log-odds, and the log-odds are added; a
model's scores are overconfident, so calibration moves them towards the middle. If Gemini saw the
video and found nothing, that counts against the moment, but not against a moment that the tenant
marked. The constants are priors, set by hand, to be refitted on labeled footage
(`benchmarks/quality`).
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final
from uuid import UUID

from domain.analysis.gemini.budget import REASON_TEXTS, GateReason
from domain.highlights.candidate import Evidence, HighlightCandidate, LocalizedTitle
from domain.highlights.moderation import Moderation
from domain.media.timestamps import ClockAnchor
from domain.model import Model
from domain.score import DIMENSIONS, HighlightScore

SAME_MOMENT: Final = 5.0
"""Largest distance in seconds between the peaks of one moment in two detectors."""

_LOCAL_WEIGHT: Final = 0.45
_GEMINI_WEIGHT: Final = 0.75
_TEMPERATURE: Final = 1.25
_SHIFT: Final = -0.1
_ALONE: Final = 0.9
_NOTHING_SEEN: Final = -1.6
_AGREE: Final = 0.35
_EDGE: Final = 0.01
_LEAST_CONFIDENCE: Final = 0.05
_MOST_CONFIDENCE: Final = 0.97


class GeminiDetection(Model):
    """A moment that Gemini detected; times in seconds of media time.

    Attributes:
        kind: kind of moment by the game's profile, or `other`.
        certainty: confidence of the detect query, 0 to 1.
        score: result of the score query.
        corrections: how Gemini's times were corrected.
        titles: title and tags in each language that the stream asks for.
        moderation: what Gemini flagged; None in answers of older releases.
    """

    start: float
    peak: float
    end: float
    kind: str
    certainty: float
    score: HighlightScore
    tags: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    corrections: tuple[str, ...] = ()
    titles: tuple[LocalizedTitle, ...] = ()
    moderation: Moderation | None = None


def calibrated(score: float) -> float:
    """Return the calibrated log-odds of a model's score."""
    return _log_odds(score) / _TEMPERATURE + _SHIFT


def is_same_moment(candidate: HighlightCandidate, detection: GeminiDetection) -> bool:
    """Return True if the peaks are close, or one peak lies within the other's bounds."""
    return (
        abs(candidate.peak - detection.peak) <= SAME_MOMENT
        or candidate.start <= detection.peak <= candidate.end
        or detection.start <= candidate.peak <= detection.end
    )


def fuse(
    local: HighlightCandidate,
    detection: GeminiDetection,
    *,
    analyzer: str,
    earliest: float = 0.0,
    published_id: UUID | None = None,
) -> HighlightCandidate:
    """Return the candidate for a moment that both detectors found.

    Gemini's times are used, since it sees the moment at a higher frame rate, widened to include the
    local peak.

    Args:
        local: the local analyzer's candidate.
        detection: Gemini's detection of the same moment.
        analyzer: name of the combined analyzer.
        earliest: media time (s) up to which decisions were taken; if Gemini's peak lies before it,
            the local peak is used.
        published_id: id under which the moment was published before; None for `local`'s id.
    """
    peak = detection.peak if detection.peak >= earliest else local.peak
    return HighlightCandidate(
        id=published_id or local.id,
        start=min(detection.start, local.peak),
        peak=peak,
        end=max(detection.end, local.peak),
        settled_at=max(local.settled_at, detection.end),
        score=_not_below_mark(local, _fused_score(local.score, detection)),
        analyzer=analyzer,
        title=detection.title,
        description=detection.description,
        tags=tuple(dict.fromkeys((*detection.tags, *local.tags))),
        evidence=(_detection_evidence(detection), *local.evidence),
        corrections=(*detection.corrections, *local.corrections),
        safe_starts=local.safe_starts,
        safe_ends=local.safe_ends,
        peak_wall_clock=None
        if local.peak_wall_clock is None
        else local.peak_wall_clock + timedelta(seconds=peak - local.peak),
        thumbnail_hash=local.thumbnail_hash,
        commentary=local.commentary,
        mark=local.mark,
        state=local.state,
        unmarked=None if local.unmarked is None else _fused_score(local.unmarked, detection),
        titles=detection.titles,
        moderation=detection.moderation,
    )


def gemini_only(
    detection: GeminiDetection,
    *,
    id: UUID,  # noqa: A002 -- the field's name
    settled_at: float,
    analyzer: str,
    clock: ClockAnchor | None = None,
) -> HighlightCandidate:
    """Return the candidate for a moment that only Gemini found.

    Args:
        detection: what Gemini found.
        id: id of the new candidate.
        settled_at: media time (s) at which it was found.
        analyzer: name of the combined analyzer.
        clock: correspondence of media time and wall clock, if known.
    """
    values = {
        name: _probability(_ALONE * calibrated(getattr(detection.score, name)))
        for name in DIMENSIONS
    }
    no_signal = Evidence(signal="local", strength=0.0, words="local signals did not stand out")
    return HighlightCandidate(
        id=id,
        start=detection.start,
        peak=detection.peak,
        end=detection.end,
        settled_at=max(settled_at, detection.end),
        score=HighlightScore(
            **values, confidence=_confidence(detection.score.confidence * detection.certainty)
        ),
        analyzer=analyzer,
        title=detection.title,
        description=detection.description,
        tags=detection.tags,
        evidence=(_detection_evidence(detection), no_signal),
        corrections=detection.corrections,
        peak_wall_clock=None if clock is None else clock.wall_clock(detection.peak),
        titles=detection.titles,
        moderation=detection.moderation,
    )


def not_confirmed(local: HighlightCandidate, *, analyzer: str) -> HighlightCandidate:
    """Return a local candidate that Gemini saw and did not confirm: the same, with lower scores."""
    against = Evidence(
        signal="gemini", strength=_NOTHING_SEEN, words="Gemini looked and saw no moment there"
    )
    return _rescored(
        local,
        score=_not_below_mark(local, _unconfirmed_score(local.score)),
        unmarked=None if local.unmarked is None else _unconfirmed_score(local.unmarked),
        analyzer=analyzer,
        evidence=(*local.evidence, against),
    )


def local_only(local: HighlightCandidate, reason: GateReason) -> HighlightCandidate:
    """Return a local candidate with the reason why Gemini did not see it as evidence."""
    words = f"not seen by Gemini: {REASON_TEXTS.get(reason, reason.value)}"
    note = Evidence(signal="gemini", strength=0.0, words=words)
    return _rescored(
        local,
        score=local.score,
        unmarked=local.unmarked,
        analyzer=local.analyzer,
        evidence=(*local.evidence, note),
    )


def _rescored(
    local: HighlightCandidate,
    *,
    score: HighlightScore,
    unmarked: HighlightScore | None,
    analyzer: str,
    evidence: tuple[Evidence, ...],
) -> HighlightCandidate:
    return HighlightCandidate(
        id=local.id,
        start=local.start,
        peak=local.peak,
        end=local.end,
        settled_at=local.settled_at,
        score=score,
        analyzer=analyzer,
        title=local.title,
        description=local.description,
        tags=local.tags,
        evidence=evidence,
        corrections=local.corrections,
        safe_starts=local.safe_starts,
        safe_ends=local.safe_ends,
        peak_wall_clock=local.peak_wall_clock,
        thumbnail_hash=local.thumbnail_hash,
        commentary=local.commentary,
        mark=local.mark,
        state=local.state,
        unmarked=unmarked,
        titles=local.titles,
        moderation=local.moderation,
    )


def _fused_score(local: HighlightScore, detection: GeminiDetection) -> HighlightScore:
    """Return the score of a moment that both detectors found."""
    values = {
        name: _probability(
            _LOCAL_WEIGHT * _log_odds(getattr(local, name))
            + _GEMINI_WEIGHT * calibrated(getattr(detection.score, name))
            + _AGREE
        )
        for name in DIMENSIONS
    }
    doubt = (1.0 - local.confidence) * (1.0 - detection.score.confidence * detection.certainty)
    return HighlightScore(**values, confidence=_confidence(1.0 - doubt))


def _unconfirmed_score(local: HighlightScore) -> HighlightScore:
    """Return the score of a local candidate that Gemini did not confirm."""
    values = {
        name: _probability(_log_odds(getattr(local, name)) + _NOTHING_SEEN) for name in DIMENSIONS
    }
    return HighlightScore(**values, confidence=local.confidence)


def _not_below_mark(local: HighlightCandidate, score: HighlightScore) -> HighlightScore:
    """Return `score`, but for a marked moment not less than its local score in any dimension.

    The tenant knows what happened (docs/timed-metadata.md). The game's profile decides how far a
    mark is believed, by the score that the moment would have without it (`unmarked`).
    """
    if local.mark is None:
        return score
    values = {name: max(getattr(local.score, name), getattr(score, name)) for name in DIMENSIONS}
    return HighlightScore(**values, confidence=max(local.score.confidence, score.confidence))


def _detection_evidence(detection: GeminiDetection) -> Evidence:
    kind = detection.kind.replace("_", " ")
    return Evidence(
        signal="gemini",
        strength=round(calibrated(detection.certainty), 2),
        words=f"Gemini saw “{kind}”, {detection.certainty:.0%} sure",
    )


def _log_odds(probability: float) -> float:
    bounded = min(1.0 - _EDGE, max(_EDGE, probability))
    return math.log(bounded / (1.0 - bounded))


def _probability(log_odds: float) -> float:
    return round(1.0 / (1.0 + math.exp(-log_odds)), 4)


def _confidence(value: float) -> float:
    return round(min(_MOST_CONFIDENCE, max(_LEAST_CONFIDENCE, value)), 3)
