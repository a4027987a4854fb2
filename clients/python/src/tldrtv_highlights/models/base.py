"""What all models share."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Model(BaseModel):
    """Part of an answer. It takes fields and values that a later API adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Page(Model, Generic[T]):
    """Some items of a list; `next_cursor` is None on the last page."""

    data: tuple[T, ...]
    next_cursor: str | None = None
