"""Fields of feeds' messages: read, checked, and named when they are wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from domain.feed.models import HIGHEST_ODDS, FeedEvent
from domain.feed.odds import margin_of

_HIGHEST_MARGIN: Final = 0.5
_LONGEST_KEY: Final = 128
_LONGEST_SHOWN: Final = 60
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


class FeedFormatError(ValueError):
    """A message, or a field of it, is not of the feed's format.

    Attributes:
        field: where it stands in the message.
        problem: what is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def event_id(*parts: object) -> str:
    """Return the parts as an event id; a digest stands for what an id cannot hold."""
    text = ":".join(str(part) for part in parts)
    if _ID.fullmatch(text):
        return text
    return f"{parts[0]}:{sha256(text.encode()).hexdigest()[:32]}"


def market_key(text: str) -> str:
    """Return a name of a market or selection as events carry it; a digest shortens a long one."""
    plain = _CONTROL.sub(" ", text).strip()
    if len(plain) <= _LONGEST_KEY:
        return plain
    return f"{plain[: _LONGEST_KEY - 17]}~{sha256(text.encode()).hexdigest()[:16]}"


def margin(odds: Iterable[float]) -> float:
    """Return the bookmaker's margin of a market, at most what an event may state."""
    return min(_HIGHEST_MARGIN, margin_of(odds))


def decimal_odds(value: object, *, field: str) -> float:
    """Return decimal odds.

    Raises:
        FeedFormatError: they are not above 1 and at most 10,000.
    """
    odds = number(value, field=field)
    if not 1.0 < odds <= HIGHEST_ODDS:
        raise FeedFormatError(
            field, f"decimal odds are above 1 and at most {HIGHEST_ODDS:g}, not {value}"
        )
    return odds


def number(value: object, *, field: str) -> float:
    """Return a finite number, given as one or as text.

    Raises:
        FeedFormatError: it is not a number.
    """
    wrong = FeedFormatError(field, f"a number is expected, not {_shown(value)}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise wrong from None
    if not math.isfinite(found):
        raise FeedFormatError(field, f"a finite number is expected, not {value}")
    return found


def whole_number(value: object, *, field: str) -> int:
    """Return a whole number, also from text such as `2.0`.

    Raises:
        FeedFormatError: it is not one.
    """
    found = number(value, field=field)
    if found != int(found):
        raise FeedFormatError(field, f"a whole number is expected, not {value}")
    return int(found)


def wall_clock(at: int) -> datetime:
    """Return the time of a Unix time in ms.

    Raises:
        FeedFormatError: there is no such date.
    """
    try:
        return datetime.fromtimestamp(at / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise FeedFormatError(
            "timestamp", f"milliseconds since 1970 are expected, not {at}"
        ) from None


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def mapping(value: object, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        FeedFormatError: it is something else.
    """
    if not isinstance(value, dict):
        raise FeedFormatError(where, f"an object is expected, not {_shown(value)}")
    return value


def items(body: dict[str, Any], name: str, where: str) -> list[object]:
    """Return the JSON list `name` of an object, empty if it is missing.

    Raises:
        FeedFormatError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise FeedFormatError(f"{where}.{name}" if where else name, "a list is expected")
    return value


def refuse(problem: FeedFormatError) -> Iterator[FeedEvent]:
    """Raise a problem that was found before its turn."""
    raise problem
