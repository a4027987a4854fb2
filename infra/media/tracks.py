"""Which tracks of a segment can be used, and which of them is listened to."""

from __future__ import annotations

import re
from typing import Any, Final

import av
import av.error
from av.container import InputContainer

from domain.media.segments import AudioTrack

FORMATS: Final = "mpegts,mov,aac,mp3,ac3,eac3"
"""Demuxers that may touch a segment: those of RFC 8216, 3, and none that follows references."""

PACKED: Final = frozenset({"aac", "mp3", "ac3", "eac3"})
"""Formats that are sound alone, without a clock but for an ID3 tag (RFC 8216, 3.4)."""

PARAMETERS_IN_BAND: Final = frozenset({"h264", "hevc", "mpeg2video", "mpeg1video"})
"""Codecs whose pictures can be told without the parameters, which may lie in a segment before."""

_UNTELLING: Final = frozenset({"und", "mis", "mul", "zxx"})
_START_CODE: Final = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_HEVC_SLICES: Final = range(32)
_MPEG_SLICES: Final = range(0x01, 0xB0)


def is_usable(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Return True if a decoder exists and the stream says enough for it to start."""
    context = getattr(stream, "codec_context", None)
    if stream.type not in {"video", "audio"} or context is None or _is_cover(stream):
        return False
    return bool(context.width if stream.type == "video" else context.sample_rate)


def is_continued(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Return True if it may be the rest of a group of pictures begun in a segment before.

    Its parameters are missing then, which come with keyframes only.
    """
    context = getattr(stream, "codec_context", None)
    return stream.type == "video" and context is not None and context.name in PARAMETERS_IN_BAND


def holds_picture(codec: str, data: bytes) -> bool:
    """Return True if a packet holds a coded picture, by its start codes."""
    kinds = (found[1][0] for found in _START_CODE.finditer(data))
    if codec == "h264":
        return any(kind & 0x80 == 0 and kind & 0x1F in {1, 2, 5} for kind in kinds)
    if codec == "hevc":
        return any(kind & 0x81 == 0 and kind >> 1 in _HEVC_SLICES for kind in kinds)
    return any(kind in _MPEG_SLICES for kind in kinds)


def _is_cover(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Return True for cover art, which packed audio carries as a stream of one picture."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def audio_tracks(container: InputContainer) -> tuple[AudioTrack, ...]:
    """Return the audio tracks that can be decoded, in the container's order."""
    return tuple(
        _described(stream)
        for stream in container.streams
        if stream.type == "audio" and is_usable(stream)
    )


def audio_stream(container: InputContainer, track: int | None) -> Any:  # noqa: ANN401
    """Return the usable audio stream of this number, else the first one; None without any."""
    usable = [each for each in container.streams if each.type == "audio" and is_usable(each)]
    return next((each for each in usable if each.id == track), usable[0] if usable else None)


def _described(stream: Any) -> AudioTrack:  # noqa: ANN401 PyAV's streams share no public type
    language = str(stream.metadata.get("language", "")).lower()
    return AudioTrack(
        id=stream.id,
        language="" if language in _UNTELLING else language,
        default=bool(stream.disposition & av.stream.Disposition.default),
        codec=stream.codec_context.name,
    )
