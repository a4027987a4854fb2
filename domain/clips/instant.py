"""Playlists of instant clips: whole stored segments, played without rendering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.media.segments import SegmentRef

_HEADER: Final = 8
_LARGE_HEADER: Final = 16


@dataclass(frozen=True, kw_only=True)
class PlayableSegment:
    """A stored segment, and where a player reads it.

    `initialization` is the number of bytes before the media of fragmented MP4; 0 for other formats.
    """

    ref: SegmentRef
    url: str
    initialization: int = 0


def clip_playlist(segments: Sequence[PlayableSegment], *, start: float, is_complete: bool) -> str:
    """Return the HLS media playlist (RFC 8216) of a clip.

    Args:
        segments: the segments in order, at least one.
        start: seconds of media time at which the clip begins, where players start.
        is_complete: False while later segments of the clip are awaited; players then read the
            playlist again.
    """
    refs = [each.ref for each in segments]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(math.ceil(ref.duration) for ref in refs)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if is_complete else 'EVENT'}",
    ]
    if all(ref.starts_with_keyframe or not ref.has_video for ref in refs):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    offset = max(0.0, start - refs[0].start)
    lines.append(f"#EXT-X-START:TIME-OFFSET={offset:.3f},PRECISE=YES")
    former: PlayableSegment | None = None
    for each in segments:
        is_new = former is None or not continues(former.ref, each.ref)
        if former is not None and is_new:
            lines.append("#EXT-X-DISCONTINUITY")
        if each.initialization and is_new:
            lines.append(f'#EXT-X-MAP:URI="{each.url}",BYTERANGE="{each.initialization}@0"')
        if each.ref.program_date_time is not None:
            stamp = each.ref.program_date_time.isoformat(timespec="milliseconds")
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{stamp.replace('+00:00', 'Z')}")
        lines.append(f"#EXTINF:{each.ref.duration:.6f},")
        if each.initialization:
            media = each.ref.size - each.initialization
            lines.append(f"#EXT-X-BYTERANGE:{media}@{each.initialization}")
        lines.append(each.url)
        former = each
    if is_complete:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def initialization_size(data: bytes) -> int:
    """Return the bytes before the media of a fragmented MP4 file: those up to its `moov`'s end.

    Returns 0 if there is no `moov` (ISO/IEC 14496-12, 4.2).
    """
    at = 0
    while at + _HEADER <= len(data):
        size, header = int.from_bytes(data[at : at + 4]), _HEADER
        if size == 1:
            size, header = int.from_bytes(data[at + _HEADER : at + _LARGE_HEADER]), _LARGE_HEADER
        if size < header:
            return 0
        if data[at + 4 : at + 8] == b"moov":
            return at + size
        at += size
    return 0


def continues(former: SegmentRef, each: SegmentRef) -> bool:
    """Return True if a player can append `each` without a new initialization."""
    return (
        former.discontinuity_sequence == each.discontinuity_sequence
        and former.key.rpartition("/")[0] == each.key.rpartition("/")[0]
    )
