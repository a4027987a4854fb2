"""HLS playlists (RFC 8216): their models, polling interval, and the choice of a variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    field_serializer,
    field_validator,
)

from domain.media.segments import VariantPolicy
from domain.model import Model

FASTEST: Final = 0.05
"""Minimum polling interval in seconds."""


UNKNOWN_PACE_DELAY: Final = 0.2
"""Seconds before the second request, while the segment interval is unknown."""


_LEARNING_RATE: Final = 0.2


_FASTER: Final = 0.75
"""Share of the known interval below which a shorter one is a new pace, not jitter."""


_LEAD: Final = 0.05
"""Share of the interval by which a request comes before the next segment is expected."""


_RETRY: Final = 0.125
"""Share of the interval after which a playlist that has not changed is requested again."""


_SHORT_LIST: Final = 3
"""Segments in a playlist below which it is requested twice per segment: one late loses media."""


def observe_interval(known: float | None, *, elapsed: float, segments: int) -> float:
    """Return the wall-clock seconds between new segments, given the latest observation.

    A much shorter interval is adopted at once, since polling late loses media. Others are averaged,
    a longer one as at most twice as long, so that a stall does not count as an interval.

    Args:
        known: the interval so far; None if unknown.
        elapsed: seconds in which the new segments appeared.
        segments: number of new segments, at least 1.
    """
    sample = elapsed / segments
    if known is None or sample < _FASTER * known:
        return sample
    return known + _LEARNING_RATE * (min(sample, 2 * known) - known)


def poll_delay(
    interval: float | None,
    *,
    target_duration: float,
    listed: int,
    idle: float,
    uncertainty: float = 0.0,
) -> float:
    """Return the seconds to wait before the next request.

    While the interval is unknown, the delay grows from `UNKNOWN_PACE_DELAY`. Then the next request
    comes shortly before the next segment is expected, and others follow at short distances until it
    is there. This finds the moment of publication: a steady playlist is requested about 1.4 times
    per segment. While the playlist stands still, the distances grow to at most a quarter of the
    time for which a segment stays listed. They are never above half the target duration, the least
    that RFC 8216, 6.3.4 asks of a client whose playlist has not changed.

    Args:
        interval: wall-clock seconds between new segments; None while unknown.
        target_duration: EXT-X-TARGETDURATION, in seconds.
        listed: number of segments in the playlist.
        idle: seconds since the playlist last changed, or was first read.
        uncertainty: seconds for which the last change may have been there before it was found.
    """
    slowest = max(FASTEST, target_duration / 2)
    if interval is None:
        return min(max(UNKNOWN_PACE_DELAY, idle), slowest)
    patient = min(idle / 8, interval * listed / 4)
    if listed < _SHORT_LIST:
        return min(max(interval / 2, patient, FASTEST), slowest)
    lead = max(_LEAD * interval, min(uncertainty, interval) / 2)
    expected = interval - lead - idle
    if expected > 0:
        return min(max(expected, FASTEST), max(FASTEST, target_duration))
    return min(max(_RETRY * interval, patient, FASTEST), slowest)


class PlaylistPace:
    """How often one playlist changes, as observed. Times are seconds of one monotonic clock.

    Args:
        interval: seconds between new segments, if known from before.
        now: when following begins.

    Attributes:
        interval: seconds of wall clock between new segments; None while unknown.
        shortest_interval: seconds that they take at least, from the first change on.
        idle_since: when the playlist last changed, or was first read; None before that.
    """

    def __init__(self, interval: float | None, *, now: float) -> None:
        self.interval = interval
        self.shortest_interval: float | None = None
        self.idle_since: float | None = None
        self._changed_at: float | None = None
        self._read_before = False
        self._requested_at = now
        self._published_after = now

    def note_read(self, *, now: float) -> None:
        """Record that the playlist was read."""
        if self.idle_since is None:
            self.idle_since = now

    def note_requested(self, *, at: float) -> None:
        """Record when the request began that was answered last."""
        self._requested_at = at

    def note_new(self, segments: int, *, now: float) -> None:
        """Record new segments in the answer to the current request."""
        # It is not known when the segments appeared that were listed at the start: until the second
        # change only the shortest possible interval is known.
        if self._changed_at is not None:
            self.interval = observe_interval(
                self.interval, elapsed=now - self._changed_at, segments=segments
            )
        elif self._read_before and self.idle_since is not None:
            self.shortest_interval = (now - self.idle_since) / segments
        # The newest segment is one interval younger than the one before, and was not yet there
        # when the last request began.
        follows = self._published_after + (1 - _LEAD) * (self.interval or 0.0) * segments
        self._published_after = max(self._requested_at, follows)
        self._changed_at = now if self._read_before else None
        self._read_before = True
        self.idle_since = now

    def delay(self, *, target_duration: float, listed: int, now: float) -> float:
        """Return the seconds to wait before the next request; arguments as for `poll_delay`."""
        since = now if self.idle_since is None else self.idle_since
        return poll_delay(
            self.interval,
            target_duration=target_duration,
            listed=listed,
            idle=now - since,
            uncertainty=since - self._published_after,
        )


LONGEST_SEGMENT: Final = 3600.0
"""Longest duration of a segment in seconds; longer ones are cut to this."""


class ByteRange(Model):
    """A part of a resource (EXT-X-BYTERANGE), in bytes."""

    offset: NonNegativeInt
    length: PositiveInt


class Resource(Model):
    """An absolute URL, or a byte range of it."""

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
        """Why segments with this key cannot be decrypted; empty if the key can be requested."""
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
        """Why it is not requested: its encryption is unsupported. Empty if it is supported."""
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
        """Return the segment without its first `seconds`."""
        date = self.program_date_time
        return self._changed(
            sequence=self.sequence,
            duration=max(0.0, self.duration - seconds),
            program_date_time=None if date is None else date + timedelta(seconds=seconds),
        )

    def renumbered(self, offset: int) -> ListedSegment:
        """Return the segment with `offset` added to its media sequence."""
        return self._changed(
            sequence=self.sequence + offset,
            duration=self.duration,
            program_date_time=self.program_date_time,
        )

    def _changed(
        self, *, sequence: int, duration: float, program_date_time: datetime | None
    ) -> ListedSegment:
        return ListedSegment(
            sequence=sequence,
            resource=self.resource,
            duration=duration,
            initialization=self.initialization,
            initialization_key=self.initialization_key,
            discontinuity=self.discontinuity,
            program_date_time=program_date_time,
            encryption=self.encryption,
            declared_gap=self.declared_gap,
            key=self.key,
            problem=self.problem,
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

    def renumbered(self, offset: int) -> DateRange:
        """Return the date range with `offset` added to its media sequence."""
        return DateRange(
            id=self.id,
            start=self.start,
            duration=self.duration,
            payload=self.payload,
            sequence=self.sequence + offset,
            problem=self.problem,
        )


class SegmentPart(Model):
    """A partial segment (EXT-X-PART); `duration` in seconds, `gap` if it is declared missing."""

    resource: Resource
    duration: NonNegativeFloat = Field(le=LONGEST_SEGMENT, allow_inf_nan=False)
    gap: bool = False


class PartialSegment(Model):
    """The listed parts of one segment, in order.

    Attributes:
        sequence: media sequence number of the segment, which may not be listed itself yet.
        parts: together they are the segment, byte by byte, once all are published.
        encrypted: a key applies to the segment.
    """

    sequence: NonNegativeInt
    parts: tuple[SegmentPart, ...]
    encrypted: bool = False


class ServerControl(Model):
    """What the server offers to clients that ask for it (EXT-X-SERVER-CONTROL).

    Attributes:
        can_block_reload: it holds a request for a playlist back until a given part is listed.
        can_skip_until: seconds from the end of the playlist before which a delta update may leave
            segments out; None without delta updates.
        can_skip_date_ranges: a delta update may leave date ranges out too.
    """

    can_block_reload: bool = False
    can_skip_until: NonNegativeFloat | None = None
    can_skip_date_ranges: bool = False


class RenditionReport(Model):
    """The last segment and part that another rendition lists (EXT-X-RENDITION-REPORT)."""

    url: str
    last_sequence: NonNegativeInt
    last_part: NonNegativeInt | None = None


class MediaPlaylist(Model):
    """One response of a media playlist.

    Attributes:
        target_duration: seconds; the longest listed duration where the playlist gives none.
        segments: in the order of the playlist.
        date_ranges: timed metadata, in the order of the playlist.
        ended: EXT-X-ENDLIST is present.
        vod: EXT-X-PLAYLIST-TYPE is VOD.
        media_sequence: EXT-X-MEDIA-SEQUENCE modulo 2**53; None where missing or unreadable.
        server: what the server offers.
        part_target: EXT-X-PART-INF, in seconds; None without parts.
        partial: segments whose parts are listed, in order; the last one may be incomplete.
        preload_hint: the part that comes next (EXT-X-PRELOAD-HINT); None if it is not known.
        reports: how far the other renditions are.
        unknown_skipped: number of skipped segments (EXT-X-SKIP) that no earlier response listed.
        dropped: number of lines that could not be parsed, by tag name. Lines that were parsed in an
            earlier response count there only.
    """

    target_duration: NonNegativeFloat
    segments: tuple[ListedSegment, ...] = ()
    date_ranges: tuple[DateRange, ...] = ()
    ended: bool = False
    vod: bool = False
    media_sequence: NonNegativeInt | None = None
    server: ServerControl = ServerControl()
    part_target: NonNegativeFloat | None = None
    partial: tuple[PartialSegment, ...] = ()
    preload_hint: Resource | None = None
    reports: tuple[RenditionReport, ...] = ()
    unknown_skipped: NonNegativeInt = 0
    dropped: Mapping[str, int] = Field(default_factory=dict)

    def parts_of(self, sequence: int) -> PartialSegment | None:
        """Return the listed parts of a segment; None without any."""
        return next((each for each in reversed(self.partial) if each.sequence == sequence), None)

    def renumbered(self, offset: int) -> MediaPlaylist:
        """Return the playlist with `offset` added to the media sequence of its segments.

        Only playlists without EXT-X-MEDIA-SEQUENCE are renumbered; their parts are not followed.
        """
        return MediaPlaylist(
            target_duration=self.target_duration,
            segments=tuple(each.renumbered(offset) for each in self.segments),
            date_ranges=tuple(each.renumbered(offset) for each in self.date_ranges),
            ended=self.ended,
            vod=self.vod,
            media_sequence=self.media_sequence,
            dropped=self.dropped,
        )


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
    """A master playlist.

    Attributes:
        variants: in the order of the playlist; at least one.
        captions_url: the playlist of captions, if there is one.
        renditions: audio, subtitles and other alternatives.
        variables: what EXT-X-DEFINE defines, for media playlists to import.
        dropped: number of lines that could not be parsed, by tag name.
    """

    variants: tuple[Variant, ...]
    captions_url: str | None = None
    renditions: tuple[Rendition, ...] = ()
    variables: Mapping[str, str] = Field(default_factory=dict)
    dropped: Mapping[str, int] = Field(default_factory=dict)


_VIDEO_CODECS: Final = ("avc", "hvc", "hev", "av01", "vp0", "vp8", "vp9", "dvh", "dva", "mp4v")


_AUDIO_CODECS: Final = ("mp4a", "ac-3", "ec-3", "ac-4", "opus", "flac", "mp3", "alac", "dts")


_CODEC_PREFERENCE: Final = (
    ("avc1", "avc3"),
    ("hvc1.1", "hev1.1"),
    ("hvc1", "hev1"),  # of these profiles HDR is made
    ("vp", "mp4v"),
    ("av01",),
)
"""Codecs by how widely and cheaply they are decoded, the best first."""


_DOLBY: Final = ("ac-3", "ec-3", "ac-4")


_SURELY_PICTURES: Final = 400_000
"""Bit/s above which a variant that does not say what it holds is taken for one with pictures."""


_SHARE_OF_PICTURES: Final = 0.25


def order_variants(
    variants: Sequence[Variant], policy: VariantPolicy, *, master: MasterPlaylist | None = None
) -> tuple[Variant, ...]:
    """Return the variants, best first.

    Pictures come before none, judged by CODECS and RESOLUTION, else by what the others say, else by
    bandwidth; sound comes before silence; then the greatest picture that is at most as high as the
    policy allows (by its shorter side, so that portrait counts like landscape), else the smallest
    above; then H.264 before other codecs, sound in the same segments before sound elsewhere, and
    bandwidth. Equal variants, such as those of a backup host, keep the order of the playlist.
    """
    known = [each.bandwidth for each in variants if shows_pictures(each)]
    least = min((each for each in known if each), default=None)

    def rank(variant: Variant) -> tuple[int, bool, bool, int, tuple[int, bool], bool, int]:
        lines = variant.lines or 0
        allowed = lines <= policy.max_height
        separate = (
            variant.separate_audio
            if master is None
            else separate_audio(master, variant) is not None
        )
        return (
            -_picture_evidence(variant, least),
            _is_silent(variant) and not separate,
            not allowed,
            -lines if allowed else lines,
            _codec_rank(variant),
            separate,
            -variant.bandwidth if allowed else variant.bandwidth,
        )

    return tuple(sorted(variants, key=rank))


def choose_variant(
    variants: Sequence[Variant], policy: VariantPolicy, *, master: MasterPlaylist | None = None
) -> Variant:
    """Return the best variant by `order_variants`."""
    return order_variants(variants, policy, master=master)[0]


def alternatives(
    master: MasterPlaylist, policy: VariantPolicy, *, url: str, name: str | None
) -> tuple[Variant, ...]:
    """Return the variants to try after one has failed, in order.

    The same variant comes first, at its current URL, then its backups, then the others, best first.

    Args:
        master: the current master playlist.
        policy: preferences.
        url: URL of the variant that failed.
        name: name of that variant.
    """
    ordered = order_variants(master.variants, policy, master=master)
    same = next((each for each in ordered if each.url == url), None)
    if same is None:
        path = urlsplit(url).path
        same = next((each for each in ordered if urlsplit(each.url).path == path), None)
    if same is None:
        same = next((each for each in ordered if each.name == name), None)
    if same is None:
        return ordered
    backups = [each for each in ordered if each is not same and _twins(each, same)]
    rest = [each for each in ordered if each is not same and not _twins(each, same)]
    return (same, *backups, *rest)


def separate_audio(master: MasterPlaylist, variant: Variant) -> Rendition | None:
    """Return the audio rendition to follow beside a variant; None when its sound is its own.

    The default of the variant's group, else the first to be selected automatically, else the first.
    A rendition without a URL is part of the variant itself.
    """
    group = [
        each
        for each in master.renditions
        if each.type == "AUDIO" and each.group == variant.audio_group
    ]
    if not group or variant.audio_group is None:
        return None
    chosen = min(group, key=lambda each: (not each.default, not each.autoselect))
    return None if chosen.url is None or chosen.url == variant.url else chosen


def captions(master: MasterPlaylist, variant: Variant) -> Rendition | None:
    """Return the subtitles to read beside a variant, if there are any.

    Those of the variant's group before others; full ones before forced ones, which hold only what
    is said in a foreign language; in the language of its sound; the default; the first.
    """
    audio = separate_audio(master, variant)
    language = audio.language if audio else None
    offered = [each for each in master.renditions if each.type == "SUBTITLES" and each.url]
    if variant.subtitles_group is not None:
        grouped = [each for each in offered if each.group == variant.subtitles_group]
        offered = grouped or offered
    return min(
        offered,
        key=lambda each: (
            each.forced,
            not each.default,
            language is not None and each.language != language,
            not each.autoselect,
        ),
        default=None,
    )


def shows_pictures(variant: Variant) -> bool:
    """Return True if a variant declares video."""
    if variant.audio_only:
        return False
    named = any(each in variant.codecs.lower() for each in _VIDEO_CODECS)
    return named or variant.height is not None or variant.frame_rate is not None


def _picture_evidence(variant: Variant, least: int | None) -> int:
    """Return 2 for video, 1 for possibly video, 0 for none.

    Args:
        variant: what is judged.
        least: lowest bandwidth of the variants that surely hold pictures; None without any.
    """
    if shows_pictures(variant):
        return 2
    if variant.audio_only or any(each in variant.codecs.lower() for each in _AUDIO_CODECS):
        return 0
    if variant.bandwidth >= _SURELY_PICTURES:
        return 2
    if least is not None and variant.bandwidth >= _SHARE_OF_PICTURES * least:
        return 2
    return 1


def _is_silent(variant: Variant) -> bool:
    """Return True if a variant's CODECS name pictures and no sound."""
    codecs = variant.codecs.lower()
    return bool(codecs) and not any(each in codecs for each in _AUDIO_CODECS)


def _codec_rank(variant: Variant) -> tuple[int, bool]:
    """Return how the pictures are coded, and whether the sound is Dolby's alone."""
    codecs = [each.strip().lower() for each in variant.codecs.split(",")]
    dolby = any(each.startswith(_DOLBY) for each in codecs)
    dolby = dolby and not any(each.startswith("mp4a") for each in codecs)
    return _video_rank(codecs), dolby


def _video_rank(codecs: Sequence[str]) -> int:
    video = [each for each in codecs if each.startswith(_VIDEO_CODECS)]
    if not video:
        return 0  # it does not say; nearly all that do not are H.264
    for rank, names in enumerate(_CODEC_PREFERENCE):
        if video[0].startswith(names):
            return rank
    return len(_CODEC_PREFERENCE)  # Dolby Vision and what is newer


def _twins(one: Variant, other: Variant) -> bool:
    """Return True if two variants offer the same rendition, from different hosts for instance."""
    fields = ("width", "height", "codecs", "frame_rate", "audio_only", "bandwidth")
    return all(getattr(one, each) == getattr(other, each) for each in fields)
