"""The id of a request: from the client or made by us, and the same everywhere."""

from __future__ import annotations

import re
import secrets
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

HEADER: Final = "X-Request-Id"
_STATE_KEY: Final = "request_id"
_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)


def assign_request_id(scope: Scope) -> str:
    """Keep the client's id if it is harmless in a log, else make one; return it."""
    given = Headers(scope=scope).get(HEADER, "")
    request_id = given if _ACCEPTABLE.fullmatch(given) else f"req_{secrets.token_hex(12)}"
    scope.setdefault("state", {})[_STATE_KEY] = request_id
    return request_id


def request_id_of(scope: Scope) -> str:
    """Return the id of the request under way."""
    identity: str = scope["state"][_STATE_KEY]
    return identity
