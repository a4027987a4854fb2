"""The base of the demo's values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """An immutable value that refuses unknown fields, since a misspelt fault would test nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")
