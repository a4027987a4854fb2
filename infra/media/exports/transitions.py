"""Transitions between the clips of a reel.

Each clip becomes a file that begins with the end of the clip before it, faded into this one. All
files have one size, frame rate, and sound or none, so that they are joined like segments. They are
made one after the other: memory does not depend on the number of clips.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Final, Literal

import ffmpeg

from domain.exports.reels import Transition, TransitionKind
from domain.media.packet_times import TICKS
from infra.media.audio import RATE
from infra.media.concat import SourceFile, Spliced, splice
from infra.media.ffmpeg import FfmpegLimits, run_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import ColorMatrix, color_matrix, joined_picture, joined_sound

_SPARE: Final = 1.0
"""Seconds by which the last picture is repeated, for clips that end before they should."""

_NTSC: Final = Fraction(1000, 1001)
_RATES: Final = (
    *(rate * _NTSC for rate in (24, 30, 60)),
    *(Fraction(rate) for rate in (24, 25, 30, 50, 60)),
)
_SAME_RATE: Final = 0.005
_DEFAULT_RATE: Final = Fraction(25)
_EFFECTS: Final[Mapping[TransitionKind, Literal["fade", "fadeblack"]]] = {
    TransitionKind.FADE: "fadeblack",
    TransitionKind.DISSOLVE: "fade",
}
# Nearly without loss, since the film is encoded once more. Without B-frames every file begins at 0.
_PICTURES: Final[Mapping[str, str | int]] = {
    "c:v": "libx264",
    "preset": "superfast",
    "crf": 12,
    "bf": 0,
    "g": 60,
    "video_track_timescale": TICKS,
}


@dataclass(frozen=True)
class _Clip:
    """Pictures and sound of `begin`..`end` (s) of a clip."""

    media: Spliced
    begin: float
    end: float


@dataclass(frozen=True)
class _Shape:
    """What all files of a reel have in common; `width` is 0 for sound only."""

    width: int
    height: int
    rate: Fraction
    matrix: ColorMatrix
    has_sound: bool


async def joined_by(
    transition: Transition,
    clips: Sequence[SourceFile],
    *,
    directory: Path,
    pool: MediaPool,
    binary: Path,
    limits: FfmpegLimits,
) -> tuple[SourceFile, ...]:
    """Return files that, one after the other, show clips of known durations with transitions.

    Raises:
        SpliceError: nothing in a clip can be read.
        FfmpegError: ffmpeg failed or ran into a limit.
        MediaError: reading a clip took too long or too much memory.
    """
    lengths = [clip.duration or 0.0 for clip in clips]
    overlap = transition.overlap
    whole = [
        await _spliced(clip, directory / f"clip{place}", 0.0, length, pool)
        for place, (clip, length) in enumerate(zip(clips, lengths, strict=True))
    ]
    shape = _shape(whole)
    starts = [0.0, *accumulate(length - overlap for length in lengths[:-1])]
    starts.append(starts[-1] + lengths[-1])
    # All begin on whole pictures, so that sound and pictures of a clip begin together.
    marks = [round(start * shape.rate) for start in starts]
    files: list[SourceFile] = []
    before: _Clip | None = None
    for place, (clip, length) in enumerate(zip(clips, lengths, strict=True)):
        target = directory / f"shot{place}.mov"
        command = _command(
            before,
            whole[place],
            shape,
            transition,
            binary=binary,
            pictures=marks[place + 1] - marks[place],
            target=target,
            limits=limits,
        )
        await run_ffmpeg(command, limits=limits)
        files.append(
            SourceFile(
                path=target,
                first_timestamp=0.0,
                start=float(marks[place] / shape.rate),
                duration=float((marks[place + 1] - marks[place]) / shape.rate),
            )
        )
        if before is not None:
            await asyncio.to_thread(shutil.rmtree, directory / "tail")
        await asyncio.to_thread(shutil.rmtree, directory / f"clip{place}")
        if place + 1 < len(clips):
            before = await _spliced(clip, directory / "tail", length - overlap, length, pool)
    return tuple(files)


async def _spliced(
    clip: SourceFile, directory: Path, begin: float, end: float, pool: MediaPool
) -> _Clip:
    await asyncio.to_thread(directory.mkdir)
    alone = SourceFile(path=clip.path, first_timestamp=0.0, duration=clip.duration)
    return _Clip(await pool.run(splice, (alone,), str(directory), begin, end, begin), begin, end)


def _shape(clips: Sequence[_Clip]) -> _Shape:
    """Return size and frame rate of most of a reel."""
    sizes: Counter[tuple[int, int]] = Counter()
    rates: Counter[Fraction] = Counter()
    for clip in clips:
        media, weight = clip.media, round((clip.end - clip.begin) * 1000)
        if media.width is not None and media.height is not None:
            sizes[media.width, media.height] += weight
            rates[_rate(media)] += weight
    has_sound = any(clip.media.has_audio for clip in clips)
    if not sizes:
        return _Shape(0, 0, _DEFAULT_RATE, "bt709", has_sound)
    (size, _), (rate, _) = sizes.most_common(1)[0], rates.most_common(1)[0]
    of_size = next(clip.media for clip in clips if (clip.media.width, clip.media.height) == size)
    return _Shape(*size, rate, color_matrix(of_size), has_sound)


def _rate(media: Spliced) -> Fraction:
    if media.picture_interval <= 0.0:
        return _DEFAULT_RATE
    found = 1.0 / media.picture_interval
    nearest = min(_RATES, key=lambda rate: abs(float(rate) - found))
    if abs(float(nearest) - found) <= _SAME_RATE * found:
        return nearest
    return min(max(_RATES), Fraction(found).limit_denominator(1001))


def _command(
    before: _Clip | None,
    clip: _Clip,
    shape: _Shape,
    transition: Transition,
    *,
    binary: Path,
    pictures: int,
    target: Path,
    limits: FfmpegLimits,
) -> list[str]:
    """Return the command that makes one file: so many pictures, from the end of `before` on."""
    seconds = pictures / shape.rate
    streams: list[ffmpeg.VideoStream | ffmpeg.AudioStream] = []
    options: dict[str, str | int | float] = {"threads": limits.threads}
    if shape.width:
        picture = _picture(clip, shape, limits=limits)
        if before is not None:
            ended = _picture(before, shape, limits=limits)
            picture = ended.xfade(
                picture,
                transition=_EFFECTS[transition.kind],
                duration=transition.overlap,
                offset=0,
            )
        streams.append(picture.trim(end_frame=pictures).setpts(expr="PTS-STARTPTS"))
        options |= dict(_PICTURES)
    if shape.has_sound:
        sound = _sound(clip, samples=round(seconds * RATE), limits=limits)
        if before is not None:
            shared = round(transition.overlap * RATE)
            ended_sound = _sound(before, samples=shared, limits=limits)
            # Of equal power: the sounds of two clips have nothing in common.
            ending = ended_sound.afade(type="out", nb_samples=shared, curve="qsin")
            begun = sound.afade(type="in", nb_samples=shared, curve="qsin")
            sound = ffmpeg.filters.amix(ending, begun, duration="longest", normalize=False)
        streams.append(sound)
        options["c:a"] = "pcm_s16le"
    output = ffmpeg.output(*streams, filename=target, f="mov", extra_options=options)
    quiet = ("-hide_banner", "-loglevel", "error")
    return [str(binary), *quiet, *output.compile(cmd=str(binary), overwrite_output=True)[1:]]


def _picture(clip: _Clip, shape: _Shape, *, limits: FfmpegLimits) -> ffmpeg.VideoStream:
    """Return the pictures of a clip in the shape of the reel, the last one repeated for a while."""
    media, rate = clip.media, str(shape.rate)
    if not media.runs:
        blank = ffmpeg.sources.color(
            size=f"{shape.width}x{shape.height}",
            rate=rate,
            duration=round(clip.end - clip.begin + _SPARE, 4),
        )
        return blank.format(pix_fmts="yuv420p")
    picture = joined_picture(media, end=clip.end, limits=limits).scale(
        w=str(shape.width),
        h=str(shape.height),
        force_original_aspect_ratio="decrease",
        force_divisible_by=2,
        in_color_matrix=color_matrix(media),
        out_color_matrix=shape.matrix,
    )
    padded = picture.setsar(sar="1").pad(
        width=str(shape.width), height=str(shape.height), x="-1", y="-1"
    )
    steady = padded.fps(fps=rate, start_time=0.0)
    return steady.tpad(stop_mode="clone", stop_duration=_SPARE).format(pix_fmts="yuv420p")


def _sound(clip: _Clip, *, samples: int, limits: FfmpegLimits) -> ffmpeg.AudioStream:
    """Return so many samples of a clip's sound, with silence where it has none."""
    media = clip.media
    if media.sound is None:
        sound = ffmpeg.sources.anullsrc(channel_layout="stereo", sample_rate=RATE)
    else:
        skip = media.start - clip.begin
        sound = joined_sound(media.sound, skip=skip, limits=limits).apad()
    return sound.atrim(end_sample=samples)
