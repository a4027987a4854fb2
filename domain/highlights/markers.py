"""Markers: timed metadata by which a tenant marks moments, and its effect on a candidate.

The documented payload is `{"highlight": {"label": "goal", "importance": 0.9, "offset": -4}}`, or
the label as plain text (docs/timed-metadata.md). Parsing never raises: an invalid payload is
rejected with a reason, because a sender's mistake must not end the stream.

The analyzer treats a marker as one more signal and knows nothing of the game. `apply_marker` adds
the rules of the game profile: which tags exist, how far timed metadata is trusted, and which
dimensions a known kind of moment raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from pydantic import ConfigDict, Field, ValidationError

from domain.highlights.candidate import USUAL_IMPORTANCE, HighlightCandidate, Mark
from domain.media.segments import TimedMetadata, Window
from domain.model import Model
from domain.profiles.model import GameProfile
from domain.score import HighlightScore, Unit, combination, shift_odds

LONGEST_PAYLOAD: Final = 4096
"""Maximum length of a payload, in characters."""


FARTHEST: Final = 30.0
"""Maximum offset (s) of a moment from its marker: the detector keeps 40 s."""


_DOCUMENTED: Final = "highlight"


_NAMES: Final = ("highlight", "moment", "event", "tag", "label", "kind", "type", "name", "payload")


_LONGEST_LABEL: Final = 32


_MOST_WORDS: Final = 4


_DEEPEST: Final = 6


_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


_OTHER_USES: Final = frozenset(
    {
        "ad", "ads", "advert", "break", "chat", "commercial", "heartbeat", "ping", "poll",
        "promo", "question", "quiz", "scte35", "sponsor", "stop", "survey",
    }
)  # fmt: skip


class InvalidMark(Model):
    """A payload that looks like a marker and cannot be parsed as one."""

    reason: str


class _Documented(Model):
    """The documented payload; other fields are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    label: str = Field(min_length=1, max_length=64)
    importance: Unit = USUAL_IMPORTANCE
    offset: float = Field(default=0.0, ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)


def parse_mark(payload: str) -> Mark | InvalidMark | None:
    """Return the marker in `payload`; None if the metadata has another purpose.

    Besides the documented form, JSON that names an event in one of the usual fields is accepted.
    Metadata with another well-known use (ads, polls, chat), numbers and sentences are not markers.
    """
    if len(payload) > LONGEST_PAYLOAD:
        return InvalidMark(reason=f"longer than {LONGEST_PAYLOAD} characters")
    return _read(payload, 0)


def mark_of(metadata: TimedMetadata) -> Mark | None:
    """Return the marker in timed metadata; None if there is none, or it is invalid."""
    read = parse_mark(metadata.payload)
    return read.of_feed(metadata.feed) if isinstance(read, Mark) else None


def marks_on_timeline(metadata: Iterable[TimedMetadata]) -> list[TimedMetadata]:
    """Return the metadata that marks moments, moved to the media time of its moment."""
    return [
        each.moved_to(max(0.0, each.at + mark.offset))
        for each in metadata
        if (mark := mark_of(each)) is not None
    ]


def invalid_mark_reasons(metadata: Iterable[TimedMetadata]) -> tuple[str, ...]:
    """Return the reason for each invalid marker in `metadata`."""
    reasons: list[str] = []
    for each in metadata:
        read = parse_mark(each.payload)
        if each.problem:
            reasons.append(each.problem)
        elif isinstance(read, InvalidMark):
            reasons.append(read.reason)
    return tuple(reasons)


def count_invalid_marks(window: Window) -> int:
    """Return the number of invalid markers of a window, those dropped by its limits included."""
    return len(invalid_mark_reasons(window.metadata)) + window.dropped_metadata


def _read(value: object, depth: int) -> Mark | InvalidMark | None:
    if isinstance(value, str):
        return _read_text(value, depth)
    if not isinstance(value, dict):
        return None
    documented = value.get(_DOCUMENTED)
    if isinstance(documented, dict):
        return _read_documented(documented)
    if documented is not None and not isinstance(documented, str):
        return InvalidMark(reason="`highlight` is neither an object nor a label")
    named = next((value[name] for name in _NAMES if name in value), None)
    return _read(named, depth + 1) if depth < _DEEPEST else None


