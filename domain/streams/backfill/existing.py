"""The highlights that a stream already has, when moments that were missed join them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.selection import DecisionStatus, SelectionState
from domain.highlights.selection.models import Past, Placed, Refused
from domain.highlights.similarity import describe
from domain.model import Model

NEAR: Final = 300.0
"""Seconds from a stretch within which a highlight is remembered whole: sameness reaches 90 s. Of
the others the peaks are, for spacing and quotas."""

SHOWN: Final = frozenset({DecisionStatus.PENDING, DecisionStatus.CONFIRMED})


class Standing(Model):
    """A highlight as it was decided live; times in seconds of media time."""

    id: UUID
    status: DecisionStatus
    start: NonNegativeFloat
    peak: NonNegativeFloat
    end: NonNegativeFloat
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    override: bool = False


SHARED: Final = 0.5
"""Share of the shorter of two spans from which on both are taken for one moment."""

SEEN_LATER: Final = Evidence(
    signal="recording", strength=0.0, words="seen in the recording, after the stream"
)

Stretch = tuple[float, float]


def selection_with(
    standing: Iterable[Standing], stretches: Sequence[Stretch], *, watermark: float
) -> SelectionState:
    """Return the state from which selection goes on in `stretches` (s of media time).

    What was shown stands and cannot be displaced; what was refused stays refused. The watermark is
    where the first stretch begins, so that moments found in it are chosen among each other by the
    same rules as live ones, and take the places that are left.
    """
    placed: list[Placed] = []
    past: list[Past] = []
    refused: list[Refused] = []
    for each in sorted(standing, key=lambda each: (each.peak, each.id.int)):
        near = any(start - NEAR <= each.peak <= end + NEAR for start, end in stretches)
        if each.status not in SHOWN:
            if near:
                refused.append(Refused(each.id, each.peak))
        elif near:
            placed.append(_placed(each))
        else:
            past.append(Past(each.id, each.peak, each.override, each.start, each.end))
    return SelectionState(
        placed=tuple(placed), past=tuple(past), refused=tuple(refused), watermark=watermark
    )


def newly_seen(
    candidates: Iterable[HighlightCandidate], standing: Sequence[Standing]
) -> tuple[HighlightCandidate, ...]:
    """Return the candidates that are no second sight of a highlight shown already.

    At the edge of a gap the live analysis saw half a moment. Selection's spacing would keep the
    whole one away, but for an exceptional one, which may ignore it; so spans decide here first.
    """
    shown = [each for each in standing if each.status in SHOWN]
    return tuple(
        each.model_copy(update={"evidence": (*each.evidence, SEEN_LATER)})
        for each in candidates
        if not any(_shares(each, other) for other in shown)
    )


def _shares(one: HighlightCandidate, two: Standing) -> bool:
    common = min(one.end, two.end) - max(one.start, two.start)
    return common > SHARED * min(one.end - one.start, two.end - two.start)


def _placed(each: Standing) -> Placed:
    return Placed(
        id=each.id,
        start=each.start,
        peak=each.peak,
        end=each.end,
        title=each.title,
        text=describe(each.title, each.description),
        tags=each.tags,
        override=each.override,
    )
