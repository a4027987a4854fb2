"""Which highlights a list holds, as clients ask for them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from pydantic import FiniteFloat

from api.request_model import Moment, Name
from domain.highlights.selection import DecisionStatus
from infra.db.repositories.highlights import HighlightFilter

_Seconds = Annotated[FiniteFloat | None, Query(description="Seconds of media time.")]
_Score = Annotated[float | None, Query(ge=0, le=1)]


async def dimension_bounds(
    *,
    min_skill_execution: _Score = None,
    min_game_impact: _Score = None,
    min_rarity: _Score = None,
    min_visual_spectacle: _Score = None,
    min_emotional_intensity: _Score = None,
    min_narrative_value: _Score = None,
    min_timing_importance: _Score = None,
    min_momentum_shift: _Score = None,
) -> tuple[tuple[str, float], ...]:
    """Return the dimensions of which a least value is asked for, with it."""
    bounds = {
        "skill_execution": min_skill_execution,
        "game_impact": min_game_impact,
        "rarity": min_rarity,
        "visual_spectacle": min_visual_spectacle,
        "emotional_intensity": min_emotional_intensity,
        "narrative_value": min_narrative_value,
        "timing_importance": min_timing_importance,
        "momentum_shift": min_momentum_shift,
    }
    return tuple((name, bound) for name, bound in bounds.items() if bound is not None)


async def highlight_filter(
    *,
    dimensions: Annotated[tuple[tuple[str, float], ...], Depends(dimension_bounds)],
    stream_id: UUID | None = None,
    status: Annotated[
        list[DecisionStatus],
        Query(
            description="May be repeated. By default all but the held and the rejected.",
            max_length=len(DecisionStatus),
        ),
    ] = [],  # noqa: B006 - FastAPI copies it
    game: Annotated[Name | None, Query(description="A profile's id, such as `soccer`.")] = None,
    tag: Name | None = None,
    text: Annotated[
        Name | None,
        Query(description="Words, whole and all of them, of title, description or tags."),
    ] = None,
    min_score: _Score = None,
    max_score: _Score = None,
    peak_from: _Seconds = None,
    peak_to: _Seconds = None,
    created_from: Moment | None = None,
    created_to: Annotated[Moment | None, Query(description="Before this time.")] = None,
    happened_from: Annotated[
        Moment | None, Query(description="By the stream's own clock, where it says.")
    ] = None,
    happened_to: Annotated[Moment | None, Query(description="Before this time.")] = None,
) -> HighlightFilter:
    """Return what the query asks for."""
    return HighlightFilter(
        stream_id=stream_id,
        statuses=tuple(status),
        game=game,
        tag=tag,
        text=text,
        min_score=min_score,
        max_score=max_score,
        dimensions=dimensions,
        peak_from=peak_from,
        peak_to=peak_to,
        created_from=created_from,
        created_to=created_to,
        occurred_from=happened_from,
        occurred_to=happened_to,
    )


HighlightQuery = Annotated[HighlightFilter, Depends(highlight_filter)]
