"""Attributes, variables and scalar values of HLS tags (RFC 8216bis, 4.2 and 4.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from domain.ingest.playlist import ByteRange, Resource
from domain.text import clean_text

SEQUENCE_MODULUS: Final = 2**53
"""Numbers from playlists are kept below this: exact in JSON, and no database refuses them."""


LONGEST_NAME: Final = 256
"""Characters kept of names and ids."""


LONGEST_URL: Final = 8192
"""Characters of a URL."""


_LARGEST_PICTURE: Final = 1 << 16


_MOST_VARIABLES: Final = 256


_LONGEST_VALUE: Final = 4096


_LARGEST_EXPANSION: Final = 16 << 20


_REFERENCE: Final = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")


_VARIABLE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


_LONGEST_SCALAR: Final = 64


_INTEGER: Final = re.compile(r"\+?([0-9]{1,40})(?:\.0*)?")


_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


_HEXADECIMAL: Final = re.compile(r"0[xX]([0-9A-Fa-f]{1,32})")


_YEARS: Final = range(1970, 2200)


class UndefinedVariableError(Exception):
    """A line refers to a variable that the playlist does not define."""


class Attributes:
    """The attribute list of one tag; names in upper case, quotes removed.

    Reading is linear in the length of the list, whatever it holds.
    """

    def __init__(self, text: str, variables: Variables) -> None:
        self._values: dict[str, str] = {}
        position = 0
        while (equals := text.find("=", position)) >= 0:
            name = text[position:equals].rpartition(",")[2].strip().upper()
            begin = equals + 1
            while begin < len(text) and text[begin] in " \t":
                begin += 1
            if text.startswith('"', begin):
                end = text.find('"', begin + 1)
                end = len(text) if end < 0 else end
                value = variables.expand(text[begin + 1 : end])
                position = end + 1
            else:
                end = text.find(",", begin)
                end = len(text) if end < 0 else end
                value = text[begin:end].strip()
                value = variables.expand(value)
                position = end
            self._values.setdefault(name, value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, limit: int = LONGEST_NAME) -> str:
        """Return an attribute's text; empty where it is missing."""
        return clean_text(self._values.get(name, ""), limit)

    def whole(self, name: str) -> str | None:
        """Return an attribute's text as it stands, None where it is missing or empty."""
        return self._values.get(name) or None

    def is_yes(self, name: str) -> bool:
        """Return True if an enumerated attribute says YES."""
        return self._values.get(name) == "YES"

    def integer(self, name: str) -> int | None:
        """Return a decimal integer; None where it is missing or unreadable."""
        return read_integer(self._values.get(name, ""))

    def number(self, name: str) -> float | None:
        """Return a decimal number that is not negative; None where missing or unreadable."""
        value = read_number(self._values.get(name, ""))
        return value if value is not None and value >= 0 else None


