"""Cut a clip out of stored segments with ffmpeg: exact to the frame, playable in any browser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import av
import av.error
import ffmpeg
from ffmpeg.dag.nodes import GlobalStream, OutputStream
from pydantic import Field, NonNegativeFloat, PositiveFloat

from domain.media.packet_times import TICKS
from domain.model import Model
from infra.media.audio import RATE
from infra.media.concat import PictureRun, SourceFile, Spliced, splice
from infra.media.ffmpeg import FfmpegLimits, run_ffmpeg
from infra.media.pool import MediaPool

_THUMBNAIL_HEIGHT = 360
_WATERMARK_MARGIN = 24
_HASH_BLOCK = 1 << 20
# Repeated, since filters drop a single picture when the video changes its size.
_LOGO: dict[str, int | str] = {
    "protocol_whitelist": "file",
    "pattern_type": "none",
    "loop": 1,
    "framerate": 10,
}
_LAST_STILL = 0.5
"""Seconds before a clip's end at which its thumbnail is taken at the latest."""

_SHORTEST_HOLE = 0.5
_HOLE_INTERVALS = 3.0
"""A picture that stays for longer than half a second and three usual intervals is a fault."""

_TOP_FRAME_RATE = 120.0
_HD_HEIGHT = 720
_HDR_TRANSFERS = frozenset({16, 18})  # SMPTE ST 2084 and ARIB STD-B67 (ISO/IEC 23091-2)
_UNSPECIFIED = 2
_HD_COLOR = (1, 1, 1)
# Matrix coefficients (ISO/IEC 23091-2) as the scale filter names them; 5 and 6 are the same.
ColorMatrix = Literal["bt709", "fcc", "smpte170m", "smpte240m", "bt2020"]
_MATRICES: dict[int, ColorMatrix] = {
    1: "bt709",
    4: "fcc",
    5: "smpte170m",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
}
_INSTANT = 0.001

# After one picture out of order, ffmpeg takes all later times from decode timestamps, if it has
# any; ours follow from the presentation timestamps, which are repaired.
_PTS_ONLY: Mapping[str, str] = {"bsf:v": "setts=pts=PTS:dts=NOPTS"}
_NO_OPTIONS: Mapping[str, str] = {}

Span = tuple[float, float]


class Cut(Model):
    """What to cut: `offset` and `duration` (s) from the start of the first source file.

    `thumbnail_at` is measured from the same point.
    """

    sources: tuple[SourceFile, ...] = Field(min_length=1)
    offset: NonNegativeFloat
    duration: PositiveFloat
    thumbnail_at: NonNegativeFloat
    watermark: Path | None = None


class Rendering(Model):
    """Files just rendered; the clip begins `start` seconds after the first source.

    That is the start of the cut, or later if the media before it could not be read.

    Attributes:
        pauses: where the source itself shows one picture for long, in seconds of the clip.
        silences: where the source had sound that could not be decoded, in seconds of the clip.
        longest_still: seconds for which one picture may stay without a pause.
    """

    clip: Path
    thumbnail: Path | None
    start: NonNegativeFloat
    pauses: tuple[Span, ...] = ()
    silences: tuple[Span, ...] = ()
    longest_still: float = _SHORTEST_HOLE


class ClipFile(Model):
    """Properties of a finished file; `duration` in seconds, `size` in bytes.

    `holes` are the seconds in which its picture does not change, longer than `longest_still`, or
    in which it has no picture or sound at all.
    """

    duration: PositiveFloat
    size: int
    width: int | None
    height: int | None
    has_audio: bool
    sha256: str
    holes: tuple[Span, ...] = ()


class UnplayableClipError(Exception):
    """The encoder succeeded, but its file does not play."""


