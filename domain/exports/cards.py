"""Cards: pictures that a movie shows before and after its source, for some seconds in silence."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from domain.model import Model

MOST_TERRITORIES: Final = 16
"""Territories with an end card that differs from the default one."""

_LONGEST_IMAGE: Final = 87_384
"""Characters of base64, which are 64 KiB."""

# ISO 3166-1 alpha-2, and XK, which is reserved for users and everywhere means Kosovo.
_TERRITORIES: Final = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
    EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
    HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
    LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
    NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""


def _check_territory(code: str) -> str:
    if code not in _TERRITORIES.split():
        hint = "; the United Kingdom is GB" if code.upper() == "UK" else ""
        raise ValueError(f"territories are codes of ISO 3166-1 alpha-2, such as DE{hint}")
    return code


Territory = Annotated[str, Field(min_length=2, max_length=2), AfterValidator(_check_territory)]


class PictureKind(StrEnum):
    """Formats of a card's picture."""

    PNG = "png"
    JPEG = "jpeg"


_SIGNATURES: Final = {
    PictureKind.PNG: b"\x89PNG\r\n\x1a\n",
    PictureKind.JPEG: b"\xff\xd8\xff",
}


def _check_image(image: str) -> str:
    try:
        data = base64.b64decode(image, validate=True)
    except binascii.Error as error:
        raise ValueError("the image is not base64: send a PNG or JPEG in base64") from error
    if not data.startswith(tuple(_SIGNATURES.values())):
        raise ValueError("the image is neither PNG nor JPEG")
    return image


class Card(Model):
    """A picture shown for some seconds in silence, as large as it fits.

    Attributes:
        image: PNG or JPEG, in base64.
        seconds: for which it is shown.
        background: color around it and behind its transparent parts, as `#RRGGBB`.
    """

    image: Annotated[
        str, Field(min_length=1, max_length=_LONGEST_IMAGE), AfterValidator(_check_image)
    ]
    seconds: Annotated[float, Field(ge=0.5, le=10.0)] = 3.0
    background: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#000000"

    @property
    def data(self) -> bytes:
        """The picture's file."""
        return base64.b64decode(self.image)

    @property
    def kind(self) -> PictureKind:
        """The format of the picture, by its first bytes."""
        data = self.data
        return next(kind for kind, begin in _SIGNATURES.items() if data.startswith(begin))


class EndCard(Model):
    """The last card, by the territory that an export is for.

    Attributes:
        default: for territories that are not named, and for exports without one.
        territories: by ISO 3166-1 alpha-2 code.
    """

    default: Card | None = None
    territories: Annotated[Mapping[Territory, Card], Field(max_length=MOST_TERRITORIES)] = {}

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if self.default is None and not self.territories:
            raise ValueError("give default, territories, or both")
        return self

    def card_in(self, territory: str | None) -> Card | None:
        """Return the card of a territory; None if it has none and there is no default."""
        found = None if territory is None else self.territories.get(territory)
        return found or self.default


class Cards(Model):
    """The cards of a movie, in order."""

    before: tuple[Card, ...] = ()
    after: tuple[Card, ...] = ()

    def __bool__(self) -> bool:
        """Return True if there is any."""
        return bool(self.before or self.after)

    @property
    def lead(self) -> float:
        """Seconds of the movie after which the source begins."""
        return sum(card.seconds for card in self.before)

    @property
    def seconds(self) -> float:
        """Seconds by which the movie is longer than its source."""
        return self.lead + sum(card.seconds for card in self.after)


NO_CARDS: Final = Cards()
