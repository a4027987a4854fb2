"""What a tenant's timed metadata says about the moment at which it is placed.

The documented payload is `{"highlight": {"label": "goal", "importance": 0.9, "offset": -4}}`, or
the label alone as plain text (docs/timed-metadata.md). Reading never fails: what cannot be read is
refused with a reason, for a stream does not end because of a sender's slip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from pydantic import ConfigDict, Field, ValidationError

from domain.highlights.candidate import USUAL_IMPORTANCE, Mark
from domain.media.segments import TimedMetadata, Window
from domain.model import Model
from domain.score import Unit

LONGEST_PAYLOAD: Final = 4096
"""Characters that are looked at; nobody needs more to name a moment."""

FARTHEST: Final = 30.0
"""Seconds by which a moment may lie off its mark: the detector remembers 40 s."""

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


class Refusal(Model):
    """A payload that was meant as a mark, or might have been, and cannot be read as one."""

    reason: str


class _Documented(Model):
    """The documented form as it is sent; what else it holds is for others and passed over."""

    model_config = ConfigDict(strict=True, extra="ignore")

    label: str = Field(min_length=1, max_length=64)
    importance: Unit = USUAL_IMPORTANCE
    offset: float = Field(default=0.0, ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)


def read_mark(payload: str) -> Mark | Refusal | None:
    """Return the moment that `payload` marks; None when it is there for something else.

    Besides the documented form, JSON that names an event in one of the usual fields is understood.
    Metadata with another well-known use (adverts, polls, chat), numbers and sentences mark nothing.
    """
    if len(payload) > LONGEST_PAYLOAD:
        return Refusal(reason=f"longer than {LONGEST_PAYLOAD} characters")
    return _read(payload, 0)


def mark_of(metadata: TimedMetadata) -> Mark | None:
    """Return the moment that timed metadata marks; None when it marks none, or is refused."""
    read = read_mark(metadata.payload)
    return read if isinstance(read, Mark) else None


def where_meant(metadata: Iterable[TimedMetadata]) -> list[TimedMetadata]:
    """Return what of `metadata` marks a moment, each at the moment that its sender means."""
    return [
        each.model_copy(update={"at": max(0.0, each.at + mark.offset)})
        for each in metadata
        if (mark := mark_of(each)) is not None
    ]


def refusals(metadata: Iterable[TimedMetadata]) -> tuple[str, ...]:
    """Return why marks among `metadata` were refused, one reason for each."""
    reasons: list[str] = []
    for each in metadata:
        read = read_mark(each.payload)
        if each.problem:
            reasons.append(each.problem)
        elif isinstance(read, Refusal):
            reasons.append(read.reason)
    return tuple(reasons)


def count_refused(window: Window) -> int:
    """Return how many marks of a window were refused, those beyond its bounds included."""
    return len(refusals(window.metadata)) + window.dropped_metadata


def _read(value: object, depth: int) -> Mark | Refusal | None:
    if isinstance(value, str):
        return _read_text(value, depth)
    if not isinstance(value, dict):
        return None
    documented = value.get(_DOCUMENTED)
    if isinstance(documented, dict):
        return _read_documented(documented)
    if documented is not None and not isinstance(documented, str):
        return Refusal(reason="`highlight` is neither an object nor a label")
    named = next((value[name] for name in _NAMES if name in value), None)
    return _read(named, depth + 1) if depth < _DEEPEST else None


def _read_text(text: str, depth: int) -> Mark | Refusal | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith(("{", "[")):
            return Refusal(reason="broken JSON")
        return _named(text)
    return _read(value, depth + 1) if depth < _DEEPEST else None


def _named(text: str) -> Mark | None:
    words = _words(text)
    label = "_".join(words)
    is_label = 0 < len(words) <= _MOST_WORDS and len(label) <= _LONGEST_LABEL
    if not is_label or label.isdigit() or _OTHER_USES.intersection(words):
        return None
    return Mark(label=label)


def _read_documented(fields: dict[str, object]) -> Mark | Refusal:
    try:
        said = _Documented.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        field = problem["loc"][0] if problem["loc"] else _DOCUMENTED
        return Refusal(reason=f"`{field}`: {problem['msg']}")
    label = "_".join(_words(said.label))[:_LONGEST_LABEL].strip("_")
    if not label:
        return Refusal(reason="`label`: no letter a-z and no digit in it")
    return Mark(label=label, importance=said.importance, offset=said.offset)


def _words(text: str) -> list[str]:
    return [word for word in _NO_WORD.split(text.lower()) if word]
