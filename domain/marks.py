"""What a tenant's timed metadata says about the moment at which it is placed."""

from __future__ import annotations

import json
import re
from typing import Final

_NAMES: Final = ("highlight", "moment", "event", "tag", "label", "kind", "type", "name", "payload")
_LONGEST_NAME: Final = 32
_DEEPEST: Final = 3
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
_OTHER_USES: Final = frozenset(
    {
        "ad", "ads", "advert", "break", "chat", "commercial", "heartbeat", "ping", "poll",
        "promo", "question", "quiz", "scte35", "sponsor", "stop", "survey",
    }
)  # fmt: skip


def mark_name(payload: str) -> str | None:
    """Return a short name for the moment that `payload` marks; None when it marks none.

    A payload is plain text or JSON. In JSON the name is the first of the usual fields that holds
    text. Metadata with another well-known use (adverts, polls, chat) marks no moment.
    """
    text = _named(payload, 0)
    words = [word for word in _NO_WORD.split(text.lower()) if word]
    if _OTHER_USES.intersection(words):
        return None
    return "_".join(words)[:_LONGEST_NAME].strip("_")


def _named(payload: str, depth: int) -> str:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return payload
    while isinstance(value, dict) and depth < _DEEPEST:
        depth += 1
        value = next((value[name] for name in _NAMES if name in value), "")
    if isinstance(value, str) and value != payload:
        return _named(value, depth + 1) if depth < _DEEPEST else value
    return value if isinstance(value, str) else ""
