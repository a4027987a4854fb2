"""Which qualities a stream is offered in."""

from __future__ import annotations

from typing import Final, Literal

from demo.errors import UnusableInputError
from demo.origin.packager import Variant
from demo.origin.source import Source, VideoTrack

Tracks = Literal["all", "audio", "video"]

#: Height and total bit/s of the sample master playlist in 100ms's documents.
LADDER: Final = ((720, 1_720_000), (480, 1_000_000), (360, 620_000))

AUDIO_BIT_RATE: Final = 128_000

_SMALLEST_EDGE = 16
_WIDE_ENOUGH = 2560


def keep_tracks(source: Source, tracks: Tracks) -> Source:
    """Return the source with only its sound, or only its picture.

    Raises:
        UnusableInputError: nothing would be left.
    """
    kept = source.model_copy(
        update={
            "video": None if tracks == "audio" else source.video,
            "audio": None if tracks == "video" else source.audio,
        }
    )
    if kept.video is None and kept.audio is None:
        raise UnusableInputError(f"{source.path} has no {tracks} stream.")
    return kept


def choose_variants(source: Source, *, ladder: bool, longest_gop: float) -> tuple[Variant, ...]:
    """Choose the qualities, best first: never larger than the source, and at least one.

    Args:
        source: what is to be sent.
        ladder: offer 100ms's whole ladder instead of its best step alone.
        longest_gop: pictures are sent as they are when no two keyframes are farther apart than
            this many seconds; sent as they are, they cost next to no CPU.
    """
    video = source.video
    if video is None:
        return (Variant(name="audio", bit_rate=AUDIO_BIT_RATE),)
    gap = video.keyframe_gap
    may_copy = gap is not None and gap <= longest_gop and video.width <= _WIDE_ENOUGH
    steps = [step for step in LADDER if step[0] < video.height]
    if may_copy:
        best = Variant(
            name=f"{video.height}p",
            width=video.width,
            height=video.height,
            bit_rate=source.bit_rate or LADDER[0][1],
            copy_video=True,
        )
    else:
        height, rate = next(
            (s for s in LADDER if s[0] <= video.height), (_even(video.height), LADDER[-1][1])
        )
        best = _scaled(video, height, rate)
        steps = [step for step in steps if step[0] < best.height]
    lower = tuple(_scaled(video, height, rate) for height, rate in steps) if ladder else ()
    return (best, *lower)


def _scaled(video: VideoTrack, height: int, bit_rate: int) -> Variant:
    width = _even(video.width * height / video.height)
    return Variant(name=f"{height}p", width=width, height=height, bit_rate=bit_rate)


def _even(pixels: float) -> int:
    """Round to the even number that 4:2:0 pictures need."""
    return max(_SMALLEST_EDGE, round(pixels / 2) * 2)
