r"""Untrusted text: validation, cleaning, and languages with full-text search.

Decoders are more lenient than encoders. JSON's `"\ud800"` (half of a surrogate pair) decodes to a
string that UTF-8 cannot encode, and PostgreSQL does not accept NUL in text. Such text would fail
long after it was received, on every attempt; so it is rejected or cleaned on input.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

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
