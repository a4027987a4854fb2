"""Fields of what 100ms sends, read as far as they make sense.

A field of an unexpected type is as good as absent: an event that is worth half its fields is worth
more than a refusal, which 100ms would repeat three times and then forget.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator

LONGEST_ID: Final = 200
"""Characters; 100ms's own ids are UUIDs and 24 hexadecimal digits."""

LONGEST_TEXT: Final = 2048
"""Characters of a text for people."""

LONGEST_URL: Final = 8192
"""Characters; a presigned URL carries its signer's token."""

_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?(Z|z|[+-]\d{2}:\d{2})?"
)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_URL: Final = re.compile(r"[\x21-\x7e]*")
_MICROSECONDS: Final = 6


def identifier(value: object) -> str | None:
    """Return an id as text: printable, not empty, at most 200 characters; else None."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and not _UNPRINTABLE.search(value):
        return value
    return None


def text(value: object) -> str | None:
    """Return a text of at most 2,048 characters, others being cut, without control characters."""
    if not isinstance(value, str):
        return None
    return _UNPRINTABLE.sub("", value[:LONGEST_TEXT])


def url(value: object) -> str | None:
    """Return a URL or path of at most 8,192 characters without blanks; else None, never a part."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_URL and _URL.fullmatch(value):
        return value
    return None


def number(value: object) -> float | None:
    """Return a finite number, also where it is written as a text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(value: object) -> bool | None:
    """Return a truth value, also where it is written as a text; else None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def moment(value: object) -> datetime | None:
    """Return a time (RFC 3339) in UTC, of nanoseconds keeping the microseconds; else None.

    The zero time of Go, `0001-01-01T00:00:00Z`, says that there is no time.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo is not None else None
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    fraction = (fraction or "")[:_MICROSECONDS].ljust(_MICROSECONDS, "0")
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at.year > 1 else None


Identifier = Annotated[str | None, BeforeValidator(identifier)]
Words = Annotated[str | None, BeforeValidator(text)]
Url = Annotated[str | None, BeforeValidator(url)]
Number = Annotated[float | None, BeforeValidator(number)]
Flag = Annotated[bool | None, BeforeValidator(flag)]
Moment = Annotated[datetime | None, BeforeValidator(moment)]
