"""Playlist text to values, with the `m3u8` library."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import m3u8
import structlog
from pydantic import ValidationError

from domain.marks import LONGEST_PAYLOAD
from domain.playlist import (
    ByteRange,
    DateRange,
    ListedSegment,
    MasterPlaylist,
    MediaPlaylist,
    Resource,
    Variant,
)

_log = structlog.get_logger(__name__)

_DEFAULT_TARGET_DURATION: Final = 2.0
_PAYLOAD_ATTRIBUTE: Final = "x_100mslive_payload"
_DATE_RANGE_ID: Final = re.compile(r'[:,]\s*ID="[^"]+"')
_DATE_RANGE_NUMBERS: Final = re.compile(r"[:,]\s*(?:PLANNED-)?DURATION=([^,]*)")
_VIDEO_CODECS: Final = ("avc", "hvc", "hev", "av01", "vp0", "vp8", "vp9", "dvh", "mp4v")


class NotAPlaylistError(Exception):
    """The text is no HLS playlist, or a malformed one."""


def parse_playlist(text: str, *, url: str) -> MasterPlaylist | MediaPlaylist:
    """Parse a playlist that was read from `url`.

    Raises:
        NotAPlaylistError: it is something else, or malformed; the message says what is wrong.
    """
    if not text.lstrip("\ufeff \t\r\n").startswith("#EXTM3U"):
        raise NotAPlaylistError(f"the answer begins with {_beginning(text)}, not with #EXTM3U")
    try:
        parsed = m3u8.loads(text, uri=url, custom_tags_parser=_skip_malformed_metadata)
        if parsed.playlists:
            return _master(parsed)
        return _media(parsed)
    except NotAPlaylistError:
        raise
    # The library raises what its conversions raise: ValueError, KeyError, TypeError and others.
    except Exception as error:
        raise NotAPlaylistError(f"the playlist is malformed ({error})") from error


def _skip_malformed_metadata(
    line: str, _number: int, _data: dict[str, Any], _state: dict[str, Any]
) -> bool:
    """Tell `m3u8` to pass over metadata that would make it refuse the whole playlist."""
    if not line.startswith("#EXT-X-DATERANGE:"):
        return False
    malformed = not _DATE_RANGE_ID.search(line) or any(
        not _is_number(value) for value in _DATE_RANGE_NUMBERS.findall(line)
    )
    if malformed:
        _log.info("timed_metadata_malformed", line=line[:200])
    return malformed


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _master(parsed: Any) -> MasterPlaylist:  # noqa: ANN401 m3u8 is not annotated
    separate = {
        media.group_id for media in parsed.media if media.type == "AUDIO" and media.uri is not None
    }
    captions = [
        media for media in parsed.media if media.type == "SUBTITLES" and media.uri is not None
    ]
    captions.sort(key=lambda media: media.default != "YES")  # the first of those that are default
    return MasterPlaylist(
        variants=tuple(_variant(each, separate) for each in parsed.playlists),
        captions_url=captions[0].absolute_uri if captions else None,
    )


def _variant(playlist: Any, separate: set[str]) -> Variant:  # noqa: ANN401
    info = playlist.stream_info
    codecs = (info.codecs or "").lower()
    height = info.resolution[1] if info.resolution else None
    return Variant(
        url=playlist.absolute_uri,
        bandwidth=max(info.bandwidth or 0, 0),
        height=height,
        audio_only=bool(codecs) and height is None and not any(c in codecs for c in _VIDEO_CODECS),
        separate_audio=info.audio in separate,
    )


def _media(parsed: Any) -> MediaPlaylist:  # noqa: ANN401
    segments = tuple(_segments(parsed.segments))
    target = parsed.target_duration or max(
        (segment.duration for segment in segments), default=_DEFAULT_TARGET_DURATION
    )
    return MediaPlaylist(
        target_duration=target,
        segments=segments,
        date_ranges=tuple(_date_ranges(parsed.segments)),
        ended=bool(parsed.is_endlist),
        vod=parsed.playlist_type == "vod",
    )


def _segments(listed: Any) -> Iterator[ListedSegment]:  # noqa: ANN401
    previous: Resource | None = None
    for segment in listed:
        resource = _resource(segment.absolute_uri, segment.byterange, previous)
        init = segment.init_section
        method = segment.key.method if segment.key else None
        try:
            yield ListedSegment(
                sequence=segment.media_sequence,
                resource=resource,
                duration=segment.duration,
                initialization=_resource(init.absolute_uri, init.byterange, None) if init else None,
                discontinuity=bool(segment.discontinuity),
                program_date_time=_utc(segment.current_program_date_time),
                encryption=None if method in {None, "NONE"} else method,
                declared_gap=bool(segment.gap_tag),
            )
        except ValidationError as error:
            problem = error.errors()[0]
            raise NotAPlaylistError(
                f"segment {segment.media_sequence}: {problem['loc'][0]}: {problem['msg']}"
            ) from error
        previous = resource


def _resource(url: str, byte_range: str | None, previous: Resource | None) -> Resource:
    """Build a resource; a byte range without an offset follows on the one before it."""
    if not byte_range:
        return Resource(url=url)
    length, _, offset = byte_range.partition("@")
    if offset:
        start = int(offset)
    elif previous is not None and previous.url == url and previous.byte_range is not None:
        start = previous.byte_range.offset + previous.byte_range.length
    else:
        start = 0
    return Resource(url=url, byte_range=ByteRange(offset=start, length=int(length)))


def _date_ranges(listed: Any) -> Iterator[DateRange]:  # noqa: ANN401
    for segment in listed:
        for each in segment.dateranges:
            try:
                payload, problem = _payload(each)
                yield DateRange(
                    id=each.id,
                    start=_utc(datetime.fromisoformat(each.start_date)),
                    duration=_duration(each),
                    payload=payload,
                    sequence=segment.media_sequence,
                    problem=problem,
                )
            except (ValueError, TypeError, KeyError) as error:
                _log.info("timed_metadata_malformed", id=each.id, problem=str(error)[:200])


def _duration(date_range: Any) -> float | None:  # noqa: ANN401
    duration = date_range.duration
    if duration is not None and not (math.isfinite(duration) and duration >= 0):
        raise ValueError(f"duration {duration}")
    return None if duration is None else float(duration)


def _payload(date_range: Any) -> tuple[str, str]:  # noqa: ANN401
    """Return what a sender on 100ms attached, and why it cannot be read if so.

    It is the base64 of a JSON object with a `payload`. It is held to a length here, since it goes
    through a workflow's history.
    """
    attributes = dict(date_range.x_client_attrs or ())
    encoded = attributes.get(_PAYLOAD_ATTRIBUTE)
    if encoded is None:
        return "", ""
    try:
        payload = json.loads(base64.b64decode(encoded.strip('"'), validate=True))["payload"]
    except (binascii.Error, RecursionError, ValueError, TypeError, KeyError, IndexError):
        return "", "not the base64 of a JSON object with a `payload`"
    text = payload if isinstance(payload, str) else json.dumps(payload)
    if len(text) > LONGEST_PAYLOAD:
        return "", f"longer than {LONGEST_PAYLOAD} characters"
    return text, ""


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _beginning(text: str) -> str:
    return repr(text.strip()[:24]) if text.strip() else "nothing"
