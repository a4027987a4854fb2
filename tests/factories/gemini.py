"""A profile, windows, candidates and answers for tests of the Gemini analyzer."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from domain.analysis.gemini.fusion import GeminiDetection
from domain.analysis.gemini.parsing import FileSpan
from domain.analysis.gemini.query import GeminiAnswer
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import TimedMetadata, Window
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore
from tests.factories.clips import segment

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
TENANT, STREAM = UUID(int=7), UUID(int=8)
SECONDS = 4.0


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


def window(index: int, *, marks: tuple[str, ...] = ()) -> Window:
    start = index * SECONDS
    segments = tuple(segment(2 * index + half, start + 2.0 * half) for half in (0, 1))
    metadata = tuple(TimedMetadata(id=mark, at=start, payload=mark) for mark in marks)
    return Window(
        index=index,
        variant="720p",
        segments=segments,
        metadata=metadata,
        start=start,
        end=start + SECONDS,
    )


def candidate(peak: float) -> HighlightCandidate:
    return HighlightCandidate(
        id=UUID(int=round(peak * 10)),
        start=max(0.0, peak - 3.0),
        peak=peak,
        end=peak + 5.0,
        settled_at=peak + 6.0,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, 0.8)),
        analyzer="local-1",
    )


def seen(peak: float, *, title: str = "") -> GeminiDetection:
    return GeminiDetection(
        start=peak - 2.0,
        peak=peak,
        end=peak + 3.0,
        kind="goal",
        certainty=0.9,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, 0.9)),
        title=title,
    )


HEARD = candidate(40.0)
