"""The base of every value that flows through the system."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """An immutable value.

    Unknown fields are ignored, not refused: a payload written by a newer worker must stay
    readable by an older one during a rolling deployment.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
