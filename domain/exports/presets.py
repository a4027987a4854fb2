"""What the usual networks take: shape, size and length of a video.

The figures are those of each network's own page, named beside them, on 2026-11-30. Lengths, sizes
and sides are hard limits, checked on the finished file; where pages differ, the stricter counts.
Shape, resolution and loudness are what an export gets unless it says otherwise; no network states
a loudness, all play at about -14 LUFS.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

from pydantic import PositiveFloat, PositiveInt

from domain.model import Model


class PresetName(StrEnum):
    """Networks with a preset."""

    TIKTOK = "tiktok"
    REELS = "reels"
    SHORTS = "shorts"
    X = "x"
    YOUTUBE = "youtube"


class Preset(Model):
    """What a network takes: lengths in seconds, size in bytes, sides in pixels."""

    aspect: Literal["9:16", "16:9", "source"]
    resolution: Literal[720, 1080]
    loudness: Literal[-14, -16]
    shortest: PositiveFloat
    longest: PositiveFloat
    largest: PositiveInt
    shortest_side: PositiveInt = 2

    def problem(self, *, duration: float, size: int, width: int, height: int) -> str | None:
        """Return why the network would refuse a file with these properties; None if not."""
        if duration < self.shortest:
            return f"it takes {self.shortest:g} s or more, and this is {duration:.1f} s"
        if duration > self.longest:
            return f"it takes at most {self.longest:g} s, and this is {duration:.1f} s"
        if size > self.largest:
            return f"it takes at most {self.largest} bytes, and this has {size}"
        if min(width, height) < self.shortest_side:
            return (
                f"it takes pictures of {self.shortest_side} pixels a side or more, and this has "
                f"{width} x {height}"
            )
        return None


_MB: Final = 1_000_000
_GB: Final = 1_000_000_000

PRESETS: Final[Mapping[PresetName, Preset]] = {
    # https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    # (ten minutes, 4 GB, 360 pixels; accounts may have a lower limit of length)
    PresetName.TIKTOK: Preset(
        aspect="9:16",
        resolution=1080,
        loudness=-14,
        shortest=3.0,
        longest=600.0,
        largest=4 * _GB,
        shortest_side=360,
    ),
    # https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/media
    # (3 s to 15 minutes, 300 MB; it was 1 GB before)
    PresetName.REELS: Preset(
        aspect="9:16", resolution=1080, loudness=-14, shortest=3.0, longest=900.0, largest=300 * _MB
    ),
    # https://support.google.com/youtube/answer/15424877 (three minutes) and /answer/71673 (size)
    PresetName.SHORTS: Preset(
        aspect="9:16", resolution=1080, loudness=-14, shortest=1.0, longest=180.0, largest=256 * _GB
    ),
    # https://docs.x.com/x-api/media/quickstart/best-practices
    # (0.5 to 140 s, 512 MB; longer videos are for paying accounts only)
    PresetName.X: Preset(
        aspect="source",
        resolution=720,
        loudness=-14,
        shortest=0.5,
        longest=140.0,
        largest=512 * _MB,
    ),
    # https://support.google.com/youtube/answer/71673
    PresetName.YOUTUBE: Preset(
        aspect="16:9",
        resolution=1080,
        loudness=-14,
        shortest=1.0,
        longest=43_200.0,
        largest=256 * _GB,
    ),
}
