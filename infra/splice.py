"""Join stored segments into one file on one clock, without decoding. Runs in a media child process.

ffmpeg's own concatenation pairs the streams of its files by number and lines files up by whichever
stream starts first; segments of a live broadcast differ in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
import structlog
from av.bitstream import BitStreamFilterContext
from pydantic import NonNegativeFloat

from domain.model import Model
from infra.media_probe import OPTIONS

_log = structlog.get_logger(__name__)

_KINDS: Final = ("video", "audio")
_CLOCK: Final = Fraction(1, 90_000)
_LEAD_IN: Final = 10.0
"""Seconds at which the first source is written, so that what leads it has a time above zero."""

_ANNEX_B: Final = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


class SourceFile(Model):
    """A stored segment on local disk.

    Attributes:
        first_timestamp: the container's own time (s) at which the segment counts as beginning.
        start: where that lies, in seconds after the first source.
    """

    path: Path
    first_timestamp: float
    start: NonNegativeFloat = 0.0


class Spliced(Model):
    """A joined file.

    Attributes:
        start: its earliest timestamp, in seconds after the first source.
        width, height: of the first picture; None when there is none.
    """

    start: float
    has_audio: bool
    width: int | None = None
    height: int | None = None


class SpliceError(Exception):
    """Nothing in the segments can be joined; the message says why."""


def splice(sources: Sequence[SourceFile], target: str) -> Spliced:
    """Write the pictures and sound of `sources` to `target` (MPEG-TS), each at its own time.

    What cannot be read is left out, and so is a stream in another codec than those before it.

    Raises:
        SpliceError: there is nothing to write, or in a codec that MPEG-TS cannot carry.
        FileNotFoundError: a segment is no longer there.
    """
    try:
        with av.open(target, "w", format="mpegts", options={"mpegts_copyts": "1"}) as output:
            tracks = _tracks(output, sources)
            for source in sources:
                _copy(source, tracks, output)
    except FileNotFoundError:
        raise
    except av.error.FFmpegError as error:
        message = f"the segments cannot be joined: {error.strerror or error}"
        raise SpliceError(message) from error
    started = {kind: track for kind, track in tracks.items() if track.start is not None}
    if not started:
        raise SpliceError("none of the segments holds pictures or sound that can be read")
    video = started.get("video")
    return Spliced(
        start=min(track.start or 0.0 for track in started.values()) - _LEAD_IN,
        has_audio="audio" in started,
        width=video.stream.codec_context.width if video else None,
        height=video.stream.codec_context.height if video else None,
    )


class _Track:
    """One stream of the joined file, on a clock of 90 kHz."""

    def __init__(self, stream: Any, codec: str) -> None:  # noqa: ANN401 PyAV's streams share no type
        self.stream = stream
        self.codec = codec
        self.start: float | None = None
        self._last = -1

    def accepts(self, packet: av.Packet[Any], shift: float) -> bool:
        """Move a packet to the joined clock; tell whether it comes after those before it."""
        if packet.pts is None or packet.dts is None or packet.time_base is None:
            return False
        moved = round(shift / _CLOCK)
        pts = round(packet.pts * packet.time_base / _CLOCK) + moved
        dts = round(packet.dts * packet.time_base / _CLOCK) + moved
        if dts <= self._last or pts < dts:
            return False
        packet.duration = round((packet.duration or 0) * packet.time_base / _CLOCK)
        packet.time_base, packet.pts, packet.dts = _CLOCK, pts, dts
        packet.stream = self.stream
        self._last = dts
        at = float(pts * _CLOCK)
        self.start = at if self.start is None else min(self.start, at)
        return True


def _tracks(
    output: av.container.OutputContainer, sources: Sequence[SourceFile]
) -> dict[str, _Track]:
    """Open one stream for each kind, like the first source's that has it."""
    tracks: dict[str, _Track] = {}
    for source in sources:
        with (
            suppress(av.error.FFmpegError),
            av.open(str(source.path), options=OPTIONS) as container,
        ):
            for kind in _KINDS:
                stream = _stream(container, kind)
                if stream is not None and kind not in tracks:
                    made = output.add_stream_from_template(stream)
                    tracks[kind] = _Track(made, stream.codec_context.name)
        if len(tracks) == len(_KINDS):
            break
    return tracks


def _copy(
    source: SourceFile, tracks: dict[str, _Track], output: av.container.OutputContainer
) -> None:
    shift = _LEAD_IN + source.start - source.first_timestamp
    for track, packet in _packets(source, tracks):
        if track.accepts(packet, shift):
            output.mux_one(packet)


def _packets(
    source: SourceFile, tracks: dict[str, _Track]
) -> Iterator[tuple[_Track, av.Packet[Any]]]:
    """Yield what can be read of a segment; PyAV (18) stumbles where damage grows a stream."""
    try:
        with av.open(str(source.path), options=OPTIONS) as container:
            chosen = {}
            for kind, track in tracks.items():
                stream = _stream(container, kind)
                if stream is not None and stream.codec_context.name == track.codec:
                    chosen[stream.index] = (track, _filter(container, stream))
            for packet in container.demux():
                if packet.stream_index in chosen:
                    track, annex_b = chosen[packet.stream_index]
                    for each in _filtered(packet, annex_b):
                        yield track, each
    except FileNotFoundError:
        raise
    except (av.error.FFmpegError, LookupError) as error:
        _log.warning("segment_unreadable", path=source.path.name, problem=str(error))


def _filter(
    container: av.container.InputContainer,
    stream: Any,  # noqa: ANN401 PyAV's streams share no type
) -> BitStreamFilterContext | None:
    """Return what brings pictures into the form of MPEG-TS, with the source's own parameters."""
    name = _ANNEX_B.get(stream.codec_context.name)
    if name is None or "mov" not in container.format.name:
        return None
    return BitStreamFilterContext(name, stream)


def _filtered(
    packet: av.Packet[Any], annex_b: BitStreamFilterContext | None
) -> Iterator[av.Packet[Any]]:
    if annex_b is None or packet.dts is None:
        yield packet
    else:
        yield from annex_b.filter(packet)


def _stream(container: av.container.InputContainer, kind: str) -> Any:  # noqa: ANN401
    """Return the first stream of a kind that a decoder could start on."""
    return next((each for each in container.streams if each.type == kind and _usable(each)), None)


def _usable(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no type
    context = getattr(stream, "codec_context", None)
    if context is None:
        return False
    return bool(context.width if stream.type == "video" else context.sample_rate)
