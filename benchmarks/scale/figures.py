"""Reads figures.yaml: measured figures with sources, prices, limits of others, assumptions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict

FILE: Final = Path(__file__).with_name("figures.yaml")


class Figure(BaseModel):
    """A number, and where it comes from: a file of this repository that has `quote`, or a URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float
    source: str
    quote: str = ""
    note: str = ""


class ScaleFigures(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured: Mapping[str, Figure]
    settings: Mapping[str, Figure]
    prices: Mapping[str, Figure]
    limits: Mapping[str, Figure]
    assumed: Mapping[str, float]
    action_tiers: tuple[tuple[float, float], ...]

    @classmethod
    def read(cls) -> ScaleFigures:
        return cls.model_validate(yaml.safe_load(FILE.read_text("utf-8")))

    def __getitem__(self, name: str) -> float:
        """Return a value by its name, which is unique in the file."""
        for group in (self.measured, self.settings, self.prices, self.limits):
            if name in group:
                return group[name].value
        return self.assumed[name]

    def actions_price(self, actions_per_month: float) -> float:
        """Return the dollars of a month's actions."""
        total, below = 0.0, 0.0
        for limit, price in self.action_tiers:
            total += max(0.0, min(actions_per_month, limit) - below) * price / 1e6
            below = limit
        return total + max(0.0, actions_per_month - below) * self.action_tiers[-1][1] / 1e6