class Variables:
    """The variables of one playlist (EXT-X-DEFINE).

    What all references of a playlist expand to is bounded, since variables may be built from
    variables.

    Args:
        imported: what the master playlist defines.
        url: where the playlist came from, for QUERYPARAM.
        requested_url: where it was asked for, should a redirect have dropped the parameter.
    """

    def __init__(
        self, *, imported: Mapping[str, str], url: str, requested_url: str | None = None
    ) -> None:
        self._imported = imported
        self._urls = (url, requested_url or url)
        self._values: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._expanded = 0

    @property
    def values(self) -> Mapping[str, str]:
        """What is defined so far."""
        return self._values

    def define(self, text: str) -> bool:
        """Take in an EXT-X-DEFINE; return True if it was understood."""
        attributes = Attributes(text, self)
        for kind in ("NAME", "IMPORT", "QUERYPARAM"):
            name = attributes.whole(kind)
            if name is None:
                continue
            if not _VARIABLE_NAME.fullmatch(name) or len(self._values) >= _MOST_VARIABLES:
                return False
            value = self._value(kind, name, attributes)
            if value is not None:
                self._values.setdefault(name, clean_text(value, _LONGEST_VALUE))
            return value is not None
        return False

    def expand(self, text: str) -> str:
        """Return `text` with the values of the variables that it refers to.

        Raises:
            UndefinedVariableError: it refers to a variable that is not defined.
        """
        return _REFERENCE.sub(self._substitute, text) if "{$" in text else text

    def _value(self, kind: str, name: str, attributes: Attributes) -> str | None:
        if kind == "NAME":
            return attributes.text("VALUE", _LONGEST_VALUE) if "VALUE" in attributes else None
        if kind == "IMPORT":
            self._missing[name] = "which the master playlist does not define"
            return self._imported.get(name)
        self._missing[name] = "for which the playlist's URL has no query parameter"
        return next((found for url in self._urls if (found := _parameter(url, name))), None)

    def _substitute(self, match: re.Match[str]) -> str:
        name = match[1]
        value = self._values.get(name)
        if value is None:
            why = self._missing.get(name, "which it does not define (EXT-X-DEFINE)")
            raise UndefinedVariableError(
                f"the playlist uses the variable {clean_text(name, 64)}, {why}"
            )
        self._expanded += len(value)
        if self._expanded > _LARGEST_EXPANSION:
            raise UndefinedVariableError(
                f"the variables of the playlist expand to more than {_LARGEST_EXPANSION >> 20} MiB"
            )
        return value


def read_integer(text: str) -> int | None:
    """Return a decimal integer modulo 2**53, so that large numbers still count up."""
    match = _INTEGER.fullmatch(text.strip())
    return int(match[1]) % SEQUENCE_MODULUS if match else None


def read_number(text: str) -> float | None:
    """Return a finite decimal number, negative ones included."""
    text = text.strip()
    if len(text) > _LONGEST_SCALAR or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def read_date(text: str) -> datetime | None:
    """Return an ISO 8601 date and time in UTC; one without a zone counts as UTC."""
    text = text.strip()
    if len(text) > _LONGEST_SCALAR:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_hexadecimal(text: str) -> bytes | None:
    """Return a hexadecimal sequence of at most 128 bits as 16 bytes."""
    match = _HEXADECIMAL.fullmatch(text.strip())
    return int(match[1], 16).to_bytes(16, "big") if match else None


def _parameter(url: str, name: str) -> str | None:
    try:
        found = dict(reversed(parse_qsl(urlsplit(url).query)))
    except ValueError:
        return None
    return found.get(name) or None


def read_resolution(text: str) -> tuple[int | None, int | None]:
    """Return width and height in pixels; None where they are missing or out of bounds."""
    width, _, height = (read_integer(each) for each in text.lower().partition("x"))
    if not width or not height or max(width, height) > _LARGEST_PICTURE:
        return None, None
    return width, height


def read_byte_range(text: str, following: int | None) -> ByteRange | None:
    """Return a byte range; without an offset it begins at `following`, or at 0."""
    length_text, _, offset_text = text.partition("@")
    length = read_integer(length_text)
    offset = read_integer(offset_text) if offset_text.strip() else following or 0
    if not length or offset is None:
        return None
    return ByteRange(offset=offset, length=length)


def following_offset(previous: Resource | None, url: str) -> int:
    """Return where a byte range without an offset begins, after the one before it."""
    if previous is None or previous.url != url or previous.byte_range is None:
        return 0
    return previous.byte_range.offset + previous.byte_range.length


def resolve_uri(base: str, uri: str) -> tuple[str | None, str]:
    """Return an absolute URL, None if there is none, and what is wrong with it."""
    if len(uri) > LONGEST_URL:
        return None, f"its URL is longer than {LONGEST_URL} characters"
    try:
        url = urljoin(base, clean_text(uri, LONGEST_URL))
        urlsplit(url).port  # noqa: B018 raises where the port is no number
    except ValueError:
        return None, "its URL is malformed"
    return url, ""
