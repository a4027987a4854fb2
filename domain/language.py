"""Languages whose word forms the search knows."""

from __future__ import annotations

from enum import StrEnum


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
