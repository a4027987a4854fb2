"""A tenant's taste: what its feedback on highlights says about the next ones.

Each judged highlight has traits: the signals that spoke for it, its tags, and the dimensions on
which it scored above its own mean. A logistic regression explains the verdicts by the shared score
plus one weight per trait. Each weight is drawn to zero, which is the shared score, and bounded, so
that a few verdicts move little and no number of them moves a score by more than `MOST_SHIFT`.
Corrected bounds move the bounds of the next highlights by their median, drawn to zero as well.

Everything is fitted again from all verdicts in force, so one that is withdrawn leaves no trace.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from pydantic import Field, NonNegativeInt

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection
from domain.model import Model
from domain.score import HighlightScore, log_odds, shift_odds

MOST_JUDGEMENTS: Final = 300
"""Judgements that are learned from, the latest ones."""

MOST_TRAIT_SHIFT: Final = 1.0
"""Largest weight of one trait, in nats."""

MOST_SHIFT: Final = 1.5
"""Largest shift of a score, in nats: 0.80 becomes 0.47 or 0.95 at most."""

MOST_MOVED: Final = 5.0
"""Seconds by which corrections move a bound at most."""

SIGNAL: Final = "taste"
"""Signal of the evidence that names a shift of the score."""

START_SIGNAL: Final = "taste_start"
"""Signal of the evidence that says how many seconds a start was moved; positive is earlier."""

END_SIGNAL: Final = "taste_end"
"""Signal of the evidence that says how many seconds an end was moved; positive is later."""

_OWN: Final = frozenset({SIGNAL, START_SIGNAL, END_SIGNAL})
_MOST_TRAITS: Final = 40
_FEWEST: Final = 3  # highlights that must have a trait
_RIDGE: Final = 2.0
_RIDGE_OF_BASE: Final = 0.1
_SWEEPS: Final = 30
_FEW_CORRECTIONS: Final = 4.0  # corrections at which half of their median is believed
_WORTH_A_WORD: Final = 0.05
_MOST_WORDS: Final = 3
_SHORTEST_SIDE: Final = 1.0  # seconds that a moved bound stays away from the peak


class Judgement(Model):
    """What one person thinks of one highlight.

    Attributes:
        traits: of the highlight, see `traits_of`.
        odds: log odds of its score without any taste.
        liked: None if only its bounds were corrected, of a highlight that is neither liked nor
            disliked.
        earlier: seconds by which the corrected start lies before the one without any taste.
        later: seconds by which the corrected end lies after the one without any taste.
    """

    traits: dict[str, float]
    odds: float
    liked: bool | None = None
    earlier: float | None = None
    later: float | None = None


class TraitShift(Model):
    """What a tenant's feedback says about one trait.

    Attributes:
        weight: nats that a highlight with the full trait gains against one without it.
        usual: mean value of the trait among the judged highlights; a highlight gains by what it has
            more than that.
        likes: liked highlights that have it.
        dislikes: disliked highlights that have it.
    """

    weight: float
    usual: float
    likes: NonNegativeInt
    dislikes: NonNegativeInt


class Taste(Model):
    """What one tenant's feedback on highlights of one profile says.

    Attributes:
        version: rises with each change; 0 before the first.
        traits: by name; those with the largest weights first.
        earlier: seconds by which starts are moved; negative is later.
        later: seconds by which ends are moved; negative is earlier.
        likes: verdicts that were learned from.
        dislikes: verdicts that were learned from.
        corrections: corrected bounds that were learned from.
    """

    version: NonNegativeInt = 0
    traits: dict[str, TraitShift] = Field(default_factory=dict)
    earlier: float = 0.0
    later: float = 0.0
    likes: NonNegativeInt = 0
    dislikes: NonNegativeInt = 0
    corrections: NonNegativeInt = 0

    def with_version(self, version: int) -> Taste:
        """Return the taste as another version."""
        return Taste.model_validate({**dict(self), "version": version})


def traits_of(candidate: HighlightCandidate) -> dict[str, float]:
    """Return the traits of a highlight by name, such as `signal.crowd` or `tag.goal`.

    Signals and tags have the value 1. A dimension has that by which its log odds exceed the mean of
    all dimensions, -1 to 1, so that its trait does not depend on how good the highlight is.
    """
    odds = {name: log_odds(value) for name, value in candidate.score.dimensions().items()}
    mean = sum(odds.values()) / len(odds)
    return {
        **{f"signal.{each.signal}": 1.0 for each in candidate.evidence if each.signal not in _OWN},
        **{f"tag.{tag}": 1.0 for tag in candidate.tags},
        **{
            f"dimension.{name}": round(min(1.0, max(-1.0, value - mean)), 4)
            for name, value in odds.items()
        },
    }


def judge(
    candidate: HighlightCandidate,
    *,
    clip_start: float,
    clip_end: float,
    verdict: FeedbackVerdict | None,
    correction: HighlightCorrection | None,
) -> Judgement:
    """Return the judgement of a highlight that was shown.

    Args:
        candidate: the highlight as it was recorded.
        clip_start: start of its clip (s of media time).
        clip_end: end of its clip (s of media time).
        verdict: like or dislike, if any.
        correction: the correct bounds of the clip, if any.
    """
    applied = {each.signal: each.strength for each in candidate.evidence if each.signal in _OWN}
    odds = [log_odds(value) for value in candidate.score.dimensions().values()]
    return Judgement(
        traits=traits_of(candidate),
        odds=round(sum(odds) / len(odds) - applied.get(SIGNAL, 0.0), 4),
        liked=None if verdict is None else verdict is FeedbackVerdict.LIKE,
        earlier=None
        if correction is None
        else round(clip_start + applied.get(START_SIGNAL, 0.0) - correction.start, 3),
        later=None
        if correction is None
        else round(correction.end - clip_end + applied.get(END_SIGNAL, 0.0), 3),
    )


def fit_taste(judgements: Sequence[Judgement], *, version: int) -> Taste:
    """Return the taste that judgements show; the same judgements give the same taste.

    Args:
        judgements: all that are in force, at most `MOST_JUDGEMENTS`.
        version: of the result.
    """
    judged = [each for each in judgements if each.liked is not None]
    moved = [each for each in judgements if each.earlier is not None]
    names = _traits_to_learn(judged)
    weights = _fit(judged, names)
    shifts = {name: _trait_shift(judged, name, weights[name]) for name in names}
    ordered = sorted(shifts, key=lambda name: (-abs(shifts[name].weight), name))
    likes = sum(each.liked is True for each in judged)
    return Taste(
        version=version,
        traits={name: shifts[name] for name in ordered if shifts[name].weight},
        earlier=_typical_move(each.earlier for each in moved),
        later=_typical_move(each.later for each in moved),
        likes=likes,
        dislikes=len(judged) - likes,
        corrections=len(moved),
    )


def _traits_to_learn(judged: Iterable[Judgement]) -> list[str]:
    """Return the traits of enough highlights to learn from, the most frequent first."""
    count = Counter(name for each in judged for name, value in each.traits.items() if value)
    common = sorted(count, key=lambda name: (-count[name], name))
    return [name for name in common[:_MOST_TRAITS] if count[name] >= _FEWEST]


def _fit(judged: Sequence[Judgement], names: Collection[str]) -> dict[str, float]:
    """Return the weight of each trait, by coordinate descent on the penalized likelihood.

    Each step uses the largest possible curvature, so it never overshoots.
    """
    truth = [float(each.liked is True) for each in judged]
    logits = [each.odds for each in judged]
    columns = {
        name: [(row, value) for row, each in enumerate(judged) if (value := each.traits.get(name))]
        for name in names
    }
    weights = dict.fromkeys(names, 0.0)
    base, every = 0.0, [(row, 1.0) for row in range(len(judged))]
    for _ in range(_SWEEPS):
        base += _step(every, truth, logits, base, ridge=_RIDGE_OF_BASE, most=math.inf)
        for name, column in columns.items():
            weights[name] += _step(
                column, truth, logits, weights[name], ridge=_RIDGE, most=MOST_TRAIT_SHIFT
            )
    return {name: round(weight, 4) for name, weight in weights.items()}


def _step(
    column: Sequence[tuple[int, float]],
    truth: Sequence[float],
    logits: list[float],
    weight: float,
    *,
    ridge: float,
    most: float,
) -> float:
    """Improve one weight, add the change to the logits, and return it."""
    slope = sum(value * (truth[row] - _logistic(logits[row])) for row, value in column)
    curve = sum(value * value for _, value in column) / 4.0 + ridge
    wanted = min(most, max(-most, weight + (slope - ridge * weight) / curve))
    for row, value in column:
        logits[row] += (wanted - weight) * value
    return wanted - weight


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _trait_shift(judged: Sequence[Judgement], name: str, weight: float) -> TraitShift:
    having = [each for each in judged if each.traits.get(name)]
    likes = sum(each.liked is True for each in having)
    return TraitShift(
        weight=weight,
        usual=round(sum(each.traits[name] for each in having) / len(judged), 4),
        likes=likes,
        dislikes=len(having) - likes,
    )


def _typical_move(moves: Iterable[float | None]) -> float:
    """Return the median of the moves, drawn to zero while there are few, and bounded; seconds."""
    known = [each for each in moves if each is not None]
    if not known:
        return 0.0
    believed = median(known) * len(known) / (len(known) + _FEW_CORRECTIONS)
    return round(min(MOST_MOVED, max(-MOST_MOVED, believed)), 2)


def apply_taste(candidate: HighlightCandidate, taste: Taste) -> HighlightCandidate:
    """Return the candidate with score and bounds shifted by a tenant's taste.

    Evidence says what was shifted and why. A candidate that the taste has nothing to say about is
    returned unchanged.
    """
    parts = shift_parts(traits_of(candidate), taste)
    total = round(min(MOST_SHIFT, max(-MOST_SHIFT, sum(parts.values()))), 2)
    start = max(0.0, min(candidate.start - taste.earlier, _latest_start(candidate)))
    end = max(candidate.end + taste.later, _earliest_end(candidate))
    evidence = [*_score_evidence(total, parts, taste), *_bounds_evidence(candidate, start, end)]
    if not evidence:
        return candidate
    return candidate.replace(
        score=_shifted(candidate.score, total),
        start=round(start, 3),
        end=round(end, 3),
        evidence=(*candidate.evidence, *evidence),
    )


def shift_parts(traits: Mapping[str, float], taste: Taste) -> dict[str, float]:
    """Return what each trait adds to a highlight's score, in nats, before the bound."""
    return {
        name: shift.weight * (traits.get(name, 0.0) - shift.usual)
        for name, shift in taste.traits.items()
    }