def _read_text(text: str, depth: int) -> Mark | InvalidMark | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith(("{", "[")):
            return InvalidMark(reason="broken JSON")
        return _named(text)
    return _read(value, depth + 1) if depth < _DEEPEST else None


def _named(text: str) -> Mark | None:
    words = _words(text)
    label = "_".join(words)
    is_label = 0 < len(words) <= _MOST_WORDS and len(label) <= _LONGEST_LABEL
    if not is_label or label.isdigit() or _OTHER_USES.intersection(words):
        return None
    return Mark(label=label)


def _read_documented(fields: dict[str, object]) -> Mark | InvalidMark:
    try:
        said = _Documented.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        field = problem["loc"][0] if problem["loc"] else _DOCUMENTED
        return InvalidMark(reason=f"`{field}`: {problem['msg']}")
    label = "_".join(_words(said.label))[:_LONGEST_LABEL].strip("_")
    if not label:
        return InvalidMark(reason="`label`: no letter a-z and no digit in it")
    return Mark(label=label, importance=said.importance, offset=said.offset)


def _words(text: str) -> list[str]:
    return [word for word in _NO_WORD.split(text.lower()) if word]


TRUST: Final = 1.0
"""Nats that one unit of trust above neutral adds to a marker of usual importance. Below neutral,
the score lies between those with and without the marker; at 0 the marker is ignored."""


KNOWN: Final = 0.5
"""Nats that a label known to the game adds to its most important dimension."""


def apply_marker(candidate: HighlightCandidate, profile: GameProfile) -> HighlightCandidate:
    """Return the candidate with tags and score adjusted to its marker by `profile`.

    A label that names a kind of moment adds the tags of that kind; a label that is a tag adds
    itself. Any other label adds no tag: `corrections` records it, and only the marker's own weight
    counts. A candidate without a marker is returned unchanged.
    """
    mark = candidate.mark
    if mark is None:
        return candidate
    tags = marker_tags(mark, profile)
    known = bool(tags) or mark.label in profile.moments
    others = tuple(tag for tag in candidate.tags if tag != mark.label and tag not in tags)
    corrections = candidate.corrections
    if not known and not mark.is_hint:
        unknown = f"the tenant's label `{mark.label}` is no tag: {profile.name} does not know it"
        corrections = (*corrections, unknown)
    return candidate.replace(
        score=_lifted(candidate, mark, profile, known=known),
        tags=(*others, *tags),
        corrections=corrections,
    )


def rests_on_mark(candidate: HighlightCandidate, profile: GameProfile) -> bool:
    """Return True if a marked candidate's score without its mark is below the threshold."""
    if candidate.mark is None:
        return False
    unmarked = candidate.unmarked
    return unmarked is None or combination(profile.weights)(unmarked) < profile.thresholds.standard


def marker_tags(mark: Mark, profile: GameProfile) -> tuple[str, ...]:
    """Return the tags that a marker adds.

    If a kind of moment has several tags, only the one with its own name is certain; without one,
    the first tag of the kind is used.
    """
    if mark.label in profile.all_tags():
        return (mark.label,)
    kind = profile.moments.get(mark.label)
    return kind.tags[:1] if kind is not None else ()


def _lifted(
    candidate: HighlightCandidate, mark: Mark, profile: GameProfile, *, known: bool
) -> HighlightScore:
    trust = profile.analyzer.signals.timed_metadata
    with_mark, without = candidate.score, candidate.unmarked or candidate.score
    less, more = min(trust, 1.0), max(trust - 1.0, 0.0)
    weight = mark.importance / USUAL_IMPORTANCE
    lift = KNOWN * mark.importance * less if known else 0.0
    heaviest = max(profile.weights.values())
    values = {
        name: shift_odds(
            _between(getattr(without, name), value, less),
            TRUST * more * weight + lift * profile.weights[name] / heaviest,
        )
        for name, value in with_mark.dimensions().items()
    }
    confidence = _between(without.confidence, with_mark.confidence, less)
    return HighlightScore(**values, confidence=confidence)


def _between(none: float, all_of_it: float, share: float) -> float:
    return none + share * (all_of_it - none)
