"""Gemini models: choice, token usage, prices with dates of validity, and retirement.

Sources: ai.google.dev/gemini-api/docs/pricing, …/models and …/deprecations, read in autumn 2026.
Operators override prices with HIGHLIGHTS_GEMINI_PRICES, so that no release is needed for a change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from domain.model import Model
from domain.profiles.model import MediaResolution


class GeminiModelChoice(Model):
    """Model settings of a game; None for the general setting. `temperature` is in [0, 2]."""

    model: str | None = None
    temperature: NonNegativeFloat | None = Field(default=None, le=2.0)
    language: str | None = Field(default=None, max_length=40)


AUDIO_TOKENS: Final = 32
"""Tokens per second of audio (Gemini API, "Understand and count tokens")."""


_MILLION: Final = 1_000_000


# Tokens per frame by family and resolution; unknown families count as the most expensive.
_FRAME_TOKENS: Final = {
    "gemini-2": {MediaResolution.LOW: 66, MediaResolution.MEDIUM: 258, MediaResolution.HIGH: 258},
    "gemini-3": {MediaResolution.LOW: 70, MediaResolution.MEDIUM: 70, MediaResolution.HIGH: 280},
}


# Families whose thinking can be disabled; others spend part of the output on thoughts.
_NO_THOUGHTS: Final = ("gemini-2.0", "gemini-2.5-flash")


_DEAREST: Final = {
    MediaResolution.LOW: 70,
    MediaResolution.MEDIUM: 258,
    MediaResolution.HIGH: 280,
}


# "For Gemini models, a token is equivalent to about 4 characters" (the same page).
_CHARACTERS_A_TOKEN: Final = 4


def thinks(model: str) -> bool:
    """Return True if a model always spends part of its output on thoughts."""
    return not model.startswith(_NO_THOUGHTS)


class TokenUsage(Model):
    """Tokens of a call by price class.

    `text` is the prompt without audio, video included. `cached` tokens are part of `text` and
    `audio` and count at the same price, an upper bound. `output` includes thinking.
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
    """Dollars per million tokens of text and video, of audio, and of output."""

    text: NonNegativeFloat
    audio: NonNegativeFloat
    output: NonNegativeFloat

    def dollars(self, usage: TokenUsage) -> float:
        """Return the price of `usage` in dollars."""
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
    """Return an upper estimate of the tokens of `seconds` of video at `fps` frames per second."""
    family = next((known for known in _FRAME_TOKENS if model.startswith(known)), None)
    frame = (_FRAME_TOKENS[family] if family else _DEAREST)[resolution]
    return TokenUsage(
        text=round(seconds * fps * frame) + len(prompt) // _CHARACTERS_A_TOKEN,
        audio=round(seconds * AUDIO_TOKENS),
        output=output,
    )


DEFAULT_MODEL: Final = "gemini-3.5-flash-lite"


FALLBACK_PRICE: Final = ModelPrice(text=2.0, audio=2.0, output=12.0)
"""Assumed price of an unknown model: that of gemini-3.1-pro-preview, above every Flash model."""


_ALWAYS: Final = datetime(2020, 1, 1, tzinfo=UTC)


# What the API appends to a model's name: a version, a date, a stage.
_SUFFIX: Final = re.compile(
    r"-(?:\d{3}|latest|(?:preview|exp)(?:-[\d-]+)?|\d{2}-\d{4}|\d{4}-\d{2}-\d{2})"
)


class DatedPrice(Model):
    """A price and the instant from which it holds."""

    since: datetime = _ALWAYS
    price: ModelPrice


class KnownModel(Model):
    """A model whose price is known.

    Attributes:
        prices: oldest first.
        retired: when the service stops serving it; None while no date is announced.
        successor: the model that answers from then on, at its own price.
    """

    prices: tuple[DatedPrice, ...]
    retired: datetime | None = None
    successor: str | None = None


def _flat(text: float, output: float, *, audio: float | None = None) -> tuple[DatedPrice, ...]:
    price = ModelPrice(text=text, audio=text if audio is None else audio, output=output)
    return (DatedPrice(price=price),)


_NEW_YEAR: Final = datetime(2027, 1, 1, tzinfo=UTC)


_RETIREMENT: Final = datetime(2026, 12, 1, tzinfo=UTC)


_LAUNCH_PRICE: Final = (
    *_flat(0.75, 3.75),
    DatedPrice(since=_NEW_YEAR, price=ModelPrice(text=1.50, audio=1.50, output=7.50)),
)


