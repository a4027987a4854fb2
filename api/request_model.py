"""The base model of request bodies, and the timestamp type of requests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationInfo,
    model_validator,
)
from pydantic_core import to_json

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,12})?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
_PARSED: Final = TypeAdapter(Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)])


def timestamp(value: object) -> datetime:
    """Parse a timestamp. Stricter than pydantic, which reads `2026` as seconds since 1970.

    Raises:
        ValueError: it has no date, time and zone, or is outside 1970 to 2200.
    """
    if isinstance(value, datetime) or (isinstance(value, str) and _FORM.fullmatch(value)):
        return _PARSED.validate_python(value)
    raise ValueError("must be an ISO 8601 date and time with a zone, such as 2026-05-02T19:00:00Z")


# In strict models too: what is text here is a time in any JSON.
Timestamp = Annotated[datetime, BeforeValidator(timestamp)]


class RequestModel(BaseModel):
    """A request body, validated strictly and as JSON.

    FastAPI validates decoded Python values, for which pydantic accepts `true` as 1, `"5"` as 5 and
    `2.0` as 2. In strict JSON mode it does not, but still accepts text for ids, timestamps and
    enums. Nested models are validated the same way.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _as_json(
        cls,
        value: object,
        handler: ModelWrapValidatorHandler[Self],
        info: ValidationInfo,
    ) -> Self:
        if info.mode == "python" and isinstance(value, dict):
            cls.model_validate_json(to_json(value), strict=True)
        return handler(value)
