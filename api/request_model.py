"""The base of every body: unknown members are refused, and JSON's types are taken as they are."""

from __future__ import annotations

from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)
from pydantic_core import to_json


class RequestModel(BaseModel):
    """A body, validated as JSON and strictly.

    FastAPI decodes a body first and validates Python values, of which pydantic takes `true` for 1,
    `"5"` for 5 and `2.0` for 2. Strictly and as JSON it takes numbers for numbers, and still text
    for ids, times and names of choices. What models contain is validated alike.
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
