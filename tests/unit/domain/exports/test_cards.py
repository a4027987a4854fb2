"""Cards: which pictures they take, whose end card is shown, and how they move the source."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import ValidationError

from domain.exports.cards import NO_CARDS, Card, Cards, EndCard, PictureKind

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff" + b"x").decode()
LARGEST = 65_536


@pytest.mark.parametrize(
    ("image", "kind"), [(PNG, PictureKind.PNG), (JPEG, PictureKind.JPEG)], ids=["png", "jpeg"]
)
def test_a_picture_is_known_by_its_first_bytes(image: str, kind: PictureKind) -> None:
    assert Card(image=image).kind is kind


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"image": "%%%"}, "not base64"),
        ({"image": base64.b64encode(b"GIF89a").decode()}, "neither PNG nor JPEG"),
        ({"image": base64.b64encode(b"\xff\xd8\xff" + bytes(LARGEST)).decode()}, "image"),
        ({"image": PNG, "seconds": 0.4}, "seconds"),
        ({"image": PNG, "seconds": 10.1}, "seconds"),
        ({"image": PNG, "background": "0x000000"}, "background"),
    ],
)
def test_what_cannot_be_shown_is_refused(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Card.model_validate(asked)


def test_the_largest_picture_is_accepted() -> None:
    data = b"\xff\xd8\xff".ljust(LARGEST, b"x")
    assert Card(image=base64.b64encode(data).decode()).data == data


def test_a_territory_has_its_own_end_card_or_the_default_one() -> None:
    german, default = Card(image=PNG), Card(image=JPEG)
    both = EndCard(default=default, territories={"DE": german})
    assert [both.card_in(code) for code in ("DE", "FR", None)] == [german, default, default]
    assert EndCard(territories={"DE": german}).card_in("FR") is None


@pytest.mark.parametrize(
    ("territories", "reason"),
    [
        ({}, "default, territories, or both"),
        ({"UK": {"image": PNG}}, "the United Kingdom is GB"),
        ({"XX": {"image": PNG}}, "ISO 3166-1"),
        ({"D ": {"image": PNG}}, "ISO 3166-1"),
        ({"de": {"image": PNG}}, "ISO 3166-1"),
    ],
)
def test_an_end_card_names_territories_that_exist(territories: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        EndCard.model_validate({"territories": territories})


def test_a_source_begins_after_the_cards_before_it() -> None:
    cards = Cards(before=(Card(image=PNG, seconds=2.0),), after=(Card(image=JPEG, seconds=1.5),))
    assert (cards.lead, cards.seconds, bool(cards)) == (2.0, 3.5, True)
    assert (NO_CARDS.lead, NO_CARDS.seconds, bool(NO_CARDS)) == (0.0, 0.0, False)
