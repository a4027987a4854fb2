"""Why an activity failed, in words."""

from __future__ import annotations

import re
from typing import Final

from temporalio.exceptions import ApplicationError

_OUR_CODE: Final = re.compile(r"[a-z]+(_[a-z]+)+")
LONGEST = 500
"""Characters; a cause is kept in history, so it must stay short."""


def tenant_message(error: BaseException, *, otherwise: str) -> str:
    """Return what a tenant may read of an error: our own sentence about it, or `otherwise`.

    Errors that we raise for tenants have a code such as `media_gone` as their type. Any other
    exception has the name of its class there, and a text that says how we are built.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError) and _OUR_CODE.fullmatch(cause.type or ""):
            return cause.message[:LONGEST]
        cause = cause.__cause__
    return otherwise


def cause_of(error: BaseException) -> str:
    """Return the messages of all that lies behind `error`, the nearest first."""
    words: list[str] = []
    cause = error.__cause__
    while cause is not None:
        words.append(str(cause))
        cause = cause.__cause__
    return (": ".join(words) or str(error))[:LONGEST]
