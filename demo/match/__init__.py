"""A scripted match: a generated video whose exciting moments are known exactly."""

from __future__ import annotations

from demo.match.generate import GENERATOR_VERSION, Match, ensure_match

__all__ = ["GENERATOR_VERSION", "Match", "ensure_match"]
