"""Parser of HLS playlists, line by line (RFC 8216bis).

Live playlists hold tags of newer protocol versions, vendor tags and mistakes. Lines that cannot be
parsed are dropped and counted; a segment needs only EXTINF and a URI, and a variant only
EXT-X-STREAM-INF and a URI. Parsing is linear in the length of the text.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from domain.highlights.markers import LONGEST_PAYLOAD
from domain.ingest.playlist import (
    LONGEST_SEGMENT,
    ByteRange,
    DateRange,
    ListedSegment,
    MasterPlaylist,
    MediaPlaylist,
    Rendition,
    Resource,
    SegmentKey,
    Variant,
)
from domain.text import clean_text

SEQUENCE_MODULUS: Final = 2**53
"""Numbers from playlists are kept below this: exact in JSON, and no database refuses them."""


LONGEST_NAME: Final = 256
"""Characters kept of names and ids."""


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


_DEFAULT_TARGET_DURATION: Final = 2.0


_LONGEST_LINE: Final = 1 << 16


_LONGEST_URL: Final = 8192


_LARGEST_PICTURE: Final = 1 << 16


_MOST_SKIPPED: Final = 1 << 20


_MOST_DATE_RANGES: Final = 2048


_PAYLOAD_ATTRIBUTE: Final = "X-100MSLIVE-PAYLOAD"


_VIDEO_CODECS: Final = ("avc", "hvc", "hev", "av01", "vp0", "vp8", "vp9", "dvh", "mp4v")


_NO_VARIABLES: Final[Mapping[str, str]] = {}


class NotAPlaylistError(Exception):
    """The text is no HLS playlist, or none that can be followed; the message says why."""


class MissingVariableError(NotAPlaylistError):
    """The playlist uses a variable that neither it nor the known part of its master defines."""


def parse_playlist(
    text: str,
    *,
    url: str,
    requested_url: str | None = None,
    variables: Mapping[str, str] = _NO_VARIABLES,
    since: int | None = None,
) -> MasterPlaylist | MediaPlaylist:
    """Parse a playlist.

    Args:
        text: the playlist.
        url: where it came from, redirects included; relative URIs are resolved against it.
        requested_url: where it was asked for, if that differs.
        variables: what the master playlist defines (EXT-X-DEFINE).
        since: media sequence of the first segment that matters. Where the list reaches it, what
            lies before it is left out, so that a window of hours costs little on each reload.

    Raises:
        NotAPlaylistError: it is something else.
        MissingVariableError: it uses a variable that nothing defines.
    """
    lines = text.replace("\x00", "").removeprefix("\ufeff").replace("\r", "\n").split("\n")
    if not _begins_as_playlist(lines):
        raise NotAPlaylistError(f"the answer begins with {_beginning(text)}, not with #EXTM3U")
    known = Variables(imported=variables, url=url, requested_url=requested_url)
    reader = _Reader(url, known, since)
    for line in lines:
        reader.read(line)
    return reader.playlist()


@dataclass
class _Pending:
    """What the tags before a segment's URI say of it."""

    listed: bool = False  # EXTINF was there
    duration: float | None = None
    byte_range: str | None = None
    discontinuity: bool = False
    gap: bool = False
    date: datetime | None = None
    date_unreadable: bool = False


@dataclass
class _Entry:
    """A segment whose duration may have to be filled in once the target duration is known."""

    uri: str
    pending: _Pending
    initialization: Resource | None
    initialization_key: SegmentKey | None
    key: SegmentKey | None
    sequence: int


