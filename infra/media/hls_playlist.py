"""Parser of HLS playlists, line by line (RFC 8216bis).

Live playlists hold tags of newer protocol versions, vendor tags and mistakes. Lines that cannot be
parsed are dropped and counted; a segment needs only EXTINF and a URI, and a variant only
EXT-X-STREAM-INF and a URI. Parsing is linear in the length of the text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from array import array
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from domain.highlights.markers import LONGEST_PAYLOAD
from domain.ingest.playlist import (
    LONGEST_SEGMENT,
    ByteRange,
    DateRange,
    ListedSegment,
    MasterPlaylist,
    MediaPlaylist,
    PartialSegment,
    Rendition,
    RenditionReport,
    Resource,
    SegmentKey,
    SegmentPart,
    ServerControl,
    Variant,
)
from domain.text import clean_text
from infra.media.hls_attributes import (
    LONGEST_NAME,
    LONGEST_URL,
    SEQUENCE_MODULUS,
    Attributes,
    UndefinedVariableError,
    Variables,
    following_offset,
    read_byte_range,
    read_date,
    read_hexadecimal,
    read_integer,
    read_number,
    read_resolution,
    resolve_uri,
)
from infra.media.hls_entries import CarriedTags, ParsedPlaylist, PendingTags, PlaylistEntry

_DEFAULT_TARGET_DURATION: Final = 2.0


_LONGEST_LINE: Final = 1 << 16


_MOST_SKIPPED: Final = 1 << 20


_MOST_DATE_RANGES: Final = 2048


_MOST_PARTS: Final = 1024  # of one segment


_MOST_REPORTS: Final = 64


_MOST_COMPARISONS: Final = 64  # of a response with the one before
_BEGINNING: Final = re.compile("(?:[ \t\ufeff]*(?:#(?!EXT)[^\n]*)?\n)*+[ \t\ufeff]*#EXTM3U")


_PAYLOAD_ATTRIBUTE: Final = "X-100MSLIVE-PAYLOAD"


_VIDEO_CODECS: Final = ("avc", "hvc", "hev", "av01", "vp0", "vp8", "vp9", "dvh", "mp4v")


_NO_VARIABLES: Final[Mapping[str, str]] = {}


class NotAPlaylistError(Exception):
    """The text is no HLS playlist, or none that can be followed; the message says why."""


class MissingVariableError(NotAPlaylistError):
    """The playlist uses a variable that neither it nor the known part of its master defines."""


class PlaylistParser:
    """Parses the responses of one playlist, of each only what the one before did not have.

    Segments whose text is unchanged are taken over, and those that a delta update leaves out
    (EXT-X-SKIP) are filled in, so that a reload of a window of hours costs little. The result is
    that of parsing the complete text.
    """

    def __init__(self) -> None:
        self._known: ParsedPlaylist | None = None

    def parse(
        self,
        text: str,
        *,
        url: str,
        requested_url: str | None = None,
        variables: Mapping[str, str] = _NO_VARIABLES,
        since: int | None = None,
    ) -> MasterPlaylist | MediaPlaylist:
        """Parse a response.

        Args:
            text: the playlist.
            url: where it came from, redirects included; relative URIs are resolved against it.
            requested_url: where it was asked for, if that differs.
            variables: what the master playlist defines (EXT-X-DEFINE).
            since: media sequence of the first segment that matters. Where the list reaches it, what
                lies before it is left out.

        Raises:
            NotAPlaylistError: it is something else.
            MissingVariableError: it uses a variable that nothing defines.
        """
        known, self._known = self._known, None
        text = text.replace("\x00", "").removeprefix("\ufeff").replace("\r", "\n")
        if not _begins_as_playlist(text):
            raise NotAPlaylistError(f"the answer begins with {_beginning(text)}, not with #EXTM3U")
        base = url.partition("?")[0]
        reader = _Reader(
            url,
            Variables(imported=variables, url=url, requested_url=requested_url),
            since,
            known if known is not None and known.base == base else None,
        )
        reader.read_all(text)
        playlist = reader.playlist()
        if isinstance(playlist, MediaPlaylist) and not playlist.unknown_skipped:
            self._known = reader.parsed(text, base)
        return playlist


def parse_playlist(
    text: str,
    *,
    url: str,
    requested_url: str | None = None,
    variables: Mapping[str, str] = _NO_VARIABLES,
    since: int | None = None,
) -> MasterPlaylist | MediaPlaylist:
    """Parse a single response, as `PlaylistParser.parse` does."""
    return PlaylistParser().parse(
        text, url=url, requested_url=requested_url, variables=variables, since=since
    )


class _Reader:
    """Reads one playlist; takes its text, then gives the playlist."""

    def __init__(
        self, url: str, variables: Variables, since: int | None, known: ParsedPlaylist | None
    ) -> None:
        self._url = url
        self._since = since
        self._variables = variables
        self._known = known
        self._comparisons = _MOST_COMPARISONS
        self._dropped: Counter[str] = Counter()
        self._undefined = ""
        self._media = False  # a tag of media playlists was there
        self._ended = self._vod = False
        self._server = ServerControl()
        self._part_target: float | None = None
        self._hint: Resource | None = None
        self._reports: list[RenditionReport] = []
        self._target: float | None = None
        self._first: int | None = None
        self._skipped = 0
        self._is_delta = False
        self._entries: list[PlaylistEntry] = []
        self._ends: array[int] = array("q")
        self._origin = 0
        self._reusable: int | None = None
        self._dated = 0  # entries whose date and duration are known
        self._date: datetime | None = None
        self._extinf = False
        self._pending = PendingTags()
        self._carried = CarriedTags()
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
            "#EXT-X-PART": self._part_tag,
        }
        self._read_global_tag: dict[str, Callable[[str], bool]] = {
            "#EXT-X-TARGETDURATION": self._target_tag,
            "#EXT-X-MEDIA-SEQUENCE": self._sequence_tag,
            "#EXT-X-SKIP": self._skip_tag,
            "#EXT-X-ENDLIST": self._end_tag,
            "#EXT-X-PLAYLIST-TYPE": self._type_tag,
            "#EXT-X-SERVER-CONTROL": self._server_tag,
            "#EXT-X-PART-INF": self._part_target_tag,
            "#EXT-X-PRELOAD-HINT": self._hint_tag,
            "#EXT-X-RENDITION-REPORT": self._report_tag,
            "#EXT-X-DEFINE": self._variables.define,
            "#EXT-X-STREAM-INF": self._variant_tag,
            "#EXT-X-MEDIA": self._rendition_tag,
        }

    def read_all(self, text: str) -> None:
        """Take in the text, without what is known already."""
        position = 0
        while position < len(text):
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            entries = len(self._entries)
            self.read(text[position:end])
            position = end + 1
            if len(self._entries) > entries:
                self._ends.append(position - self._origin)
                position = self._take_over(text, position)

    def parsed(self, text: str, base: str) -> ParsedPlaylist:
        """Return what was read, for the next response."""
        entries = len(self._entries)
        return ParsedPlaylist(
            text="" if self._is_delta else text,
            base=base,
            first=self._number(0),
            numbered=self._first is not None,
            target=self._target,
            variables=self._variables.values,
            entries=self._entries,
            ends=self._ends,
            origin=self._origin,
            reusable=entries if self._reusable is None else min(self._reusable, entries),
            date_ranges=tuple((self._number(place), each) for place, each in self._date_ranges),
        )

    def _take_over(self, text: str, position: int) -> int:
        """Take over the segments after the last one as far as their text is known.

        Returns:
            The position of the first text that has to be read.
        """
        known = self._known
        if known is None or self._is_delta or not self._comparisons or not self._is_like(known):
            return position
        place = len(self._entries) - 1
        same = place + self._number(0) - known.first
        if not 0 <= same < known.reusable - 1:
            return position
        self._comparisons -= 1
        if not self._entries[place].is_followed_alike(known.entries[same]):
            return position
        last = known.last_unchanged(same, text, position)
        if last == same:
            return position
        self._date_ranges += (
            (number - self._number(0), each)
            for number, each in known.date_ranges
            if same < number - known.first <= last
        )
        self._extend(known.entries[same + 1 : last + 1])
        shift = position - known.end(same)
        origin = known.origin + shift
        ends = array("q", (each + self._origin - origin for each in self._ends))
        self._ends = ends + known.ends[same + 1 : last + 1]
        self._origin = origin
        return known.end(last) + shift

    def _is_like(self, known: ParsedPlaylist) -> bool:
        """Return True if the same text means the same in this playlist."""
        return (
            self._dated == len(self._entries)
            and bool(known.text)
            and known.numbered is (self._first is not None)
            and known.target == self._target
            and known.variables == self._variables.values
        )

    def _extend(self, entries: list[PlaylistEntry]) -> None:
        """Continue after entries of an earlier response."""
        self._entries += entries
        self._carried = entries[-1].carried
        self._date = entries[-1].ends
        self._dated = len(self._entries)

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
            read = self._read_global_tag.get(name)
            if read is None:
                return  # a client ignores tags that it does not know (RFC 8216bis, 6.3.1)
            if self._entries and self._reusable is None:
                self._reusable = len(self._entries)
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
        if self._is_delta:
            self._merge_date_ranges()
        return self._media_playlist()

    def _uri(self, line: str) -> None:
        variant, self._variant = self._variant, None
        if variant is not None:
            self._variants.append((line, variant))
            return
        if not self._pending.listed and (self._variants or _is_no_uri(line)):
            self._dropped["URI"] += 1
            return
        self._entries.append(PlaylistEntry(uri=line, pending=self._pending, carried=self._carried))
        self._pending = PendingTags()
        if self._target is not None:
            self._date_entries(self._target)

    def _date_entries(self, target: float) -> None:
        """Fill in the durations and dates of the entries without."""
        for entry in self._entries[self._dated :]:
            pending, date, entry.segment = entry.pending, self._date, None
            listed = target if pending.duration is None else pending.duration
            entry.duration = min(listed, LONGEST_SEGMENT)
            if pending.date_unreadable and pending.discontinuity:
                date = None  # nothing says how long the interruption was
            entry.date = pending.date or date
            if entry.date is not None:
                entry.ends = entry.date + timedelta(seconds=entry.duration)
            self._date = entry.ends
        self._dated = len(self._entries)

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
            self._carried = replace(self._carried, keys=())
            return True
        uri = attributes.whole("URI")
        if not method and uri is None:
            return False
        key_format = attributes.text("KEYFORMAT") or "identity"
        url, _ = resolve_uri(self._url, uri) if uri else (None, "")
        iv = read_hexadecimal(attributes.text("IV")) if "IV" in attributes else None
        key = SegmentKey(method=method or "unknown method", url=url, iv=iv, key_format=key_format)
        keys = {**dict(self._carried.keys), key_format: key}
        self._carried = replace(self._carried, keys=tuple(keys.items()))
        return bool(method) and (iv is not None or "IV" not in attributes)

    def _map_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        uri = attributes.whole("URI")
        if uri is None:
            return False
        url, problem = resolve_uri(self._url, uri)
        text = attributes.whole("BYTERANGE")
        byte_range = read_byte_range(text, None) if text else None
        if url is None or problem or (text and byte_range is None):
            return False
        self._carried = replace(
            self._carried,
            initialization=Resource(url=url, byte_range=byte_range),
            initialization_key=self._carried.key,
        )
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
        self._date_ranges.append((len(self._entries), attributes))
        return not full

    def _target_tag(self, value: str) -> bool:
        self._media = True
        target = read_number(value)
        if target is None or target <= 0:
            return False
        changed, self._target = self._target, min(target, LONGEST_SEGMENT)
        if self._entries and changed != self._target:  # the last one applies to all segments
            self._dated, self._date = 0, None
        return True

    def _sequence_tag(self, value: str) -> bool:
        self._media = True
        first = read_integer(value)
        if first is None:
            return False
        self._first = first
        return True

    def _skip_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        skipped = attributes.integer("SKIPPED-SEGMENTS")
        if skipped is None or skipped > _MOST_SKIPPED:
            return False
        known = self._known
        begin = self._number(0) - known.first if known is not None else -1
        if (
            known is None
            or self._first is None
            or not (known.numbered and 0 <= begin <= begin + skipped <= len(known.entries))
            or self._entries
        ):
            self._skipped += skipped
            return True
        if skipped:
            self._extend(known.entries[begin : begin + skipped])
        removed = (attributes.whole("RECENTLY-REMOVED-DATERANGES") or "").split("\t")
        self._keep_date_ranges(known, {clean_text(each, LONGEST_NAME) for each in removed})
        self._is_delta = True
        return True

    def _keep_date_ranges(self, known: ParsedPlaylist, removed: set[str]) -> None:
        """Keep the date ranges that a delta update may have left out."""
        for number, each in known.date_ranges:
            if number >= self._number(0) and each.text("ID") not in removed:
                self._date_ranges.append((number - self._number(0), each))

    def _merge_date_ranges(self) -> None:
        """Let listed date ranges take the place of kept ones."""
        merged: dict[str, tuple[int, Attributes]] = {}
        for place, each in self._date_ranges:
            name = each.text("ID")
            merged[name] = (merged[name][0] if name in merged else place, each)
        self._date_ranges = deque(merged.values(), maxlen=_MOST_DATE_RANGES)

    def _end_tag(self, _: str) -> bool:
        self._ended = True
        return True

    def _type_tag(self, value: str) -> bool:
        kind = value.strip().upper()
        self._vod = kind == "VOD"
        return kind in {"VOD", "EVENT"}

    def _server_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        self._server = ServerControl(
            can_block_reload=attributes.is_yes("CAN-BLOCK-RELOAD"),
            can_skip_until=attributes.number("CAN-SKIP-UNTIL"),
            can_skip_date_ranges=attributes.is_yes("CAN-SKIP-DATERANGES"),
        )
        return True

    def _part_target_tag(self, value: str) -> bool:
        self._part_target = Attributes(value, self._variables).number("PART-TARGET")
        return self._part_target is not None

    def _part_tag(self, value: str) -> bool:
        self._media = True
        attributes = Attributes(value, self._variables)
        uri, duration = attributes.whole("URI"), attributes.number("DURATION")
        if uri is None or duration is None or len(self._pending.parts) >= _MOST_PARTS:
            return False
        resource = self._part_resource(uri, attributes.whole("BYTERANGE"))
        if resource is None:
            return False
        self._pending.parts.append(
            SegmentPart(
                resource=resource,
                duration=min(duration, LONGEST_SEGMENT),
                gap=attributes.is_yes("GAP"),
            )
        )
        return True

    def _part_resource(self, uri: str, text: str | None) -> Resource | None:
        url, problem = resolve_uri(self._url, uri)
        if url is None or problem:
            return None
        if text is None:
            return Resource(url=url)
        parts = self._pending.parts or (self._entries[-1].pending.parts if self._entries else [])
        byte_range = read_byte_range(
            text, following_offset(parts[-1].resource if parts else None, url)
        )
        return None if byte_range is None else Resource(url=url, byte_range=byte_range)

    def _hint_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        uri = attributes.whole("URI")
        if attributes.text("TYPE", 32) != "PART":
            return True
        url, problem = resolve_uri(self._url, uri) if uri else (None, "")
        if url is None or problem:
            return False
        start, length = (attributes.integer(f"BYTERANGE-{each}") for each in ("START", "LENGTH"))
        parts = self._pending.parts or (self._entries[-1].pending.parts if self._entries else [])
        if length:
            self._hint = Resource(url=url, byte_range=ByteRange(offset=start or 0, length=length))
        elif not start and not (parts and parts[-1].resource.byte_range):
            self._hint = Resource(url=url)
        return True  # without a length it is not known where the part ends

    def _report_tag(self, value: str) -> bool:
        attributes = Attributes(value, self._variables)
        uri, last = attributes.whole("URI"), attributes.integer("LAST-MSN")
        url, problem = resolve_uri(self._url, uri) if uri else (None, "")
        if url is None or problem or last is None or len(self._reports) >= _MOST_REPORTS:
            return False
        self._reports.append(
            RenditionReport(url=url, last_sequence=last, last_part=attributes.integer("LAST-PART"))
        )
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
        url, problem = resolve_uri(self._url, uri) if uri else (None, "")
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
                url, wrong = resolve_uri(self._url, self._variables.expand(uri))
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
        target = self._target or self._longest() or _DEFAULT_TARGET_DURATION
        self._date_entries(target)
        return MediaPlaylist(
            target_duration=target,
            segments=self._segments(entries),
            date_ranges=tuple(self._date_range(*each) for each in self._date_ranges),
            ended=self._ended,
            vod=self._vod,
            media_sequence=self._first,
            server=self._server,
            part_target=self._part_target,
            partial=self._partial(entries),
            preload_hint=self._hint,
            reports=tuple(self._reports),
            unknown_skipped=self._skipped,
            dropped=self._dropped,
        )

    def _segments(self, entries: list[PlaylistEntry]) -> tuple[ListedSegment, ...]:
        passed = self._passed(entries)
        previous: Resource | None = None
        segments: list[ListedSegment] = []
        for place in range(passed, len(entries)):
            entry = entries[place]
            if entry.segment is None:
                entry.segment = self._segment(entry, self._number(place), previous)
            segments.append(entry.segment)
            previous = entry.segment.resource
        return tuple(segments)

    def _segment(
        self, entry: PlaylistEntry, number: int, previous: Resource | None
    ) -> ListedSegment:
        resource, problem = self._resource(entry, previous)
        carried, key = entry.carried, entry.carried.key
        return ListedSegment(
            sequence=number,
            resource=resource,
            duration=entry.duration,
            initialization=carried.initialization,
            initialization_key=carried.initialization_key,
            discontinuity=entry.pending.discontinuity,
            program_date_time=entry.date,
            encryption=key.method if key else None,
            declared_gap=entry.pending.gap,
            key=key,
            problem=problem,
        )

    def _partial(self, entries: list[PlaylistEntry]) -> tuple[PartialSegment, ...]:
        """Return the segments with parts, which are the last ones."""
        partial: list[PartialSegment] = []
        closed = ((each.pending, each.carried) for each in reversed(entries))
        for back, (pending, carried) in enumerate(chain([(self._pending, self._carried)], closed)):
            if pending.parts:
                partial.append(
                    PartialSegment(
                        sequence=self._number(len(entries) - back),
                        parts=tuple(pending.parts),
                        encrypted=carried.key is not None,
                    )
                )
            elif back:
                break
        return tuple(reversed(partial))

    def _passed(self, entries: list[PlaylistEntry]) -> int:
        """Return how many segments at the beginning lie before what matters."""
        if self._since is None or self._first is None or not entries:
            return 0
        if self._number(len(entries) - 1) < self._since:
            return 0  # numbers have gone back: what that means is for others to say
        passed = min(max(self._since - self._first - self._skipped, 0), len(entries) - 1)
        while passed and "@" not in (entries[passed].pending.byte_range or "@"):
            passed -= 1  # a range without an offset needs the one before it
        return passed

    def _resource(self, entry: PlaylistEntry, previous: Resource | None) -> tuple[Resource, str]:
        try:
            url, problem = resolve_uri(self._url, self._variables.expand(entry.uri))
        except UndefinedVariableError as error:
            raise MissingVariableError(str(error)) from error
        if url is None:
            return Resource(url=clean_text(entry.uri, LONGEST_URL)), problem
        text = entry.pending.byte_range
        if text is None:
            return Resource(url=url), problem
        byte_range = read_byte_range(text, following_offset(previous, url))
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

    def _longest(self) -> float:
        known = [each.pending.duration for each in self._entries if each.pending.duration]
        return min(max(known, default=0.0), LONGEST_SEGMENT)

    def _number(self, place: int) -> int:
        """Return the media sequence number of an entry by its place in the list."""
        return ((self._first or 0) + self._skipped + place) % SEQUENCE_MODULUS


def _variant(url: str, attributes: Attributes, separate: set[str]) -> Variant:
    codecs = attributes.text("CODECS").lower()
    width, height = read_resolution(attributes.text("RESOLUTION", 32))
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


def _begins_as_playlist(text: str) -> bool:
    """Return True if #EXTM3U comes first, but for empty lines and comments."""
    return _BEGINNING.match(text) is not None


def _is_no_uri(line: str) -> bool:
    """Return True if a line without EXTINF before it looks like something else than a URI."""
    return any(each in line for each in " \t<>{}\"'") and "{$" not in line


def _beginning(text: str) -> str:
    start = clean_text(text.strip(), 24)
    return repr(start) if start else "nothing"
