"""A profile and answers for tests of what Gemini is asked and says."""

from __future__ import annotations

import json
from typing import Any

from domain.analysis.gemini.parsing import FileSpan
from domain.analysis.gemini.query import GeminiAnswer
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS

PROFILE = GameProfile.model_validate(
    {
        "id": "soccer",
        "version": "v1",
        "name": "Soccer",
        "description": "Goals are few.",
        "tags": {"goal": ["goal", "own_goal"], "chance": ["save"]},
        "moments": {
            "goal": {
                "words": "the ball crosses the line",
                "length": {"shortest": 8, "typical": 16, "longest": 35},
                "tags": ["goal"],
            }
        },
    }
)
FILE = FileSpan(start=100.0, end=140.0)


def said(value: object, **changes: str | None) -> GeminiAnswer:
    text = value if isinstance(value, str) else json.dumps(value)
    return GeminiAnswer.model_validate({"text": text, "finish": "STOP", **changes})


def moment(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    whole = {
        "start": "00:10.0",
        "peak": "00:14.5",
        "end": "00:20.0",
        "kind": "goal",
        "certainty": 0.9,
    }
    return {**whole, **changes}


def assessment(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    whole: dict[str, Any] = dict.fromkeys(DIMENSIONS, 0.8)
    whole.update(certainty=0.9, tags=["goal"], title="A goal", description="It is a goal.")
    return {**whole, **changes}