MODELS: Final[Mapping[str, KnownModel]] = {
    "gemini-3.5-flash-lite": KnownModel(prices=_flat(0.30, 2.50)),
    "gemini-3.5-flash": KnownModel(prices=_flat(1.50, 9.00)),
    # Its own launch price is not confirmed: the standard price is an upper bound.
    "gemini-3.6-flash": KnownModel(prices=_flat(1.50, 7.50)),
    "gemini-3.7-flash": KnownModel(prices=_LAUNCH_PRICE),
    "gemini-3.8-flash": KnownModel(prices=_LAUNCH_PRICE),
    "gemini-3-flash-preview": KnownModel(prices=_flat(0.50, 3.00, audio=1.00)),
    "gemini-3.1-pro-preview": KnownModel(prices=_flat(2.00, 12.00)),
    "gemini-2.5-flash": KnownModel(
        prices=_flat(0.30, 2.50, audio=1.00),
        retired=_RETIREMENT,
        successor="gemini-3.5-flash-lite",
    ),
    "gemini-2.5-pro": KnownModel(
        prices=_flat(1.25, 10.00), retired=_RETIREMENT, successor="gemini-3.8-flash"
    ),
}


class PriceTable(Model):
    """Prices by model and date.

    Attributes:
        overrides: prices set by the operator; they hold at any time.
        fallback: assumed for a model that neither the operator nor this release knows.
    """

    overrides: dict[str, ModelPrice] = Field(default_factory=dict)
    fallback: ModelPrice = FALLBACK_PRICE

    def price(self, model: str, at: datetime) -> ModelPrice:
        """Return the price of tokens that `model` takes at a time.

        A retired model costs what its successor costs. For a name that the API reported
        (`modelVersion`), a version or stage at its end is ignored.
        """
        name = bare_name(model)
        override = self._override(name)
        if override is not None:
            return override
        known = find_model(name)
        if known is None:
            return self.fallback
        if known.retired is not None and at >= known.retired and known.successor is not None:
            return self.price(known.successor, at)
        current = known.prices[0]
        for dated in known.prices:
            if dated.since <= at:
                current = dated
        return current.price

    def knows(self, model: str) -> bool:
        """Return True if the price of a model is not a guess."""
        name = bare_name(model)
        return self._override(name) is not None or find_model(name) is not None

    def _override(self, name: str) -> ModelPrice | None:
        key = name if name in self.overrides else _canonical(name, self.overrides)
        return None if key is None else self.overrides[key]


def bare_name(model: str) -> str:
    """Return a model's name without the `models/` that the API puts before it."""
    return model.strip().removeprefix("models/")


def find_model(model: str) -> KnownModel | None:
    """Return what is known of a model, whose name may end in a version or stage."""
    key = _canonical(bare_name(model), MODELS)
    return None if key is None else MODELS[key]


def same_model(asked: str, answered: str) -> bool:
    """Return True if `answered` is the requested model, or a version or stage of it.

    `…-latest` is an alias whose purpose is to be answered by another model.
    """
    asked, answered = bare_name(asked), bare_name(answered)
    if not answered or asked.endswith("-latest"):
        return True
    return asked == answered or _versions(asked, answered) or _versions(answered, asked)


def serving_model(asked: str, at: datetime) -> str:
    """Return the model that serves requests for `asked` at a time, as far as is known."""
    known = find_model(asked)
    if known is not None and known.successor and known.retired and at >= known.retired:
        return serving_model(known.successor, at)
    return bare_name(asked)


def model_warning(
    asked: str, *, listed: frozenset[str] | None, at: datetime, prices: PriceTable
) -> str | None:
    """Return what an operator should know of a configured model; None if all is well.

    Args:
        asked: its name in the settings.
        listed: the models that the service offers to the key; None if it could not be asked.
        at: now.
        prices: known prices, to check whether it has one.
    """
    known = find_model(asked)
    if known is not None and known.retired is not None and known.successor is not None:
        date = f"{known.retired:%Y-%m-%d}"
        verb = "was retired" if at >= known.retired else "will be retired"
        return (
            f"The model {asked} {verb} on {date}; {known.successor} answers from then on, "
            f"at its own price. Set HIGHLIGHTS_GEMINI_MODEL to {known.successor}."
        )
    if listed is not None and not any(_serves(asked, name) for name in listed):
        return (
            f"Gemini does not offer the model {asked} to this key. Set HIGHLIGHTS_GEMINI_MODEL "
            f"to another one, such as {DEFAULT_MODEL}."
        )
    if not prices.knows(asked):
        fallback = prices.fallback
        return (
            f"The price of {asked} is not known: ${fallback.text:g} per million input tokens and "
            f"${fallback.output:g} per million output tokens are assumed. "
            "Set its price in HIGHLIGHTS_GEMINI_PRICES."
        )
    return None


def is_unavailable(asked: str, listed: frozenset[str]) -> bool:
    """Return True if the service offers a key no model of that name."""
    return not any(_serves(asked, name) for name in listed)


def _serves(asked: str, listed: str) -> bool:
    asked, listed = bare_name(asked), bare_name(listed)
    return asked == listed or _versions(asked, listed)


def _versions(name: str, longer: str) -> bool:
    return longer.startswith(name) and _SUFFIX.fullmatch(longer[len(name) :]) is not None


def _canonical(name: str, table: Mapping[str, object]) -> str | None:
    """Return the longest key of a table that `name` is, or is a version of."""
    found = [key for key in table if key == name or _versions(key, name)]
    return max(found, key=len, default=None)
