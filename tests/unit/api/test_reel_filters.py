"""A reel is chosen by market, subject, score and period, as a list is filtered."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from api.exports.schemas import ReelSourceRequest

STREAM = UUID(int=1)
REEL: dict[str, Any] = {"stream_id": str(STREAM), "seconds": 30}
FILTERS = {"market": "next goal", "subject": "bet:8841", "state": "2-1", "period": "2nd"}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_of_the_match_reaches_the_choice(name: str) -> None:
    asked = ReelSourceRequest.model_validate(REEL | {name: FILTERS[name]})
    assert getattr(asked.wanted.criteria, name) == FILTERS[name]


@pytest.mark.parametrize("name", FILTERS)
def test_named_highlights_are_not_filtered(name: str) -> None:
    with pytest.raises(ValidationError, match="name either highlight_ids, or tags"):
        ReelSourceRequest.model_validate(
            REEL | {name: FILTERS[name], "highlight_ids": [str(STREAM)]}
        )


def test_a_score_that_no_screen_shows_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be the score after the moment"):
        ReelSourceRequest.model_validate(REEL | {"state": "2:1"})
