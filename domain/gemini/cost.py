"""Tokens and dollars: what a call cost, and what one will cost at most."""

from __future__ import annotations

from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.model import Model
from domain.profile_hints import MediaResolution

AUDIO_TOKENS: Final = 32
"""Tokens of a second of sound (Gemini API, "Understand and count tokens")."""

_MILLION: Final = 1_000_000

# Tokens of one frame by family and resolution; an unknown family is taken to be the dearest.
_FRAME_TOKENS: Final = {
    "gemini-2": {MediaResolution.LOW: 66, MediaResolution.MEDIUM: 258, MediaResolution.HIGH: 258},
    "gemini-3": {MediaResolution.LOW: 70, MediaResolution.MEDIUM: 70, MediaResolution.HIGH: 280},
}
# Families whose thinking can be switched off; the others spend part of the output on thoughts.
_NO_THOUGHTS: Final = ("gemini-2.0", "gemini-2.5-flash")
_DEAREST: Final = {
    MediaResolution.LOW: 70,
    MediaResolution.MEDIUM: 258,
    MediaResolution.HIGH: 280,
}
# "For Gemini models, a token is equivalent to about 4 characters" (the same page).
_CHARACTERS_A_TOKEN: Final = 4


def thinks(model: str) -> bool:
    """Return True if part of a model's output always goes to thoughts."""
    return not model.startswith(_NO_THOUGHTS)


class TokenUsage(Model):
    """Tokens of a call by price class; `text` is all of the prompt that is not sound.

    `cached` tokens are part of `text` and `audio`, and are counted at the same price: an estimate
    from above. `output` includes thinking.
    """

    text: NonNegativeInt = 0
    audio: NonNegativeInt = 0
    cached: NonNegativeInt = 0
    output: NonNegativeInt = 0

    @property
    def total(self) -> int:
        """All tokens, as the quota counts them."""
        return self.text + self.audio + self.output

    def plus(self, other: TokenUsage) -> TokenUsage:
        """Return the sum."""
        return TokenUsage(
            text=self.text + other.text,
            audio=self.audio + other.audio,
            cached=self.cached + other.cached,
            output=self.output + other.output,
        )


class ModelPrice(Model):
    """Dollars for a million tokens: of text and pictures, of sound, and of output."""

    text: NonNegativeFloat
    audio: NonNegativeFloat
    output: NonNegativeFloat

    def dollars(self, usage: TokenUsage) -> float:
        """Return what `usage` costs."""
        cost = usage.text * self.text + usage.audio * self.audio + usage.output * self.output
        return round(cost / _MILLION, 9)


def estimate(
    *,
    model: str,
    seconds: float,
    fps: float,
    resolution: MediaResolution,
    prompt: str,
    output: int,
) -> TokenUsage:
    """Return what watching `seconds` at `fps` frames a second will take, rather too much."""
    family = next((known for known in _FRAME_TOKENS if model.startswith(known)), None)
    frame = (_FRAME_TOKENS[family] if family else _DEAREST)[resolution]
    return TokenUsage(
        text=round(seconds * fps * frame) + len(prompt) // _CHARACTERS_A_TOKEN,
        audio=round(seconds * AUDIO_TOKENS),
        output=output,
    )
