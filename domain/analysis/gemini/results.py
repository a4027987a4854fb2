"""What becomes of a piece's moments once it has been looked at, or not."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from pydantic import Field

from domain.analysis.gemini.budget import Grounds
from domain.analysis.gemini.chunks import MARGIN, Opinion, Piece, WatchState
from domain.analysis.gemini.fusion import SAME_MOMENT, Sighting, agreeing, alone, discovered
from domain.highlights.candidate import HighlightCandidate
from domain.ids import highlight_id
from domain.media.timestamps import anchor_of
from domain.model import Model


class Look(Model):
    """What looking at a piece brought.

    Attributes:
        sightings: moments seen, with their scores.
        unclear: peaks (s of media time) of moments seen of which nothing more could be learnt.
        counted: how often what was corrected or left out.
    """

    sightings: tuple[Sighting, ...] = ()
    unclear: tuple[float, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


class Told(Model):
    """The moments of a piece, what was left out on the way, and what is to be remembered."""

    candidates: tuple[HighlightCandidate, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


def told_without(piece: Piece, grounds: Grounds) -> Told:
    """Return the moments of a piece that Gemini has not seen: the local analyzer's alone."""
    return Told(candidates=tuple(alone(each, grounds) for each in piece.candidates))


def told_in_vain(piece: Piece, *, analyzer: str) -> Told:
    """Return the same where Gemini has answered, and nothing of use: it is not asked again."""
    return Told(
        candidates=told_without(piece, Grounds.FAILED).candidates,
        opinions=tuple(
            Opinion(id=each.id, analyzer=analyzer, unclear=True) for each in piece.candidates
        ),
    )


def told_with(
    piece: Piece, look: Look, state: WatchState, *, tenant_id: UUID, stream_id: UUID, analyzer: str
) -> Told:
    """Return the moments of a piece that Gemini has seen: agreed, only seen, or only heard."""
    counted = Counter(look.counted)
    rest = list(look.sightings)
    found: list[HighlightCandidate] = []
    opinions: list[Opinion] = []
    for candidate in piece.candidates:
        near = sorted(
            (each for each in rest if agreeing(candidate, each)),
            key=lambda each: abs(each.peak - candidate.peak),
        )
        if near:
            rest.remove(near[0])
        opinions.append(
            Opinion(
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
        elif sighting.peak >= piece.end - MARGIN and not piece.last:
            counted["left_to_next"] += 1
        else:
            name = highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=sighting.peak)
            found.append(
                discovered(sighting, id=name, settled_at=piece.end, analyzer=analyzer, clock=clock)
            )
            opinions.append(Opinion(id=name, analyzer=analyzer, sighting=sighting, heard=False))
    return Told(
        candidates=tuple(sorted(found, key=lambda each: each.peak)),
        opinions=tuple(opinions),
        counted=dict(+counted),
    )


def _near(peak: float, known: list[float]) -> bool:
    return any(abs(peak - other) <= SAME_MOMENT for other in known)
