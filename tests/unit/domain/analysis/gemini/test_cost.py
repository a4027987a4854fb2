"""Tokens and dollars of a call."""

from __future__ import annotations

import pytest

from domain.analysis.gemini.pricing import ModelPrice, TokenUsage, estimate
from domain.profiles.model import MediaResolution

PRICE = ModelPrice(text=0.30, audio=1.00, output=2.50)


def test_each_class_of_tokens_has_its_price() -> None:
    million = TokenUsage(text=1_000_000, audio=1_000_000, output=1_000_000)
    assert PRICE.dollars(million) == pytest.approx(3.80)


def test_usages_add_up() -> None:
    one = TokenUsage(text=1, audio=2, cached=3, output=4)
    assert one.plus(one) == TokenUsage(text=2, audio=4, cached=6, output=8)
    assert one.total == 7


@pytest.mark.parametrize(
    ("model", "resolution", "frame"),
    [
        ("gemini-2.5-flash", MediaResolution.LOW, 66),
        ("gemini-2.5-flash", MediaResolution.MEDIUM, 258),
        ("gemini-3.5-flash-lite", MediaResolution.LOW, 70),
        ("gemini-3.5-flash-lite", MediaResolution.MEDIUM, 70),
        ("gemini-3.8-flash", MediaResolution.HIGH, 280),
        ("gemini-of-tomorrow", MediaResolution.MEDIUM, 258),
    ],
)
def test_a_frame_takes_what_its_model_and_resolution_say(
    model: str, resolution: MediaResolution, frame: int
) -> None:
    usage = estimate(
        model=model, seconds=30.0, fps=2.0, resolution=resolution, prompt="", output=100
    )
    assert usage == TokenUsage(text=60 * frame, audio=30 * 32, output=100)