async def render(
    cut: Cut,
    *,
    pool: MediaPool,
    binary: Path,
    directory: Path,
    limits: FfmpegLimits,
    on_progress: Callable[[float], None] | None = None,
) -> Rendering:
    """Render `cut` into `directory`: an MP4 and, where there is a picture, a JPEG.

    The clip is encoded (H.264 High, AAC-LC, index in front) rather than copied: only then are its
    first and last frames exact and can a watermark be added.

    Raises:
        SpliceError: nothing in the sources can be read.
        FfmpegError: ffmpeg failed or ran into a limit.
        MediaError: reading the sources took too long or too much memory.
    """
    end = cut.offset + cut.duration
    spliced = await pool.run(
        splice,
        cut.sources,
        str(directory),
        cut.offset,
        end,
        max(cut.offset, min(cut.thumbnail_at, end - _LAST_STILL)),
    )
    clip = directory / "clip.mp4"
    thumbnail = directory / "thumbnail.jpg" if spliced.runs else None
    await run_ffmpeg(
        command(cut, spliced, binary=binary, clip=clip, thumbnail=thumbnail, limits=limits),
        limits=limits,
        on_progress=on_progress,
    )
    return Rendering(
        clip=clip,
        thumbnail=thumbnail if thumbnail is not None and thumbnail.is_file() else None,
        start=spliced.start,
        pauses=_shifted(spliced.pauses, spliced.start),
        silences=tuple(
            (first, last)
            for first, last in _shifted(spliced.silences, spliced.start)
            if last - first > _SHORTEST_HOLE
        ),
        longest_still=max(_SHORTEST_HOLE, _HOLE_INTERVALS * spliced.picture_interval),
    )


def command(
    cut: Cut,
    spliced: Spliced,
    *,
    binary: Path,
    clip: Path,
    thumbnail: Path | None,
    limits: FfmpegLimits,
) -> list[str]:
    """Return ffmpeg's command line for `cut` out of the spliced files, the binary first."""
    start, end = spliced.start, cut.offset + cut.duration
    streams: list[ffmpeg.VideoStream | ffmpeg.AudioStream] = []
    options: dict[str, str | int | float] = {
        "threads": limits.threads,
        "max_muxing_queue_size": 1024,
        "movflags": "+faststart",
    }
    if spliced.runs:
        picture = joined_picture(spliced, end=end, limits=limits)
        if cut.watermark is not None:
            logo = ffmpeg.input(cut.watermark, f="image2", extra_options=_LOGO).video
            picture = picture.overlay(
                logo,
                x=f"main_w-overlay_w-{_WATERMARK_MARGIN}",
                y=f"{_WATERMARK_MARGIN}",
                shortest=True,
            )
        split = picture.split(outputs=2)
        streams.append(split.video(0).format(pix_fmts="yuv420p"))
        options |= picture_options(spliced)
    if spliced.sound is not None:
        streams.append(joined_sound(spliced.sound, skip=start - cut.offset, limits=limits))
        options |= SOUND_OPTIONS
    movie = ffmpeg.output(
        *streams, filename=clip, t=_seconds(end - start), f="mp4", extra_options=options
    )
    outputs: OutputStream | GlobalStream = movie
    if thumbnail is not None:
        still = split.video(1).trim(start=_seconds(max(0.0, spliced.still - start - _INSTANT)))
        poster = ffmpeg.output(
            still.scale(w="-2", h=f"min({_THUMBNAIL_HEIGHT},ih)"),
            filename=thumbnail,
            f="image2",
            extra_options={"frames:v": 1, "q:v": 3, "update": 1},
        )
        outputs = ffmpeg.merge_outputs(movie, poster)
    return [
        str(binary),
        "-hide_banner",
        "-loglevel",
        "error",
        *outputs.compile(cmd=str(binary), overwrite_output=True)[1:],
    ]


SOUND_BIT_RATE = 128_000
SOUND_OPTIONS: Mapping[str, str | int] = {
    "c:a": "aac",
    "aac_coder": "fast",  # half of the CPU; decision 61 compares the two
    "b:a": SOUND_BIT_RATE,
    "ac": 2,
    "ar": RATE,
}
"""How sound is encoded for MP4."""


def picture_options(spliced: Spliced) -> dict[str, str | int | float]:
    """Return how pictures are encoded for MP4."""
    return {
        "c:v": "libx264",
        "preset": "veryfast",
        "crf": 22,
        "profile:v": "high",
        "g": 60,
        # The true time of every picture, whatever frame rates meet in a clip; x264 derives
        # the level from a rate, for which it would take the clock.
        "fps_mode:v": "vfr",
        "enc_time_base:v": f"1:{TICKS}",
        "video_track_timescale": TICKS,
        "x264-params": f"fps={top_frame_rate(spliced):.3f}",
    }


