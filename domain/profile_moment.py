"""The kinds of moment that a game has."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, model_validator
from pydantic_core import PydanticCustomError

from domain.model import Model

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Words = Annotated[str, Field(min_length=1, max_length=600)]


class MomentLength(Model):
    """How long a kind of moment lasts, build-up and reaction included; seconds."""

    shortest: PositiveFloat = Field(le=300.0)
    typical: PositiveFloat = Field(le=300.0)
    longest: PositiveFloat = Field(le=300.0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.shortest <= self.typical <= self.longest:
            raise PydanticCustomError(
                "lengths_unordered",
                "a moment's length must rise: shortest {shortest} <= typical {typical} "
                "<= longest {longest} does not hold",
                self.model_dump(),
            )
        return self


class MomentKind(Model):
    """One kind of moment: what it looks like, how long it lasts, what it is tagged with.

    `markets` names the betting markets whose odds it moves (keys of the profile's `markets`).
    """

    words: Words
    length: MomentLength
    tags: tuple[Slug, ...] = ()
    markets: tuple[Slug, ...] = ()
