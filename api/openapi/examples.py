"""An example of every parameter, by its name, which means the same in all operations."""

from __future__ import annotations

from typing import Any, Final

EXAMPLES: Final[dict[str, Any]] = {
    "Idempotency-Key": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "If-Match": '"3"',
    "action": "key.revoked",
    "before": 3,
    "bucket": "day",
    "by_stream": True,
    "clip_id": "5f0c2a1e-5f4e-5d0b-8b67-1f6b0c9d7e21",
    "connection_id": "3f1b1a54-8c1e-4f6e-9d57-0a5a7f0c9b11",
    "created_from": "2026-05-02T18:00:00Z",
    "created_to": "2026-05-02T20:00:00Z",
    "cursor": "eyJzIjoiLWNyZWF0ZWRfYXQiLCJ0IjoiMjAyNi0wNS0wMlQxOTowMDowMFoiLCJpIjoiMGM3ZjNmMGUtOGM1"
    "NS00ZjBlLTlhNTUtMmI3ZjZkMmYxYTExIn0",
    "delivery_id": "9c1f0a2e-7d3b-4b6a-8f21-5e2d7c9b0a43",
    "endpoint_id": "6a0e7c52-1d4f-4e0b-b7c9-2f8d3a5b6c71",
    "event_type": "clip.ready",
    "expires": 1777752331,
    "external_id": "match-4711",
    "game": "soccer",
    "happened_from": "2026-05-02T18:00:00Z",
    "happened_to": "2026-05-02T20:00:00Z",
    "highlight_id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "key_id": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "last-event-id": "1777748707400000",
    "limit": 20,
    "max_score": 1.0,
    "min_emotional_intensity": 0.5,
    "min_game_impact": 0.5,
    "min_momentum_shift": 0.5,
    "min_narrative_value": 0.5,
    "min_rarity": 0.5,
    "min_score": 0.8,
    "min_skill_execution": 0.5,
    "min_timing_importance": 0.5,
    "min_visual_spectacle": 0.5,
    "peak_from": 300.0,
    "peak_to": 600.0,
    "profile_id": "soccer",
    "q": "late goal or penalty",
    "signature": "q0Xq1mJ2b8n2Jm1uQe7yq0Xq1mJ2b8n2Jm1uQe7yq0X",
    "since": "2026-05-02T18:00:00Z",
    "sort": "-score",
    "stream_id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
    "tag": "goal",
    "target_id": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "target_kind": "key",
    "tenant": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    "text": "crowd",
    "until": "2026-05-02T20:00:00Z",
}
# What means something of its own in each resource.
_BY_OPERATION: Final[dict[str, dict[str, Any]]] = {
    "deleteBudget": {"kind": "analyzed_seconds"},
    "getUsage": {"kind": ["analyzed_seconds"]},
    "listDeliveries": {"status": "succeeded"},
    "listHighlights": {"status": ["confirmed"]},
    "searchHighlights": {"status": ["confirmed"]},
    "listStreams": {"status": "live"},
    "listWebhookDeliveries": {"status": "succeeded"},
    "putBudget": {"kind": "analyzed_seconds"},
}


def add_parameter_examples(operation: dict[str, Any]) -> None:
    """Give each parameter of an operation of the OpenAPI document its example."""
    own = _BY_OPERATION.get(operation["operationId"], {})
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        if name in own or name in EXAMPLES:
            parameter.setdefault("example", own.get(name, EXAMPLES.get(name)))
