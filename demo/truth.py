"""Ground truth: reading it, and comparing what was found with it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, NonNegativeFloat, TypeAdapter, ValidationError, model_validator

from demo.errors import UnusableTruthError
from demo.model import Model

MIN_OVERLAP = 0.3

_EXPECTED = (
    'Expected {"moments": [{"start": s, "end": s}, …]}, the same under "highlights", '
    "or a list of such objects or of [start, end] pairs; times in seconds of the input."
)


class Span(Model, extra="ignore"):
    """A stretch of the input, in seconds, with the kind of thing that happens in it."""

    start: NonNegativeFloat = Field(allow_inf_nan=False)
    end: NonNegativeFloat = Field(allow_inf_nan=False)
    peak: float | None = None
    kind: str = ""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Span:
        if self.end <= self.start:
            raise ValueError(f"a moment must end after it starts ({self.start} to {self.end})")
        return self

    def overlap(self, other: Span) -> float:
        """Return the temporal intersection over union, in [0, 1]."""
        shared = min(self.end, other.end) - max(self.start, other.start)
        joint = max(self.end, other.end) - min(self.start, other.start)
        return max(0.0, shared / joint)


class Truth(Model):
    """What should be found, and what may be mistaken for it."""

    moments: tuple[Span, ...]
    distractors: tuple[Span, ...] = ()


class Comparison(Model):
    """Pairs of (moment, found) by index, and what is left over on either side."""

    matched: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    false: tuple[int, ...]

    @property
    def precision(self) -> float:
        """The share of what was found that is true; 1 when nothing was found."""
        found = len(self.matched) + len(self.false)
        return len(self.matched) / found if found else 1.0

    @property
    def recall(self) -> float:
        """The share of the true moments that were found; 1 when there are none."""
        moments = len(self.matched) + len(self.missed)
        return len(self.matched) / moments if moments else 1.0


def read_truth(path: Path) -> Truth:
    """Read a ground-truth file.

    Raises:
        UnusableTruthError: it is missing, or not in one of the forms understood.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UnusableTruthError(f"There is no truth file {path}.") from error
    except (OSError, ValueError) as error:
        raise UnusableTruthError(f"{path} is not a JSON file ({error}). {_EXPECTED}") from error
    return _parse(path, content)


def _parse(path: Path, content: object) -> Truth:
    moments, distractors = content, None
    if isinstance(content, dict):
        moments = content.get("moments", content.get("highlights"))
        distractors = content.get("distractors")
    try:
        return Truth(moments=_spans(moments), distractors=_spans(distractors or []))
    except (TypeError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UnusableTruthError(f"{path} holds no moments: {reason}. {_EXPECTED}") from error


def _spans(items: object) -> tuple[Span, ...]:
    if not isinstance(items, list):
        raise TypeError("there is no list of moments")
    objects = [
        dict(zip(("start", "end"), item, strict=False)) if isinstance(item, list) else item
        for item in items
    ]
    return TypeAdapter(tuple[Span, ...]).validate_python(objects)


def compare(
    moments: Sequence[Span], found: Sequence[Span], *, min_overlap: float = MIN_OVERLAP
) -> Comparison:
    """Pair as many moments as possible with what was found, each at most once.

    Two may be paired when their temporal intersection over union is at least `min_overlap`.
    The largest set of pairs is found by augmenting paths (Kuhn 1955), better overlaps first.
    """
    options = [
        sorted(
            (j for j, f in enumerate(found) if moment.overlap(f) >= min_overlap),
            key=lambda j, moment=moment: -moment.overlap(found[j]),  # type: ignore[misc]
        )
        for moment in moments
    ]
    owner: dict[int, int] = {}

    def assign(moment: int, tried: set[int]) -> bool:
        for candidate in options[moment]:
            if candidate in tried:
                continue
            tried.add(candidate)
            if candidate not in owner or assign(owner[candidate], tried):
                owner[candidate] = moment
                return True
        return False

    for moment in range(len(moments)):
        assign(moment, set())
    pairs = sorted((moment, candidate) for candidate, moment in owner.items())
    hit = {moment for moment, _ in pairs}
    return Comparison(
        matched=tuple(pairs),
        missed=tuple(i for i in range(len(moments)) if i not in hit),
        false=tuple(j for j in range(len(found)) if j not in owner),
    )


def clock(seconds: float, separator: str = ":") -> str:
    """Write a position as hours, minutes and seconds."""
    whole = math.floor(seconds)
    return separator.join(f"{part:02d}" for part in (whole // 3600, whole // 60 % 60, whole % 60))
