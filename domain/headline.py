"""What a highlight is called when nobody has given it a title.

Only Gemini writes titles. Without it a highlight is named after what is known for certain: the
game, the time, and either a tag that names a kind of moment or the signals that carried it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from domain.local_scoring import SIGNAL_TAGS
from domain.timestamps import format_timestamp

_NO_GAME: Final = "default"
_MOST: Final = 2


def headline(title: str, *, game: str, tags: Collection[str], peak: float) -> str:
    """Return a title to show.

    Args:
        title: the highlight's own, which comes first; empty when it has none.
        game: id of the profile's game, such as `soccer`.
        tags: the highlight's tags, the most telling first.
        peak: seconds of media time.
    """
    if title:
        return title
    # One highlight with a damaged time does not keep a page of others from being shown.
    at = f" at {format_timestamp(peak)}" if math.isfinite(peak) else ""
    kinds = [_words(tag) for tag in tags if tag not in SIGNAL_TAGS]
    if kinds:
        return f"{_capitalized(kinds[0])}{at}"
    moment = "Highlight" if game in {"", _NO_GAME} else f"{_capitalized(_words(game))} highlight"
    signals = [_words(tag) for tag in tags if tag in SIGNAL_TAGS][:_MOST]
    return f"{moment}{at}" + (f": {', '.join(signals)}" if signals else "")


def _words(slug: str) -> str:
    return slug.replace("_", " ").strip()


def _capitalized(words: str) -> str:
    return words[:1].upper() + words[1:]
