"""Text in pictures: styled as asked, and never commands."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from domain.exports.models import CaptionPlace, CaptionStyle
from domain.media.segments import Line
from infra.media.exports.subtitles import Subtitles


def style_of(style: CaptionStyle) -> list[str]:
    subtitles = Subtitles(1280, 720)
    subtitles.add_captions([Line(at=1.0, until=2.0, text="Goal")], style)
    line = next(each for each in subtitles.document().splitlines() if each.startswith("Style:"))
    return line.removeprefix("Style: ").split(",")


def test_captions_have_the_color_size_and_place_of_their_style() -> None:
    style = CaptionStyle(position=CaptionPlace.TOP, color="#FFE00a", scale=0.1, background=0.0)
    name, _, size, color, box, *_, alignment, _, _, _ = style_of(style)
    # ASS writes blue before red, and how transparent a color is.
    assert (name, size, color, box, alignment) == ("caption", "72", "&H000AE0FF", "&HFF000000", "8")


def test_captions_are_white_on_a_box_at_the_bottom_by_default() -> None:
    _, _, size, color, box, *_, alignment, _, _, _ = style_of(CaptionStyle())
    assert (size, color, box, alignment) == ("36", "&H00FFFFFF", "&H40000000", "2")


@pytest.mark.parametrize("color", ["red", "#FFF", "#FFFFFF,0", "#GGGGGG", "&H00FFFFFF"])
def test_a_color_is_six_hexadecimal_digits(color: str) -> None:
    with pytest.raises(ValidationError):
        CaptionStyle(color=color)