def _latest_start(candidate: HighlightCandidate) -> float:
    return max(candidate.start, candidate.peak - _SHORTEST_SIDE)


def _earliest_end(candidate: HighlightCandidate) -> float:
    return min(candidate.end, candidate.peak + _SHORTEST_SIDE)


def _shifted(score: HighlightScore, nats: float) -> HighlightScore:
    values = {name: shift_odds(value, nats) for name, value in score.dimensions().items()}
    return HighlightScore(**values, confidence=score.confidence)


def _score_evidence(total: float, parts: Mapping[str, float], taste: Taste) -> list[Evidence]:
    if not total:
        return []
    leading = sorted(parts, key=lambda name: (-abs(parts[name]), name))[:_MOST_WORDS]
    named = ", ".join(
        f"{trait_words(name)} {parts[name]:+.2f}"
        for name in leading
        if abs(parts[name]) >= _WORTH_A_WORD
    )
    words = f"your feedback (version {taste.version}) shifts the score by {total:+.2f}"
    return [Evidence(signal=SIGNAL, strength=total, words=f"{words}: {named}" if named else words)]


def _bounds_evidence(candidate: HighlightCandidate, start: float, end: float) -> list[Evidence]:
    moves = (
        (START_SIGNAL, round(candidate.start - start, 2), "starts", "earlier", "later"),
        (END_SIGNAL, round(end - candidate.end, 2), "ends", "later", "earlier"),
    )
    return [
        Evidence(
            signal=signal,
            strength=moved,
            words=f"{verb} {abs(moved):.1f} s {more if moved > 0 else less}, by your corrections",
        )
        for signal, moved, verb, more, less in moves
        if moved
    ]


def trait_words(name: str) -> str:
    """Return a trait in words, such as `tag goal` or `game impact`."""
    kind, _, what = name.partition(".")
    return what.replace("_", " ") if kind == "dimension" else f"{kind} {what.replace('_', ' ')}"