def top_frame_rate(spliced: Spliced) -> float:
    """Return the highest frame rate of joined pictures, within bounds."""
    return min(_TOP_FRAME_RATE, max(run.frame_rate for run in spliced.runs))


def joined_picture(spliced: Spliced, *, end: float, limits: FfmpegLimits) -> ffmpeg.VideoStream:
    """Return the pictures from the start of the spliced media to `end`, on a clock from 0."""
    picture = _joined(spliced, limits=limits)
    return _on_clip_clock(picture, spliced, start=spliced.start, end=end)


def joined_sound(path: Path, *, skip: float, limits: FfmpegLimits) -> ffmpeg.AudioStream:
    """Return the spliced sound without its first `skip` seconds."""
    sound = _input(path, "wav", limits=limits).audio
    skipped = _seconds(skip)
    if skipped > 0:
        sound = sound.atrim(start=skipped).asetpts(expr="PTS-STARTPTS")
    return sound


def _input(
    path: Path, form: str, *, limits: FfmpegLimits, options: Mapping[str, str] = _NO_OPTIONS
) -> ffmpeg.AVStream:
    common = {"protocol_whitelist": "file", "threads": limits.threads}
    return ffmpeg.input(path, f=form, extra_options={**common, **options})


def _joined(spliced: Spliced, *, limits: FfmpegLimits) -> ffmpeg.VideoStream:
    """Convert all runs of pictures to one format, each at its time on the media timeline."""
    main = max(spliced.runs, key=lambda run: run.seconds)
    mixed = len({_matrix(run) for run in spliced.runs}) > 1
    parts = []
    for run in spliced.runs:
        picture = _input(run.path, "mov", limits=limits, options=_PTS_ONLY).video
        picture = picture.settb(expr=f"1/{TICKS}").setpts(expr=f"PTS+{run.base}")
        if _is_hdr(run):
            picture = _tone_mapped(picture)
        picture = _fitted(picture, run, spliced)
        if mixed:
            picture = picture.scale(
                in_color_matrix=_matrix(run), out_color_matrix=_matrix(main)
            ).setparams(colorspace="bt2020nc" if _matrix(main) == "bt2020" else _matrix(main))
        parts.append(picture.format(pix_fmts="yuv420p"))
    if len(parts) == 1:
        return parts[0]
    return ffmpeg.filters.interleave(*parts).settb(expr=f"1/{TICKS}")


def color_matrix(spliced: Spliced) -> ColorMatrix:
    """Return the color matrix of the joined pictures."""
    return _matrix(max(spliced.runs, key=lambda run: run.seconds))


def color_tags(spliced: Spliced) -> tuple[int, int, int]:
    """Return matrix, transfer and primaries (ISO/IEC 23091-2) that joined pictures state."""
    main = max(spliced.runs, key=lambda run: run.seconds)
    if _is_hdr(main):
        return _HD_COLOR
    if len({_matrix(run) for run in spliced.runs}) == 1:
        return main.color
    matrix = next(number for number, name in _MATRICES.items() if name == _matrix(main))
    return matrix, *main.color[1:]


def _is_hdr(run: PictureRun) -> bool:
    return run.color[1] in _HDR_TRANSFERS and _UNSPECIFIED not in run.color


def _matrix(run: PictureRun) -> ColorMatrix:
    """Return the color matrix of a run once it has standard range; players guess it by height."""
    if _is_hdr(run):
        return "bt709"
    return _MATRICES.get(run.color[0], "bt709" if run.height >= _HD_HEIGHT else "smpte170m")


def _tone_mapped(picture: ffmpeg.VideoStream) -> ffmpeg.VideoStream:
    """Bring high dynamic range to BT.709: eight bits of it would look washed out everywhere."""
    linear = picture.zscale(transfer="linear", npl=100).format(pix_fmts="gbrpf32le")
    mapped = linear.zscale(primaries="bt709").tonemap(tonemap="hable", desat=0)
    return mapped.zscale(transfer="bt709", matrix="bt709", out_range="tv").format(
        pix_fmts="yuv420p"
    )


def _on_clip_clock(
    picture: ffmpeg.VideoStream, spliced: Spliced, *, start: float, end: float
) -> ffmpeg.VideoStream:
    """Keep the pictures of the clip; the one on screen at its start becomes its first."""
    first = min(round(spliced.first_picture * TICKS), round(end * TICKS) - 1)
    kept = picture.trim(start_pts=first, end_pts=round(end * TICKS))
    return kept.setpts(expr=f"max(PTS-{round(start * TICKS)},0)")