class _Reader:
    """Reads one playlist; takes lines in order, then gives the playlist."""

    def __init__(self, url: str, variables: Variables, since: int | None) -> None:
        self._url = url
        self._since = since
        self._variables = variables
        self._dropped: Counter[str] = Counter()
        self._undefined = ""
        self._media = False  # a tag of media playlists was there
        self._ended = self._vod = self._parts = self._blocking = False
        self._target: float | None = None
        self._first: int | None = None
        self._skipped = 0
        self._entries: list[_Entry] = []
        self._extinf = False
        self._pending = _Pending()
        self._initialization: Resource | None = None
        self._initialization_key: SegmentKey | None = None
        self._keys: dict[str, SegmentKey] = {}
        self._date_ranges: deque[tuple[int, Attributes]] = deque(maxlen=_MOST_DATE_RANGES)
        self._variant: Attributes | None = None
        self._variants: list[tuple[str, Attributes]] = []
        self._renditions: list[Rendition] = []
        self._read_tag: dict[str, Callable[[str], bool]] = {
            "#EXTINF": self._extinf_tag,
            "#EXT-X-BYTERANGE": self._byte_range_tag,
            "#EXT-X-DISCONTINUITY": self._discontinuity_tag,
            "#EXT-X-GAP": self._gap_tag,
            "#EXT-X-KEY": self._key_tag,
            "#EXT-X-MAP": self._map_tag,
            "#EXT-X-PROGRAM-DATE-TIME": self._date_tag,
            "#EXT-X-DATERANGE": self._date_range_tag,
            "#EXT-X-TARGETDURATION": self._target_tag,
            "#EXT-X-MEDIA-SEQUENCE": self._sequence_tag,
            "#EXT-X-SKIP": self._skip_tag,
            "#EXT-X-ENDLIST": self._end_tag,
            "#EXT-X-PLAYLIST-TYPE": self._type_tag,
            "#EXT-X-SERVER-CONTROL": self._server_tag,
            "#EXT-X-PART": self._part_tag,
            "#EXT-X-DEFINE": self._variables.define,
            "#EXT-X-STREAM-INF": self._variant_tag,
            "#EXT-X-MEDIA": self._rendition_tag,
        }

    def read(self, line: str) -> None:
        """Take in the next line; what is wrong with it costs the line."""
        line = line.strip(" \t")
        if not line:
            return
        if not line.startswith("#"):
            self._uri(line)
            return
        if not line.startswith("#EXT"):
            return
        name, _, value = line.partition(":")
        name = name.rstrip()
        read = self._read_tag.get(name)
        if read is None:
            return  # a client ignores tags that it does not know (RFC 8216bis, 6.3.1)
        try:
            understood = len(line) <= _LONGEST_LINE and read(value)
        except UndefinedVariableError as error:
            understood = False
            if name in {"#EXT-X-KEY", "#EXT-X-MAP"}:
                self._undefined = self._undefined or str(error)
        if not understood:
            self._dropped[name.removeprefix("#")] += 1

    def playlist(self) -> MasterPlaylist | MediaPlaylist:
        """Return what was read."""
        if self._variants and not self._extinf:
            return self._master()
        if self._undefined:
            raise MissingVariableError(self._undefined)
        return self._media_playlist()

    def _uri(self, line: str) -> None:
        variant, self._variant = self._variant, None
        if variant is not None:
            self._variants.append((line, variant))
            return
        if not self._pending.listed and (self._variants or _is_no_uri(line)):
            self._dropped["URI"] += 1
            return
        self._entries.append(
            _Entry(
                uri=line,
                pending=self._pending,
                initialization=self._initialization,
                initialization_key=self._initialization_key,
                key=self._key(),
                sequence=self._skipped + len(self._entries),
            )
        )
        self._pending = _Pending()

    # Tags of media playlists: each returns whether it was understood.

    def _extinf_tag(self, value: str) -> bool:
        self._extinf = self._media = self._pending.listed = True
        duration = read_number(value.partition(",")[0])
        self._pending.duration = None if duration is None or duration < 0 else duration
        return self._pending.duration is not None

    def _byte_range_tag(self, value: str) -> bool:
        self._pending.byte_range = value.strip().strip('"') or None
        return self._pending.byte_range is not None

    def _discontinuity_tag(self, _: str) -> bool:
        self._pending.discontinuity = True
        return True

    def _gap_tag(self, _: str) -> bool:
        self._pending.gap = True
        return True

    def _key_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        method = attributes.text("METHOD", 64)
        if method == "NONE":
            self._keys = {}
            return True
        uri = attributes.whole("URI")
        if not method and uri is None:
            return False
        key_format = attributes.text("KEYFORMAT") or "identity"
        url, _ = self._resolve(uri) if uri else (None, "")
        iv = read_hexadecimal(attributes.text("IV")) if "IV" in attributes else None
        self._keys[key_format] = SegmentKey(
            method=method or "unknown method", url=url, iv=iv, key_format=key_format
        )
        return bool(method) and (iv is not None or "IV" not in attributes)

    def _map_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        uri = attributes.whole("URI")
        if uri is None:
            return False
        url, problem = self._resolve(uri)
        text = attributes.whole("BYTERANGE")
        byte_range = _byte_range(text, None) if text else None
        if url is None or problem or (text and byte_range is None):
            return False
        self._initialization = Resource(url=url, byte_range=byte_range)
        self._initialization_key = self._key()
        return True

    def _date_tag(self, value: str) -> bool:
        self._pending.date = read_date(value)
        self._pending.date_unreadable = self._pending.date is None
        return self._pending.date is not None

    def _date_range_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        if not attributes.text("ID"):
            return False
        for name in ("DURATION", "PLANNED-DURATION"):
            if name in attributes and attributes.number(name) is None:
                return False
        if "START-DATE" not in attributes or read_date(attributes.text("START-DATE")) is None:
            return False
        full = len(self._date_ranges) == _MOST_DATE_RANGES  # then the first one is dropped
        self._date_ranges.append((self._skipped + len(self._entries), attributes))
        return not full

    def _target_tag(self, value: str) -> bool:
        self._media = True
        target = read_number(value)
        if target is None or target <= 0:
            return False
        self._target = min(target, LONGEST_SEGMENT)
        return True

    def _sequence_tag(self, value: str) -> bool:
        self._media = True
        first = read_integer(value)
        if first is None:
            return False
        self._first = first
        return True

    def _skip_tag(self, value: str) -> bool:
        skipped = Attributes(value, self._variables).integer("SKIPPED-SEGMENTS")
        if skipped is None or skipped > _MOST_SKIPPED:
            return False
        self._skipped += skipped
        return True

    def _end_tag(self, _: str) -> bool:
        self._ended = True
        return True

    def _type_tag(self, value: str) -> bool:
        kind = value.strip().upper()
        self._vod = kind == "VOD"
        return kind in {"VOD", "EVENT"}

    def _server_tag(self, value: str) -> bool:
        self._blocking = Attributes(value, self._variables).is_yes("CAN-BLOCK-RELOAD")
        return True

    def _part_tag(self, _: str) -> bool:
        self._parts = self._media = True
        return True

    # Tags of master playlists.

    def _variant_tag(self, value: str) -> bool:
        self._variant = None
        self._variant = Attributes(value, self._variables)
        return True

    def _rendition_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        kind, group = attributes.text("TYPE", 32).upper(), attributes.text("GROUP-ID")
        uri = attributes.whole("URI")
        url, problem = self._resolve(uri) if uri else (None, "")
        if not kind or problem:
            return False
        self._renditions.append(
            Rendition(
                type=kind,
                group=group,
                name=attributes.text("NAME"),
                language=attributes.text("LANGUAGE", 64) or None,
                url=url,
                default=attributes.is_yes("DEFAULT"),
                autoselect=attributes.is_yes("AUTOSELECT"),
                forced=attributes.is_yes("FORCED"),
            )
        )
        return True

    def _master(self) -> MasterPlaylist:
        separate = {
            each.group for each in self._renditions if each.type == "AUDIO" and each.url is not None
        }
        variants: list[Variant] = []
        problem = ""
        for uri, attributes in self._variants:
            try:
                url, wrong = self._resolve(self._variables.expand(uri))
            except UndefinedVariableError as error:
                url, wrong = None, str(error)
            if url is None or wrong:
                problem = problem or wrong
                self._dropped["EXT-X-STREAM-INF"] += 1
            else:
                variants.append(_variant(url, attributes, separate))
        if not variants:
            raise NotAPlaylistError(f"none of its variants can be read: {problem}")
        captions = [each for each in self._renditions if each.type == "SUBTITLES" and each.url]
        captions.sort(key=lambda each: not each.default)  # the first of those that are default
        return MasterPlaylist(
            variants=tuple(variants),
            captions_url=captions[0].url if captions else None,
            renditions=tuple(self._renditions),
            variables=self._variables.values,
            dropped=self._dropped,
        )

    def _media_playlist(self) -> MediaPlaylist:
        entries = self._entries
        if entries and not self._media:
            self._dropped["URI"] += len(entries)
            entries = []
        known = [each.pending.duration for each in entries if each.pending.duration is not None]
        longest = min(max(known, default=0.0), LONGEST_SEGMENT)
        target = self._target or longest or _DEFAULT_TARGET_DURATION
        return MediaPlaylist(
            target_duration=target,
            segments=self._segments(entries, target),
            date_ranges=tuple(self._date_range(*each) for each in self._date_ranges),
            ended=self._ended,
            vod=self._vod,
            media_sequence=self._first,
            can_block_reload=self._blocking,
            has_parts=self._parts,
            dropped=self._dropped,
        )

    def _segments(self, entries: list[_Entry], target: float) -> tuple[ListedSegment, ...]:
        segments: list[ListedSegment] = []
        previous: Resource | None = None
        date: datetime | None = None
        passed = self._passed(entries)
        for place, entry in enumerate(entries):
            pending = entry.pending
            listed = target if pending.duration is None else pending.duration
            duration = min(listed, LONGEST_SEGMENT)
            if pending.date_unreadable and pending.discontinuity:
                date = None  # nothing says how long the interruption was
            date = pending.date or date
            if place >= passed:
                resource, problem = self._resource(entry, previous)
                segments.append(
                    ListedSegment(
                        sequence=self._number(entry.sequence),
                        resource=resource,
                        duration=duration,
                        initialization=entry.initialization,
                        initialization_key=entry.initialization_key,
                        discontinuity=pending.discontinuity,
                        program_date_time=date,
                        encryption=entry.key.method if entry.key else None,
                        declared_gap=pending.gap,
                        key=entry.key,
                        problem=problem,
                    )
                )
                previous = resource
            date = None if date is None else date + timedelta(seconds=duration)
        return tuple(segments)

    def _passed(self, entries: list[_Entry]) -> int:
        """Return how many segments at the beginning lie before what matters."""
        if self._since is None or self._first is None or not entries:
            return 0
        if self._first + entries[-1].sequence < self._since:
            return 0  # numbers have gone back: what that means is for others to say
        passed = min(max(self._since - self._first - self._skipped, 0), len(entries) - 1)
        while passed and "@" not in (entries[passed].pending.byte_range or "@"):
            passed -= 1  # a range without an offset needs the one before it
        return passed

    def _resource(self, entry: _Entry, previous: Resource | None) -> tuple[Resource, str]:
        try:
            url, problem = self._resolve(self._variables.expand(entry.uri))
        except UndefinedVariableError as error:
            raise MissingVariableError(str(error)) from error
        if url is None:
            return Resource(url=clean_text(entry.uri, _LONGEST_URL)), problem
        text = entry.pending.byte_range
        if text is None:
            return Resource(url=url), problem
        following = 0
        if previous is not None and previous.url == url and previous.byte_range is not None:
            following = previous.byte_range.offset + previous.byte_range.length
        byte_range = _byte_range(text, following)
        if byte_range is None:
            self._dropped["EXT-X-BYTERANGE"] += 1
            return Resource(url=url), "its byte range (EXT-X-BYTERANGE) is malformed"
        return Resource(url=url, byte_range=byte_range), problem

    def _date_range(self, place: int, attributes: Attributes) -> DateRange:
        payload, problem = _payload(attributes.whole(_PAYLOAD_ATTRIBUTE))
        return DateRange(
            id=attributes.text("ID"),
            start=read_date(attributes.text("START-DATE")),
            duration=attributes.number("DURATION"),
            payload=payload,
            sequence=self._number(place),
            problem=problem,
        )

    def _number(self, place: int) -> int:
        return ((self._first or 0) + place) % SEQUENCE_MODULUS

    def _key(self) -> SegmentKey | None:
        return self._keys.get("identity") or next(iter(self._keys.values()), None)

    def _resolve(self, uri: str) -> tuple[str | None, str]:
        """Return an absolute URL, None if there is none, and what is wrong with it."""
        if len(uri) > _LONGEST_URL:
            return None, f"its URL is longer than {_LONGEST_URL} characters"
        try:
            url = urljoin(self._url, clean_text(uri, _LONGEST_URL))
            urlsplit(url).port  # noqa: B018 raises where the port is no number
        except ValueError:
            return None, "its URL is malformed"
        return url, ""


