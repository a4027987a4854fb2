"""Stored segments as one MP4 file for a model to watch. Runs in a media child process.

MPEG-TS is not among the formats that Gemini takes, so what was spliced is put into MP4, without
being encoded anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import av
import av.error

from domain.model import Model
from infra.media_probe import OPTIONS
from infra.splice import SourceFile, SpliceError, splice

MIME_TYPE: Final = "video/mp4"
_CLOCK: Final = 90_000
"""Ticks a second of every stream in MPEG-TS (ISO/IEC 13818-1, 2.4.3.7)."""


class PieceFile(Model):
    """A written file: `start` in seconds after the first source, `duration` in seconds."""

    start: float
    duration: float


def write_piece(sources: Sequence[SourceFile], target: Path) -> PieceFile:
    """Write `sources` to `target` as MP4 whose clock begins at its first picture or sound.

    Raises:
        SpliceError: there is no picture that could be written.
        FileNotFoundError: a segment is no longer there.
    """
    joined = target.with_suffix(".ts")
    try:
        spliced = splice(sources, str(joined))
        if spliced.width is None:
            raise SpliceError("none of the segments holds pictures that can be read")
        end = _remux(joined, target)
    except av.error.FFmpegError as error:
        message = f"the piece cannot be written: {error.strerror or error}"
        raise SpliceError(message) from error
    finally:
        joined.unlink(missing_ok=True)
    return PieceFile(start=spliced.start, duration=end)


def _remux(source: Path, target: Path) -> float:
    """Copy all packets, the earliest of them at zero; return where the last one ends (s)."""
    with (
        av.open(str(source), "r", options=OPTIONS) as before,
        av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as after,
    ):
        streams: dict[int, Any] = {
            stream.index: after.add_stream_from_template(stream)
            for stream in before.streams
            if stream.type in {"video", "audio"}
        }
        packets = [each for each in before.demux() if each.stream_index in streams]
        first = min((each.pts for each in packets if each.pts is not None), default=0)
        end = 0
        for packet in packets:
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            end = max(end, packet.pts + (packet.duration or 0))
            packet.stream = streams[packet.stream_index]
            after.mux_one(packet)
    return end / _CLOCK
