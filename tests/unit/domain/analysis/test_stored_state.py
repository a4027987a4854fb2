"""Stored analyzer states keep their field names, whatever the attributes are called."""

from __future__ import annotations

import json
from uuid import UUID

from domain.analysis.detector import DetectorState, advance
from domain.analysis.gemini.chunks import CachedVerdict, GeminiState
from tests.factories.signals import moment, play


def test_the_detector_state_keeps_its_field_names() -> None:
    state, found = advance(
        DetectorState(), moment(play(90), 60), tenant_id=UUID(int=1), stream_id=UUID(int=2)
    )
    stored = json.loads(state.model_dump_json(exclude_defaults=True, by_alias=True))
    assert found
    assert {"readings", "usuals", "rest"} <= stored.keys()
    assert {"since", "peak", "level", "lowest", "roar", "told", "moment"} <= stored["rest"].keys()
    assert {"roar", "call"} <= stored["usuals"].keys()
    assert {"roar", "call"} <= stored["readings"][0].keys()
    assert DetectorState.model_validate(stored) == state


def test_the_gemini_state_keeps_its_field_names() -> None:
    verdict = CachedVerdict(id=UUID(int=3), analyzer="both", found_locally=False)
    state = GeminiState(published_until=4.0, published_peaks=(2.0,), verdicts=(verdict,))
    stored = json.loads(state.model_dump_json(exclude_defaults=True, by_alias=True))
    assert stored == {
        "told_until": 4.0,
        "told": [2.0],
        "opinions": [{"id": str(UUID(int=3)), "analyzer": "both", "heard": False}],
    }
    assert GeminiState.model_validate(stored) == state