def _variant(url: str, attributes: Attributes, separate: set[str]) -> Variant:
    codecs = attributes.text("CODECS").lower()
    width, height = _resolution(attributes.text("RESOLUTION", 32))
    bandwidth = attributes.integer("BANDWIDTH")
    if bandwidth is None:
        bandwidth = attributes.integer("AVERAGE-BANDWIDTH")
    audio_group = attributes.text("AUDIO") or None
    return Variant(
        url=url,
        bandwidth=bandwidth or 0,
        height=height,
        audio_only=bool(codecs) and height is None and not any(c in codecs for c in _VIDEO_CODECS),
        separate_audio=audio_group in separate,
        width=width,
        codecs=codecs,
        frame_rate=attributes.number("FRAME-RATE"),
        audio_group=audio_group,
        subtitles_group=attributes.text("SUBTITLES") or None,
    )


def _resolution(text: str) -> tuple[int | None, int | None]:
    width, _, height = (read_integer(each) for each in text.lower().partition("x"))
    if not width or not height or max(width, height) > _LARGEST_PICTURE:
        return None, None
    return width, height


def _byte_range(text: str, following: int | None) -> ByteRange | None:
    """Return a byte range; without an offset it begins at `following`, or at 0."""
    length_text, _, offset_text = text.partition("@")
    length = read_integer(length_text)
    offset = read_integer(offset_text) if offset_text.strip() else following or 0
    if not length or offset is None:
        return None
    return ByteRange(offset=offset, length=length)


