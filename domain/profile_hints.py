"""How to watch a game: words for models, trust in signals."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, NonNegativeFloat, PositiveFloat

from domain.model import Model
from domain.profile_moment import Words


class MediaResolution(StrEnum):
    """How closely a vision model should look; `high` where the screen's small print matters."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class PromptVocabulary(Model):
    """What a vision or language model is told about the game.

    Attributes:
        subject: one or two sentences: what is being watched.
        look_for: what counts, most telling first.
        ignore: what must not be taken for a highlight.
        terms: words of the game, and what they mean.
    """

    subject: Words = "A live broadcast."
    look_for: tuple[Words, ...] = ()
    ignore: tuple[Words, ...] = ()
    terms: dict[str, Words] = Field(default_factory=dict)


class SignalTrust(Model):
    """How far each local signal speaks for a moment in this game; 1 is neutral, 0 is ignored."""

    loudness: float = Field(default=1.0, ge=0.0, le=2.0)
    onset: float = Field(default=1.0, ge=0.0, le=2.0)
    scene_change: float = Field(default=1.0, ge=0.0, le=2.0)
    motion: float = Field(default=1.0, ge=0.0, le=2.0)
    timed_metadata: float = Field(default=1.0, ge=0.0, le=2.0)


class AnalyzerHints(Model):
    """How to watch this game.

    Attributes:
        reaction_delay: seconds by which crowd and commentary follow the event.
        signals: trust in each local signal.
        frames_per_second: frames a vision model should see, in (0, 24].
        media_resolution: how closely it should look.
    """

    reaction_delay: NonNegativeFloat = Field(default=1.0, le=10.0)
    signals: SignalTrust = SignalTrust()
    frames_per_second: PositiveFloat = Field(default=1.0, le=24.0)
    media_resolution: MediaResolution = MediaResolution.LOW
