"""Text as the database can store it, text fields of requests, and languages."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import StringConstraints

REPLACEMENT: Final = "\ufffd"


_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def is_storable(value: str) -> bool:
    """Return True if the text encodes to UTF-8 and contains no NUL."""
    return _UNSTORABLE.search(value) is None


def clean_text(value: str, limit: int) -> str:
    """Return text of at most `limit` characters that encodes to UTF-8 and contains no NUL.

    A surrogate pair that was decoded separately becomes its character; an unpaired surrogate
    becomes U+FFFD, and NUL is removed.
    """
    if not is_storable(value):
        value = value.replace("\x00", "")
        value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value[:limit]


def one_line(text: str) -> str:
    """Return text without line breaks, other controls or repeated spaces."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


class Language(StrEnum):
    """ISO 639-1 codes of the languages that stock PostgreSQL (14 and later) can stem.

    The names are those of its text search configurations (PostgreSQL manual, 12.7); in other
    languages words are found as they are written.
    """

    ARABIC = "ar"
    ARMENIAN = "hy"
    BASQUE = "eu"
    CATALAN = "ca"
    DANISH = "da"
    DUTCH = "nl"
    ENGLISH = "en"
    FINNISH = "fi"
    FRENCH = "fr"
    GERMAN = "de"
    GREEK = "el"
    HINDI = "hi"
    HUNGARIAN = "hu"
    INDONESIAN = "id"
    IRISH = "ga"
    ITALIAN = "it"
    LITHUANIAN = "lt"
    NEPALI = "ne"
    NORWEGIAN = "no"
    PORTUGUESE = "pt"
    ROMANIAN = "ro"
    RUSSIAN = "ru"
    SERBIAN = "sr"
    SPANISH = "es"
    SWEDISH = "sv"
    TAMIL = "ta"
    TURKISH = "tr"
    YIDDISH = "yi"

    @property
    def configuration(self) -> str:
        """PostgreSQL's text search configuration."""
        return self.name.lower()


_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


# At least one visible character.
_NOT_BLANK = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NOT_BLANK)]


Title = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)]


Url = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]+$")]