def _payload(encoded: str | None) -> tuple[str, str]:
    """Return what a sender on 100ms attached, and why it cannot be read if so.

    It is the base64 of a JSON object with a `payload`. It is held to a length here, since it goes
    through a workflow's history.
    """
    if encoded is None:
        return "", ""
    try:
        payload = json.loads(base64.b64decode(encoded, validate=True))["payload"]
        text = payload if isinstance(payload, str) else json.dumps(payload)
    except (binascii.Error, RecursionError, ValueError, TypeError, KeyError, IndexError):
        return "", "not the base64 of a JSON object with a `payload`"
    if len(text) > LONGEST_PAYLOAD:
        return "", f"longer than {LONGEST_PAYLOAD} characters"
    return clean_text(text, LONGEST_PAYLOAD), ""


def _begins_as_playlist(lines: list[str]) -> bool:
    """Return True if #EXTM3U comes first, but for empty lines and comments."""
    for line in lines:
        text = line.strip(" \t\ufeff")
        if text and (not text.startswith("#") or text.startswith("#EXT")):
            return text.startswith("#EXTM3U")
    return False


def _is_no_uri(line: str) -> bool:
    """Return True if a line without EXTINF before it looks like something else than a URI."""
    return any(each in line for each in " \t<>{}\"'") and "{$" not in line


def _beginning(text: str) -> str:
    start = clean_text(text.strip(), 24)
    return repr(start) if start else "nothing"
