"""A model's words, made fit to be shown: one line of plain text of a bounded length."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ADDRESS: Final = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<[^>]*>|[<>`{}|\\]")
_ELLIPSIS: Final = "…"


def plain(value: object, *, longest: int) -> str:
    """Return `value` as one line without markup, addresses or control characters.

    Anything but text gives nothing; longer text is cut at a word and says so.
    """
    if not isinstance(value, str):
        return ""
    text = unicodedata.normalize("NFC", value)
    text = _MARKUP.sub(" ", _ADDRESS.sub(" ", text))
    text = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text)
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    whole = text[: longest - 1].rpartition(" ")[0] or text[: longest - 1]
    return whole + _ELLIPSIS
