"""Which variant of a master playlist to follow, and which renditions beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from domain.media import VariantPolicy
from domain.playlist import MasterPlaylist, Rendition, Variant

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
    """Return the variants, the best to follow first.

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
    """Return the best variant to follow, by `order_variants`."""
    return order_variants(variants, policy, master=master)[0]


def alternatives(
    master: MasterPlaylist, policy: VariantPolicy, *, url: str, name: str | None
) -> tuple[Variant, ...]:
    """Return the variants to try where following one has failed, in order.

    The same rendition comes first, at the URL that the master playlist gives it now, then its
    backups, then the others, the best first.

    Args:
        master: as it is now.
        policy: which variants to prefer.
        url: what was followed, and
        name: the variant's name.
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
    """Return True if a variant says that it holds pictures."""
    if variant.audio_only:
        return False
    named = any(each in variant.codecs.lower() for each in _VIDEO_CODECS)
    return named or variant.height is not None or variant.frame_rate is not None


def _picture_evidence(variant: Variant, least: int | None) -> int:
    """Return 2 for pictures, 1 for perhaps, 0 for none.

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
