"""Playlists as values, and the rules for reading a live one (RFC 8216)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    field_serializer,
    field_validator,
)

from domain.model import Model

LONGEST_SEGMENT: Final = 3600.0
"""Seconds that a listed duration may have; a longer one is cut to this."""


class ByteRange(Model):
    """A part of a resource (EXT-X-BYTERANGE), in bytes."""

    offset: NonNegativeInt
    length: PositiveInt


class Resource(Model):
    """Something to fetch: an absolute URL, or a part of what is behind it."""

    url: str
    byte_range: ByteRange | None = None


class SegmentKey(Model):
    """How a segment is encrypted (EXT-X-KEY).

    Attributes:
        method: METHOD, such as `AES-128`.
        url: absolute URL of the key; None where the tag names none that can be read.
        iv: initialization vector of 16 bytes; None where the media sequence number takes its place.
        key_format: KEYFORMAT; `identity` means that the URL answers with the key itself.
    """

    method: str
    url: str | None = None
    iv: bytes | None = Field(default=None, min_length=16, max_length=16)
    key_format: str = "identity"

    @property
    def refusal(self) -> str:
        """Why segments under this key cannot be read; empty where the key can be asked for."""
        if self.key_format != "identity":
            return f"encrypted for a DRM system ({self.method}, {self.key_format[:100]})"
        if self.method != "AES-128":
            return f"encrypted with {self.method[:40]}, which is not supported"
        if self.url is None:
            return "encrypted (AES-128), and the playlist names no readable URL of its key"
        return ""

    @field_validator("iv", mode="before")
    @classmethod
    def _iv_from_hex(cls, value: object) -> object:
        return bytes.fromhex(value) if isinstance(value, str) else value

    @field_serializer("iv", when_used="json")
    def _iv_to_hex(self, value: bytes | None) -> str | None:
        return None if value is None else value.hex()


class ListedSegment(Model):
    """A segment as the playlist lists it.

    Attributes:
        sequence: media sequence number, modulo 2**53.
        duration: EXTINF, in seconds; the target duration where EXTINF cannot be read.
        initialization: the EXT-X-MAP that applies to it.
        initialization_key: the key that applies to that; None when it is in the clear.
        discontinuity: EXT-X-DISCONTINUITY stands before it.
        program_date_time: wall clock of its first frame, listed or derived from one before it.
        encryption: the METHOD of the key that applies; None when it is in the clear.
        declared_gap: EXT-X-GAP stands before it.
        key: the key that applies; None when it is in the clear.
        problem: why it cannot be requested, such as a malformed URL; empty otherwise.
    """

    sequence: NonNegativeInt
    resource: Resource
    duration: NonNegativeFloat = Field(le=LONGEST_SEGMENT, allow_inf_nan=False)
    initialization: Resource | None = None
    initialization_key: SegmentKey | None = None
    discontinuity: bool = False
    program_date_time: datetime | None = None
    encryption: str | None = None
    declared_gap: bool = False
    key: SegmentKey | None = None
    problem: str = ""

    @property
    def refusal(self) -> str:
        """Why it is not even requested: it is encrypted in a way that we do not support."""
        if self.encryption is None:
            return ""
        if self.key is None:
            return f"encrypted with {self.encryption}, and there is no key"
        return self.key.refusal

    @property
    def ends_at(self) -> datetime | None:
        """Wall clock just after its last frame."""
        if self.program_date_time is None:
            return None
        return self.program_date_time + timedelta(seconds=self.duration)

    def without_first(self, seconds: float) -> ListedSegment:
        """Return the segment as if it began so many seconds later."""
        date = self.program_date_time
        return self.model_copy(
            update={
                "duration": max(0.0, self.duration - seconds),
                "program_date_time": None if date is None else date + timedelta(seconds=seconds),
            }
        )


class DateRange(Model):
    """An EXT-X-DATERANGE: `payload` decoded, `sequence` that of the segment it stands before.

    `problem` says why the payload cannot be read; it is empty then.
    """

    id: str
    start: datetime | None
    duration: NonNegativeFloat | None
    payload: str
    sequence: NonNegativeInt
    problem: str = ""


class MediaPlaylist(Model):
    """One reading of a media playlist.

    Attributes:
        target_duration: seconds; the longest listed duration where the playlist gives none.
        segments: in the order of the playlist.
        date_ranges: timed metadata, in the order of the playlist.
        ended: EXT-X-ENDLIST is present.
        vod: EXT-X-PLAYLIST-TYPE is VOD.
        media_sequence: EXT-X-MEDIA-SEQUENCE modulo 2**53; None where missing or unreadable.
        can_block_reload: the server accepts blocking playlist requests (EXT-X-SERVER-CONTROL).
        has_parts: the playlist lists partial segments (EXT-X-PART).
        dropped: how many lines of each kind could not be understood, by tag name.
    """

    target_duration: NonNegativeFloat
    segments: tuple[ListedSegment, ...] = ()
    date_ranges: tuple[DateRange, ...] = ()
    ended: bool = False
    vod: bool = False
    media_sequence: NonNegativeInt | None = None
    can_block_reload: bool = False
    has_parts: bool = False
    dropped: Mapping[str, int] = Field(default_factory=dict)


class Variant(Model):
    """One variant of a master playlist; None or empty where it does not say.

    `separate_audio` tells that its sound is in a playlist of its own.
    """

    url: str
    bandwidth: NonNegativeInt = 0
    height: NonNegativeInt | None = None
    audio_only: bool = False
    separate_audio: bool = False
    width: NonNegativeInt | None = None
    codecs: str = ""
    frame_rate: float | None = None
    audio_group: str | None = None
    subtitles_group: str | None = None

    @property
    def lines(self) -> int | None:
        """The picture's shorter side: 1080 for 1920x1080 and for 1080x1920."""
        if self.height is None or not self.width:
            return self.height
        return min(self.width, self.height)

    @property
    def name(self) -> str:
        """A name safe in a file name: `720p`, or `audio`, or by bandwidth: `1720k`."""
        if self.audio_only:
            return "audio"
        return f"{self.lines}p" if self.lines else f"{self.bandwidth // 1000}k"


class Rendition(Model):
    """An alternative rendition (EXT-X-MEDIA); `url` is None where it is part of the variants."""

    type: str
    group: str
    name: str
    language: str | None = None
    url: str | None = None
    default: bool = False
    autoselect: bool = False
    forced: bool = False


class MasterPlaylist(Model):
    """The variants to choose from.

    Attributes:
        variants: in the order of the playlist; at least one.
        captions_url: the playlist of captions, if there is one.
        renditions: audio, subtitles and other alternatives.
        variables: what EXT-X-DEFINE defines, for media playlists to import.
        dropped: how many lines of each kind could not be understood, by tag name.
    """

    variants: tuple[Variant, ...]
    captions_url: str | None = None
    renditions: tuple[Rendition, ...] = ()
    variables: Mapping[str, str] = Field(default_factory=dict)
    dropped: Mapping[str, int] = Field(default_factory=dict)
