"""Which model watches, how it is asked, and in what language it tells."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat

from domain.model import Model


class Choice(Model):
    """What a game is watched with; None leaves it to the general choice.

    `temperature` is in [0, 2].
    """

    model: str | None = None
    temperature: NonNegativeFloat | None = Field(default=None, le=2.0)
    language: str | None = Field(default=None, max_length=40)
