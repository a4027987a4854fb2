"""Two witnesses of one moment, weighed: what was measured, and what Gemini saw.

Both speak in probabilities, which are added as log-odds after each has been calibrated: a model's
scores are overconfident, so they are drawn towards the middle before they count. A witness that
looked and saw nothing speaks against; only a tenant's own mark stands whatever was seen. The
constants are priors, set by hand, to be refitted on judged footage (`benchmarks/quality`).
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final
from uuid import UUID

from domain.analysis.gemini.budget import REASON_TEXTS, GateReason
from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.media.timestamps import ClockAnchor
from domain.model import Model
from domain.score import DIMENSIONS, HighlightScore

SAME_MOMENT: Final = 5.0
"""Seconds that the peaks of one moment may lie apart when two analyzers tell it."""

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
    """A moment as Gemini saw it; times in seconds of media time.

    `certainty` is how sure the first look was, `score` comes from the last.
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


def calibrated(score: float) -> float:
    """Return the log-odds that a model's score stands for."""
    return _log_odds(score) / _TEMPERATURE + _SHIFT


def is_same_moment(candidate: HighlightCandidate, sighting: GeminiDetection) -> bool:
    """Tell whether both tell the same moment: peaks together, or one within the other's span."""
    return (
        abs(candidate.peak - sighting.peak) <= SAME_MOMENT
        or candidate.start <= sighting.peak <= candidate.end
        or sighting.start <= candidate.peak <= sighting.end
    )


def fuse(
    local: HighlightCandidate, sighting: GeminiDetection, *, analyzer: str, earliest: float = 0.0
) -> HighlightCandidate:
    """Return the moment that both have told, under the local candidate's id.

    Times are Gemini's, which has looked closely, widened to hold the local peak. The peak stays
    the local one where Gemini's lies before `earliest` (s), up to which decisions have been taken.
    """
    peak = sighting.peak if sighting.peak >= earliest else local.peak
    unmarked = None if local.unmarked is None else _weighed(local.unmarked, sighting)
    return local.model_copy(
        update={
            "start": min(sighting.start, local.peak),
            "peak": peak,
            "end": max(sighting.end, local.peak),
            "settled_at": max(local.settled_at, sighting.end),
            "score": _upheld(local, _weighed(local.score, sighting)),
            "unmarked": unmarked,
            "analyzer": analyzer,
            "title": sighting.title,
            "description": sighting.description,
            "tags": tuple(dict.fromkeys((*sighting.tags, *local.tags))),
            "evidence": (_seen(sighting), *local.evidence),
            "corrections": (*sighting.corrections, *local.corrections),
            "peak_wall_clock": None
            if local.peak_wall_clock is None
            else local.peak_wall_clock + timedelta(seconds=peak - local.peak),
        }
    )


def gemini_only(
    sighting: GeminiDetection,
    *,
    id: UUID,  # noqa: A002 -- the field's name
    settled_at: float,
    analyzer: str,
    clock: ClockAnchor | None = None,
) -> HighlightCandidate:
    """Return a moment that only Gemini has told: local signals gave it no voice."""
    values = {
        name: _probability(_ALONE * calibrated(getattr(sighting.score, name)))
        for name in DIMENSIONS
    }
    unheard = Evidence(signal="local", strength=0.0, words="local signals did not stand out")
    return HighlightCandidate(
        id=id,
        start=sighting.start,
        peak=sighting.peak,
        end=sighting.end,
        settled_at=max(settled_at, sighting.end),
        score=HighlightScore(
            **values, confidence=_confidence(sighting.score.confidence * sighting.certainty)
        ),
        analyzer=analyzer,
        title=sighting.title,
        description=sighting.description,
        tags=sighting.tags,
        evidence=(_seen(sighting), unheard),
        corrections=sighting.corrections,
        peak_wall_clock=None if clock is None else clock.wall_clock(sighting.peak),
    )


def not_confirmed(local: HighlightCandidate, *, analyzer: str) -> HighlightCandidate:
    """Return the moment when Gemini has looked there and seen none: less, but not nothing."""
    against = Evidence(
        signal="gemini", strength=_NOTHING_SEEN, words="Gemini looked and saw no moment there"
    )
    return local.model_copy(
        update={
            "score": _upheld(local, _doubted(local.score)),
            "unmarked": None if local.unmarked is None else _doubted(local.unmarked),
            "analyzer": analyzer,
            "evidence": (*local.evidence, against),
        }
    )


def local_only(local: HighlightCandidate, grounds: GateReason) -> HighlightCandidate:
    """Return the moment as local signals tell it, with the reason why Gemini does not."""
    words = f"not seen by Gemini: {REASON_TEXTS.get(grounds, grounds.value)}"
    note = Evidence(signal="gemini", strength=0.0, words=words)
    return local.model_copy(update={"evidence": (*local.evidence, note)})


def _weighed(heard: HighlightScore, sighting: GeminiDetection) -> HighlightScore:
    """Return the score of a moment that was heard and seen."""
    values = {
        name: _probability(
            _LOCAL_WEIGHT * _log_odds(getattr(heard, name))
            + _GEMINI_WEIGHT * calibrated(getattr(sighting.score, name))
            + _AGREE
        )
        for name in DIMENSIONS
    }
    doubt = (1.0 - heard.confidence) * (1.0 - sighting.score.confidence * sighting.certainty)
    return HighlightScore(**values, confidence=_confidence(1.0 - doubt))


def _doubted(heard: HighlightScore) -> HighlightScore:
    """Return the score of a moment that was heard and not seen."""
    values = {
        name: _probability(_log_odds(getattr(heard, name)) + _NOTHING_SEEN) for name in DIMENSIONS
    }
    return HighlightScore(**values, confidence=heard.confidence)


def _upheld(local: HighlightCandidate, score: HighlightScore) -> HighlightScore:
    """Return `score`; of a moment that its tenant has marked nothing less than it had before.

    The tenant knows what happened (docs/timed-metadata.md). How far a mark is believed is for the
    game's profile to say, by the score that the moment would have without it (`unmarked`).
    """
    if local.mark is None:
        return score
    values = {name: max(getattr(local.score, name), getattr(score, name)) for name in DIMENSIONS}
    return HighlightScore(**values, confidence=max(local.score.confidence, score.confidence))


def _seen(sighting: GeminiDetection) -> Evidence:
    kind = sighting.kind.replace("_", " ")
    return Evidence(
        signal="gemini",
        strength=round(calibrated(sighting.certainty), 2),
        words=f"Gemini saw “{kind}”, {sighting.certainty:.0%} sure",
    )


def _log_odds(probability: float) -> float:
    bounded = min(1.0 - _EDGE, max(_EDGE, probability))
    return math.log(bounded / (1.0 - bounded))


def _probability(log_odds: float) -> float:
    return round(1.0 / (1.0 + math.exp(-log_odds)), 4)


def _confidence(value: float) -> float:
    return round(min(_MOST_CONFIDENCE, max(_LEAST_CONFIDENCE, value)), 3)
