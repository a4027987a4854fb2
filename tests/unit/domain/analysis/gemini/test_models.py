"""Models: their prices by date, their retirement, and the names under which they answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.analysis.gemini.pricing import (
    DEFAULT_MODEL,
    FALLBACK_PRICE,
    MODELS,
    ModelPrice,
    PriceTable,
    model_warning,
    same_model,
    serving_model,
)

TODAY = datetime(2026, 11, 29, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
PRICES = PriceTable()
OWN = ModelPrice(text=9.0, audio=9.0, output=9.0)


def test_the_default_model_is_current_and_priced() -> None:
    assert MODELS[DEFAULT_MODEL].retired is None
    assert PRICES.price(DEFAULT_MODEL, TODAY) == ModelPrice(text=0.30, audio=0.30, output=2.50)


@pytest.mark.parametrize(
    ("model", "at", "text", "output"),
    [
        ("gemini-3.8-flash", TODAY, 0.75, 3.75),
        ("gemini-3.8-flash", datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 0.75, 3.75),
        ("gemini-3.8-flash", NEXT_YEAR, 1.50, 7.50),
        ("gemini-3.5-flash", TODAY, 1.50, 9.00),
        ("gemini-2.5-flash", TODAY, 0.30, 2.50),
        ("gemini-2.5-flash", DECEMBER, 0.30, 2.50),
        ("gemini-2.5-pro", TODAY, 1.25, 10.00),
        ("gemini-2.5-pro", DECEMBER, 0.75, 3.75),
        ("gemini-2.5-pro", NEXT_YEAR, 1.50, 7.50),
        ("models/gemini-3.5-flash-lite", TODAY, 0.30, 2.50),
        ("gemini-3.5-flash-lite-001", TODAY, 0.30, 2.50),
        ("gemini-2.5-flash-preview-09-2025", TODAY, 0.30, 2.50),
    ],
)
def test_a_price_is_that_of_the_serving_model_on_its_date(
    model: str, at: datetime, text: float, output: float
) -> None:
    price = PRICES.price(model, at)
    assert (price.text, price.output) == (text, output)


@pytest.mark.parametrize(
    "model", ["gemini-3.6-flash", "gemini-3.7-flash", "gemini-3.8-flash", "gemini-3.5-flash"]
)
def test_every_current_model_has_a_price(model: str) -> None:
    assert PRICES.knows(model)


def test_sound_costs_more_on_the_old_family_until_it_is_retired() -> None:
    assert PRICES.price("gemini-2.5-flash", TODAY).audio == 1.00
    assert PRICES.price("gemini-2.5-flash", DECEMBER).audio == 0.30


@pytest.mark.parametrize(
    "model", ["gemini-next", "gemini-3.5-flash-image", "gemini-3.5-flash-lite-live", "other", ""]
)
def test_an_unknown_model_is_priced_high(model: str) -> None:
    assert not PRICES.knows(model)
    assert PRICES.price(model, TODAY) == FALLBACK_PRICE
    dearest = max(each.price.output for known in MODELS.values() for each in known.prices)
    assert FALLBACK_PRICE.output >= dearest


@pytest.mark.parametrize("model", ["gemini-next", "gemini-3.8-flash", "gemini-2.5-pro"])
def test_an_operators_price_stands_above_all(model: str) -> None:
    own = PriceTable(overrides={model: OWN})
    assert own.price(model, NEXT_YEAR) == OWN
    assert own.price(f"models/{model}-001", TODAY) == OWN
    assert own.price(DEFAULT_MODEL, TODAY) == PRICES.price(DEFAULT_MODEL, TODAY)


def test_an_operators_guess_for_unknown_models_is_taken() -> None:
    assert PriceTable(fallback=OWN).price("gemini-next", TODAY) == OWN


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        (DEFAULT_MODEL, DEFAULT_MODEL, True),
        (DEFAULT_MODEL, f"models/{DEFAULT_MODEL}", True),
        (DEFAULT_MODEL, f"{DEFAULT_MODEL}-001", True),
        (f"{DEFAULT_MODEL}-001", DEFAULT_MODEL, True),
        ("gemini-flash-latest", "gemini-3.8-flash", True),
        (DEFAULT_MODEL, "", True),
        ("gemini-2.5-flash", DEFAULT_MODEL, False),
        ("gemini-3.5-flash", DEFAULT_MODEL, False),
        (DEFAULT_MODEL, "gemini-3.5-flash", False),
    ],
)
def test_another_model_is_distinguished_from_another_version(
    asked: str, answered: str, same: bool
) -> None:
    assert same_model(asked, answered) is same


def test_a_retired_model_is_served_by_its_successor() -> None:
    assert serving_model("gemini-2.5-pro", TODAY) == "gemini-2.5-pro"
    assert serving_model("gemini-2.5-pro", DECEMBER) == "gemini-3.8-flash"


@pytest.mark.parametrize(
    ("model", "listed", "at", "words"),
    [
        ("gemini-2.5-flash", None, TODAY, "will be retired on 2026-12-01; gemini-3.5-flash-lite"),
        ("gemini-2.5-flash", ["gemini-2.5-flash"], DECEMBER, "was retired on 2026-12-01"),
        (DEFAULT_MODEL, ["gemini-3.8-flash"], TODAY, "does not offer the model gemini-3.5"),
        ("gemini-next", ["gemini-next"], TODAY, "price of gemini-next is not known"),
        ("gemini-next", None, TODAY, "price of gemini-next is not known"),
    ],
)
def test_an_operator_is_warned_of_a_model(
    model: str, listed: list[str] | None, at: datetime, words: str
) -> None:
    names = None if listed is None else frozenset(listed)
    assert words in (model_warning(model, listed=names, at=at, prices=PRICES) or "")


@pytest.mark.parametrize("listed", [None, [DEFAULT_MODEL], [f"models/{DEFAULT_MODEL}-001"]])
def test_of_a_current_model_nothing_is_said(listed: list[str] | None) -> None:
    names = None if listed is None else frozenset(listed)
    assert model_warning(DEFAULT_MODEL, listed=names, at=TODAY, prices=PRICES) is None
