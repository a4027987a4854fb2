"""Text as the database can store it, text fields of requests, and languages."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

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


MOST_LANGUAGES: Final = 8
"""Languages in which a highlight has titles, at most."""


_LANGUAGE_TAG: Final = r"^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$"


def _canonical_tag(tag: str) -> str:
    """Return a language tag in its usual case: `pt-BR`, `zh-Hant-TW` (RFC 5646, 2.1.1)."""
    if re.fullmatch(_LANGUAGE_TAG, tag) is None:
        raise PydanticCustomError(
            "language_tag", "must be a language tag (BCP 47), such as `en`, `pt-BR` or `zh-Hant`"
        )
    language, *subtags = tag.split("-")
    cased = (each.title() if len(each) == len("Hant") else each.upper() for each in subtags)
    return "-".join((language.lower(), *cased))


LanguageTag = Annotated[
    str,
    AfterValidator(_canonical_tag),
    WithJsonSchema({"type": "string", "pattern": _LANGUAGE_TAG}),
]
"""A language by BCP 47: language, and script and region where they matter."""


def _distinct_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


def as_tuple(value: object) -> object:
    """Return a list as a tuple: strict validation of a request takes no list for one."""
    return tuple(value) if isinstance(value, list) else value


def as_instant(value: object) -> object:
    """Return text as a time: strict validation of a request takes no text for one."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(
            "must be an ISO 8601 date and time with a zone, such as 2026-05-02T19:00:00Z"
        ) from None


LanguageTags = Annotated[
    tuple[LanguageTag, ...],
    Field(max_length=MOST_LANGUAGES),
    BeforeValidator(as_tuple),
    AfterValidator(_distinct_tags),
]


def primary_language(tag: str) -> str:
    """Return the language of a tag without script and region: `pt` of `pt-BR`."""
    return tag.partition("-")[0]


_UNSPACED: Final = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"


def spaced_characters(text: str) -> str:
    """Return text with spaces around each Chinese and Japanese character.

    Words of these languages have no spaces between them, so search finds them by character. The
    database does the same with titles (`titles_document`, migration 0027).
    """
    return re.sub(f"({_UNSPACED})", r" \1 ", text)


def joined_characters(text: str) -> str:
    """Return text without spaces between Chinese and Japanese characters."""
    return re.sub(f"(?<={_UNSPACED}) +(?={_UNSPACED})", "", text)


_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


# At least one visible character.
_NOT_BLANK = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NOT_BLANK)]


Title = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)]


Url = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]+$")]
