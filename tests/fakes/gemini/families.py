"""Models of autumn 2026: what a frame takes, and how each may be kept from thinking."""

from __future__ import annotations

from typing import Final

from tests.fakes.gemini.rpc import RpcError
from tests.fakes.gemini.wire import ThinkingConfig

CURRENT: Final = (
    "gemini-3.5-flash-lite",
    "gemini-3.5-flash",
    "gemini-3.6-flash",
    "gemini-3.7-flash",
    "gemini-3.8-flash",
    "gemini-3.1-pro-preview",
    "gemini-3-flash-preview",
)
OLD: Final = ("gemini-2.5-flash", "gemini-2.5-pro")

_OLD_FRAME: Final = {"MEDIA_RESOLUTION_LOW": 66}
_NEW_FRAME: Final = {"MEDIA_RESOLUTION_HIGH": 280}
_THOUGHTS: Final = {"MINIMAL": 0, "LOW": 60, "MEDIUM": 400, "HIGH": 1200}
_REFUSES_MINIMAL: Final = ("gemini-3.7-flash", "gemini-3.1-pro-preview")


def frame_tokens(model: str, resolution: str | None) -> int:
    """Tokens of one frame of video."""
    if is_old(model):
        return _OLD_FRAME.get(resolution or "", 258)
    return _NEW_FRAME.get(resolution or "", 70)


def is_old(model: str) -> bool:
    """Return True of the 2.x family."""
    return model.startswith("gemini-2")


def thoughts(model: str, config: ThinkingConfig | None) -> int:
    """Return how many tokens the model thinks; refuses what the model does not take."""
    level = config.thinking_level if config else None
    budget = config.thinking_budget if config else None
    if level is not None and budget is not None:
        raise RpcError(
            "INVALID_ARGUMENT", "You can only set only one of thinking budget and thinking level."
        )
    if is_old(model):
        if level is not None:
            raise RpcError("INVALID_ARGUMENT", "Thinking level is not supported for this model.")
        if budget == 0 and model == "gemini-2.5-pro":
            raise RpcError(
                "INVALID_ARGUMENT",
                "Budget 0 is invalid. This model only works in thinking mode.",
            )
        return 400 if budget in (None, -1) else min(budget or 0, 400)
    if level == "MINIMAL" and model in _REFUSES_MINIMAL:
        raise RpcError(
            "INVALID_ARGUMENT", "Thinking level MINIMAL is not supported for this model."
        )
    if budget is not None:
        return min(max(budget, 0), 1200)
    return _THOUGHTS[level or "HIGH"]
