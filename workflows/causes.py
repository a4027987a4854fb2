"""Why an activity failed, in words."""

from __future__ import annotations

LONGEST = 500
"""Characters; a cause is shown to tenants and kept in history, so it must stay short."""


def cause_of(error: BaseException) -> str:
    """Return the messages of all that lies behind `error`, the nearest first."""
    words: list[str] = []
    cause = error.__cause__
    while cause is not None:
        words.append(str(cause))
        cause = cause.__cause__
    return (": ".join(words) or str(error))[:LONGEST]
