"""Cut a clip out of stored segments with ffmpeg: exact to the frame, playable in any browser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import av
import av.error
import ffmpeg
from ffmpeg.dag.nodes import GlobalStream, OutputStream
from pydantic import Field, NonNegativeFloat, PositiveFloat

from domain.model import Model
from infra.ffmpeg import FfmpegLimits, run_ffmpeg
from infra.media_pool import MediaPool
from infra.splice import SourceFile, Spliced, splice

_THUMBNAIL_HEIGHT = 360
_WATERMARK_MARGIN = 24
_HASH_BLOCK = 1 << 20
_FILL_HOLES: dict[str, int | float] = {"async": 1, "first_pts": 0, "min_hard_comp": 0.02}
# Shown again and again, since filters forget a single picture when the video changes its size.
_LOGO: dict[str, int | str] = {
    "protocol_whitelist": "file",
    "pattern_type": "none",
    "loop": 1,
    "framerate": 10,
}
_LAST_STILL = 0.5
"""Seconds before a clip's end at which its thumbnail is taken at the latest."""


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

    That is where the cut asks, or later when the media before could not be read.
    """

    clip: Path
    thumbnail: Path | None
    start: NonNegativeFloat


class ClipFile(Model):
    """What a finished file turned out to be; `duration` in seconds, `size` in bytes."""

    duration: PositiveFloat
    size: int
    width: int | None
    height: int | None
    has_audio: bool
    sha256: str


class UnplayableClipError(Exception):
    """The encoder ended well, yet its file does not play."""


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

    The clip is encoded anew (H.264 High, AAC-LC, index in front) rather than copied, since only
    so do its first and last frame lie where the cut asks and does a watermark become part of it.

    Raises:
        SpliceError: nothing in the sources can be read.
        FfmpegError: ffmpeg failed or ran into a limit.
        MediaError: reading the sources took too long or too much memory.
    """
    joined = directory / "joined.ts"
    spliced = await pool.run(splice, cut.sources, str(joined))
    clip = directory / "clip.mp4"
    thumbnail = directory / "thumbnail.jpg" if spliced.width is not None else None
    await run_ffmpeg(
        command(
            cut,
            spliced,
            binary=binary,
            joined=joined,
            clip=clip,
            thumbnail=thumbnail,
            limits=limits,
        ),
        limits=limits,
        on_progress=on_progress,
    )
    return Rendering(
        clip=clip,
        thumbnail=thumbnail if thumbnail is not None and thumbnail.is_file() else None,
        start=max(cut.offset, spliced.start),
    )


def command(
    cut: Cut,
    spliced: Spliced,
    *,
    binary: Path,
    joined: Path,
    clip: Path,
    thumbnail: Path | None,
    limits: FfmpegLimits,
) -> list[str]:
    """Return ffmpeg's command line for `cut` out of the joined file, the binary first."""
    source = ffmpeg.input(
        joined,
        f="mpegts",
        extra_options={
            "protocol_whitelist": "file",
            "fflags": "+genpts+discardcorrupt",
            "threads": limits.threads,
        },
    )
    # ffmpeg counts from the joined file's earliest timestamp, the cut from its first source.
    start = max(cut.offset, spliced.start)
    end = cut.offset + cut.duration
    still_at = max(start, min(cut.thumbnail_at, end - _LAST_STILL))
    streams: list[ffmpeg.VideoStream | ffmpeg.AudioStream] = []
    if spliced.width is not None and spliced.height is not None:
        picture = _fitted(source.video, width=spliced.width, height=spliced.height)
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
    if spliced.has_audio:
        # Holes in the sound become silence: closed up, they would put it ahead of the picture.
        streams.append(source.audio.aresample(extra_options=_FILL_HOLES))
    options: dict[str, str | int | float] = {
        "threads": limits.threads,
        "max_muxing_queue_size": 1024,
        "movflags": "+faststart",
    }
    if spliced.width is not None:
        options |= {
            "c:v": "libx264",
            "preset": "veryfast",
            "crf": 22,
            "profile:v": "high",
            "g": 60,
        }
    if spliced.has_audio:
        options |= {"c:a": "aac", "b:a": "128k", "ac": 2, "ar": 48_000}
    movie = ffmpeg.output(
        *streams,
        filename=clip,
        ss=_seconds(start - spliced.start),
        t=_seconds(end - start),
        f="mp4",
        extra_options=options,
    )
    outputs: OutputStream | GlobalStream = movie
    if thumbnail is not None:
        still = split.video(1).scale(w="-2", h=f"min({_THUMBNAIL_HEIGHT},ih)")
        poster = ffmpeg.output(
            still,
            filename=thumbnail,
            ss=_seconds(still_at - spliced.start),
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


def _seconds(value: float) -> float:
    """Return a time as ffmpeg can read it: no exponent, which Python writes below 0.0001."""
    return round(value, 4)


def _fitted(picture: ffmpeg.VideoStream, *, width: int, height: int) -> ffmpeg.VideoStream:
    """Bring all pictures to one even size (4:2:0 has no other), with bars where the shape changes.

    Nothing is done to pictures that have it already.
    """
    width, height = width - width % 2, height - height % 2
    scaled = picture.scale(w=str(width), h=str(height), force_original_aspect_ratio="decrease")
    return scaled.pad(width=str(width), height=str(height), x="-1", y="-1")


def inspect(clip: Path) -> ClipFile:
    """Open a finished clip as a player would and say what it is.

    Raises:
        UnplayableClipError: it cannot be opened, has no frame, or does not begin with a keyframe.
    """
    try:
        with av.open(str(clip)) as container:
            if container.duration is None or container.duration <= 0:
                message = "the clip has no duration"
                raise UnplayableClipError(message)
            video = container.streams.video[0] if container.streams.video else None
            first = next(iter(container.decode(video or container.streams.audio[0])), None)
            if first is None or (isinstance(first, av.VideoFrame) and not first.key_frame):
                message = "the clip does not begin with a whole frame"
                raise UnplayableClipError(message)
            return ClipFile(
                duration=container.duration / av.time_base,
                size=clip.stat().st_size,
                width=video.codec_context.width if video else None,
                height=video.codec_context.height if video else None,
                has_audio=bool(container.streams.audio),
                sha256=_sha256(clip),
            )
    except (av.error.FFmpegError, IndexError, OSError) as error:
        message = f"the clip cannot be opened: {error}"
        raise UnplayableClipError(message) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()
