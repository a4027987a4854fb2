"""Text from outside, made safe to store and to send on."""

from __future__ import annotations

import re
from typing import Final

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


def clean_text(value: str, limit: int) -> str:
    """Return at most `limit` characters of `value` that encode to UTF-8 and hold no NUL.

    JSON escapes can name half a surrogate pair, which no encoder accepts, and PostgreSQL refuses
    NUL in text and in JSON. U+FFFD stands in for each of them.
    """
    return _UNSTORABLE.sub(_REPLACEMENT, value[:limit])
