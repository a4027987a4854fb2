"""Put a separate audio rendition's sound into a segment of pictures. Runs in a media child process.

Nothing is decoded: packets are copied, so that everything that reads stored segments finds picture
and sound in one file, on the clock of the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.bitstream import BitStreamFilterContext

from domain.media.segments import AudioTrack
from domain.model import Model
from infra.media.probe import OPTIONS
from infra.media.tracks import audio_tracks

_MUXERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "ts": ("mpegts", {"mpegts_copyts": "1"}),
    "mp4": (
        "mp4",
        {
            "movflags": "frag_keyframe+delay_moov+default_base_moof+frag_discont",
            "use_editlist": "1",
        },
    ),
}


class AudioSource(Model):
    """A segment of sound on local disk; `shift` (s) brings its clock to that of the pictures."""

    path: Path
    shift: float


class AudioMuxError(Exception):
    """The sound cannot be put beside the pictures; the message says why."""


def mux_audio(
    video: str, sound: Sequence[AudioSource], target: str, suffix: str, span: tuple[float, float]
) -> tuple[AudioTrack, ...]:
    """Write the pictures of `video` and what sound lies within its time to `target`.

    Args:
        video: a segment of pictures.
        sound: segments of sound, in order.
        target: the file to write.
        suffix: of the segment: `ts` or `mp4`, which is what is written.
        span: where the pictures begin and end, in seconds of their own clock.

    Returns:
        The audio tracks written; none without any sound within that time.

    Raises:
        AudioMuxError: it cannot be done.
    """
    if suffix not in _MUXERS:
        raise AudioMuxError(f"segments of the type {suffix} hold no pictures")
    name, options = _MUXERS[suffix]
    try:
        with (
            av.open(video, options=OPTIONS) as pictures,
            av.open(target, "w", format=name, options=options) as output,
        ):
            source = pictures.streams.video[0]
            stream = output.add_stream_from_template(source)
            packets = [(packet, stream) for packet in _packets(pictures, source)]
            packets += _sound_packets(output, sound, *span, plain=suffix == "mp4")
            packets.sort(key=lambda each: float((each[0].dts or 0) * (each[0].time_base or 0)))
            heard = any(each[1] is not stream for each in packets)
            for packet, track in packets:
                packet.stream = track
                output.mux(packet)
        if not heard:
            return ()
        with av.open(target, options=OPTIONS) as written:
            return audio_tracks(written)
    except (av.error.FFmpegError, ValueError, IndexError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioMuxError(f"the sound does not go with the pictures ({reason})") from None


def _sound_packets(
    output: av.container.OutputContainer,
    sound: Sequence[AudioSource],
    start: float,
    end: float,
    *,
    plain: bool,
) -> Iterator[tuple[av.Packet[Any], Any]]:
    """Yield the packets within a time, from all sources of the same codec and form.

    `plain` asks for AAC without the ADTS headers that it has outside of MP4.
    """
    track: Any = None
    form: tuple[object, ...] = ()
    last: float | None = None
    for each in sound:
        with av.open(str(each.path), options=OPTIONS) as container:
            if not container.streams.audio:
                continue
            source = container.streams.audio[0]
            context = source.codec_context
            found = (context.name, context.sample_rate, context.channels)
            if track is None:
                track, form = output.add_stream_from_template(source), found
                if language := source.metadata.get("language"):
                    track.metadata["language"] = language
            if found != form:
                continue
            strip = plain and context.name == "aac" and not context.extradata
            for packet in (
                _without_headers(container, source) if strip else _packets(container, source)
            ):
                if packet.pts is None or packet.time_base is None:
                    continue
                offset = round(each.shift / packet.time_base)
                packet.pts += offset
                packet.dts = packet.pts
                at = float(packet.pts * packet.time_base)
                if start <= at < end and (last is None or at > last):
                    last = at
                    yield packet, track


def _without_headers(
    container: av.container.InputContainer,
    stream: Any,  # noqa: ANN401
) -> Iterator[av.Packet[Any]]:
    bare = BitStreamFilterContext("aac_adtstoasc", stream)
    for packet in _packets(container, stream):
        yield from bare.filter(packet)


def _packets(container: av.container.InputContainer, stream: Any) -> Iterator[av.Packet[Any]]:  # noqa: ANN401
    """Yield a stream's packets, up to where damaged media grows a new stream."""
    with suppress(LookupError):
        for packet in container.demux(stream):
            if packet.dts is not None and packet.size:
                yield packet
