"""What a media file holds, as far as packaging it for HLS needs to know."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from demo.errors import UnusableInputError
from demo.model import Model

_SCAN_SECONDS = 120.0
_START_TOLERANCE = 0.1


class VideoTrack(Model):
    """The picture: `keyframe_gap` is the longest distance between keyframes, in seconds.

    The gap is None where the pictures cannot be sent as they are: another codec than H.264, more
    than 8 bits, a rotation that MPEG-TS cannot carry, or a start that is no keyframe.
    """

    index: int
    width: int
    height: int
    frame_rate: float
    keyframe_gap: float | None


class AudioTrack(Model):
    """The sound; `copyable` when HLS players take it as it is (AAC, at most two channels)."""

    index: int
    copyable: bool


class Source(Model):
    """A playable file: `duration` in seconds (0 when the container does not say), rate in bit/s."""

    path: Path
    duration: float
    bit_rate: int
    video: VideoTrack | None
    audio: AudioTrack | None


def probe(path: Path) -> Source:
    """Look into a media file.

    Raises:
        UnusableInputError: the file is missing, is no media, or has neither picture nor sound.
    """
    if not path.is_file():
        raise UnusableInputError(f"There is no file {path}. Give the path of a video file.")
    try:
        with av.open(str(path)) as container:
            source = _describe(path, container)
    except (av.FFmpegError, ValueError) as error:
        raise UnusableInputError(
            f"{path} is not a media file that ffmpeg can read ({error})."
        ) from error
    if source.video is None and source.audio is None:
        raise UnusableInputError(f"{path} has neither a video nor an audio stream.")
    return source


def _describe(path: Path, container: InputContainer) -> Source:
    video = next((s for s in container.streams.video if not _is_picture(s)), None)
    audio = next(iter(container.streams.audio), None)
    audio_track = None
    if audio is not None:
        context = audio.codec_context
        copyable = context.name == "aac" and context.profile == "LC" and audio.channels <= 2  # noqa: PLR2004
        audio_track = AudioTrack(index=audio.index, copyable=copyable)
    return Source(
        path=path,
        duration=(container.duration or 0) / av.time_base,
        bit_rate=container.bit_rate or 0,
        audio=audio_track,
        video=_describe_video(container, video) if video is not None else None,
    )


def _is_picture(stream: VideoStream) -> bool:
    """Tell whether a video stream is only cover art."""
    return bool(stream.disposition & Disposition.attached_pic)


def _describe_video(container: InputContainer, stream: VideoStream) -> VideoTrack:
    width, height, rotation = stream.width, stream.height, 0
    start = (container.start_time or 0) / av.time_base
    for frame in container.decode(stream):
        width, height, rotation = frame.width, frame.height, frame.rotation
        break
    else:
        raise UnusableInputError(f"No picture in {container.name} could be decoded.")
    plain = stream.codec_context.name == "h264" and stream.codec_context.pix_fmt in {
        "yuv420p",
        "yuvj420p",
    }
    if rotation % 180:
        width, height = height, width
    return VideoTrack(
        index=stream.index,
        width=width,
        height=height,
        frame_rate=float(stream.average_rate or stream.guessed_rate or 0),
        keyframe_gap=_keyframe_gap(container, stream, start) if plain and not rotation else None,
    )


def _keyframe_gap(container: InputContainer, stream: VideoStream, start: float) -> float | None:
    """Return the longest distance between keyframes in the first two minutes, in seconds."""
    container.seek(0)
    times = [time - start for time in _keyframe_times(container, stream, start + _SCAN_SECONDS)]
    if not times or times[0] > _START_TOLERANCE:
        return None
    return max((b - a for a, b in pairwise(times)), default=0.0)


def _keyframe_times(
    container: InputContainer, stream: VideoStream, until: float
) -> Iterator[float]:
    """Yield the keyframes' times, and at last that of the last packet seen, in seconds."""
    last = None
    for packet in container.demux(stream):
        if packet.pts is None or packet.time_base is None:
            continue
        last = float(packet.pts * packet.time_base)
        if packet.is_keyframe:
            yield last
        if last > until:
            break
    if last is not None:
        yield last