def _shifted(spans: Sequence[Span], by: float) -> tuple[Span, ...]:
    return tuple((first - by, last - by) for first, last in spans)


def _seconds(value: float) -> float:
    """Return a time as ffmpeg can read it: no exponent, which Python writes below 0.0001."""
    return round(value, 4)


def _fitted(picture: ffmpeg.VideoStream, run: PictureRun, spliced: Spliced) -> ffmpeg.VideoStream:
    """Bring pictures to the clip's size in square pixels, with bars where the shape changes.

    Nothing is done to pictures that have it already. 4:2:0 has even sizes only.
    """
    width, height = spliced.width, spliced.height
    aspect = "/".join(str(part) for part in run.sample_aspect)
    scaled = picture.setsar(sar=aspect).scale(
        w=f"trunc(min({width},{height}*dar)/2+0.5)*2",
        h=f"trunc(min({height},{width}/dar)/2+0.5)*2",
        out_range="tv",
    )
    return scaled.setsar(sar="1").pad(width=str(width), height=str(height), x="-1", y="-1")


def inspect(
    clip: Path, longest_still: float = _SHORTEST_HOLE, pauses: Sequence[Span] = ()
) -> ClipFile:
    """Open a finished clip as a player would; return its properties and where it shows nothing.

    Args:
        clip: the file.
        longest_still: seconds for which one picture may stay.
        pauses: where it may stay for longer.

    Raises:
        UnplayableClipError: it cannot be opened, has no frame, or does not begin with a keyframe.
    """
    try:
        with av.open(str(clip)) as container:
            if container.duration is None or container.duration <= 0:
                message = "the clip has no duration"
                raise UnplayableClipError(message)
            duration = container.duration / av.time_base
            video = container.streams.video[0] if container.streams.video else None
            has_audio = bool(container.streams.audio)
            first, shown, heard = _read_through(container)
            if first is None or (isinstance(first, av.VideoFrame) and not first.key_frame):
                message = "the clip does not begin with a whole frame"
                raise UnplayableClipError(message)
            width = video.codec_context.width if video else None
            height = video.codec_context.height if video else None
        holes = _holes(shown, duration, longest_still, pauses) if video is not None else []
        holes += _holes(heard, duration, _SHORTEST_HOLE, ()) if has_audio else []
        return ClipFile(
            duration=duration,
            size=clip.stat().st_size,
            width=width,
            height=height,
            has_audio=has_audio,
            sha256=sha256_of(clip),
            holes=tuple(sorted(holes)),
        )
    except (av.error.FFmpegError, IndexError, OSError) as error:
        message = f"the clip cannot be opened: {error}"
        raise UnplayableClipError(message) from error


def _read_through(
    container: av.container.InputContainer,
) -> tuple[Any, list[float], list[float]]:
    """Return a clip's first frame, and when each picture and each block of sound begins.

    The last time of each is when the last one ends.
    """
    main = container.streams.video[0] if container.streams.video else container.streams.audio[0]
    first: Any = None
    starts: dict[str, list[float]] = {"video": [], "audio": []}
    ends = {"video": 0.0, "audio": 0.0}
    for packet in container.demux():
        if first is None and packet.stream_index == main.index:
            first = next(iter(packet.decode()), None)
        kind, base = packet.stream.type, packet.time_base
        if packet.pts is None or base is None or kind not in starts:
            continue
        at = packet.pts * base.numerator / base.denominator
        starts[kind].append(at)
        length = (packet.duration or 0) * base.numerator / base.denominator
        ends[kind] = max(ends[kind], at + length)
    shown, heard = (sorted([*starts[kind], ends[kind]]) for kind in ("video", "audio"))
    return first, shown, heard


def _holes(
    times: Sequence[float], duration: float, longest: float, allowed: Sequence[Span]
) -> list[Span]:
    """Return the spans of more than `longest` s without anything new, except the allowed ones."""
    marks = [0.0, *(time for time in times if 0.0 < time < duration), duration]
    return [
        (before, after)
        for before, after in pairwise(marks)
        if after - before > longest
        and not any(
            first <= before + longest and after - longest <= last for first, last in allowed
        )
    ]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()
