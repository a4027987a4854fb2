"""Timestamps as requests may carry them: ISO 8601 with a zone, in years that every store takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field, TypeAdapter

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,12})?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)


_PARSED: Final = TypeAdapter(Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)])


def moment(value: object) -> datetime:
    """Return the time that a text says; pydantic alone would read `2026` as seconds since 1970.

    Raises:
        ValueError: it is not a date, a time and a zone, or not in these years.
    """
    if isinstance(value, datetime) or (isinstance(value, str) and _FORM.fullmatch(value)):
        return _PARSED.validate_python(value)
    raise ValueError("must be an ISO 8601 date and time with a zone, such as 2026-05-02T19:00:00Z")


# In strict models too: what is text here is a time in any JSON.
Moment = Annotated[datetime, BeforeValidator(moment)]
