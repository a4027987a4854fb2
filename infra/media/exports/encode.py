"""The ffmpeg command that makes many renditions out of one decoded source."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import ffmpeg
from ffmpeg.dag.nodes import GlobalStream, OutputStream

from domain.exports.cards import NO_CARDS, Card, Cards
from domain.exports.models import (
    LONGEST_PREVIEW,
    MOVIES,
    PREVIEWS,
    Aspect,
    Corner,
    ExportSpec,
    Fit,
    RenditionFormat,
    RenditionSpec,
    Watermark,
)
from domain.model import Model
from infra.media.concat import Spliced
from infra.media.exports.cards import with_cards, with_silence
from infra.media.exports.subtitles import clock
from infra.media.exports.tracking import Track, tracked
from infra.media.ffmpeg import FfmpegLimits
from infra.media.render import (
    SOUND_BIT_RATE,
    SOUND_OPTIONS,
    joined_picture,
    joined_sound,
    picture_options,
)

_PREVIEW_RATE: Final = 10
_CANDIDATE_RATE: Final = 2.0
_MOST_CANDIDATES: Final = 60
_TILE_HEIGHT: Final = 90
_TILE_COLUMNS: Final = 10
_MOST_TILES: Final = 100
_TRUE_PEAK: Final = -1.5
_WIDEST_RANGE: Final = 50.0
_BLUR: Final = 20.0
# The part of a network's size limit that an encoder is allowed; the rest is for its mistakes.
_SIZE_SHARE: Final = 0.9

# The encoder's fast mode: the other takes many times as long.
_VP9: Final[Mapping[str, str | int]] = {
    "c:v": "libvpx-vp9",
    "crf": 34,
    "b:v": 0,
    "row-mt": 1,
    "deadline": "realtime",
    "cpu-used": 6,
    "fps_mode:v": "vfr",
}

_NO_FILES: Final[Mapping[Card, Path]] = {}

_Options = dict[str, str | int | float]
_K = TypeVar("_K")
_S = TypeVar("_S", ffmpeg.VideoStream, ffmpeg.AudioStream)


class Look(NamedTuple):
    """What the pictures of a rendition look like; equal looks are made once."""

    width: int
    height: int
    reshaped: bool
    fit: Fit
    watermark: bool
    lower_third: bool = False
    captions: bool = False

    def is_tracked(self, spliced: Spliced) -> bool:
        """Return True if a part of the source's picture is shown that follows the action."""
        return (
            self.reshaped
            and self.fit is Fit.TRACK
            and spliced.width is not None
            and spliced.height is not None
            # Rounding to even pixels is no reason to crop.
            and abs(self.width * spliced.height - self.height * spliced.width)
            > 2 * max(spliced.width, spliced.height)
        )


class Encoding(NamedTuple):
    """One encoded file. Renditions with equal encodings share it.

    Attributes:
        look: of the pictures; None without any.
        loudness: target (LUFS), None to leave the sound as it is.
        bit_rate: most bits per second that its network's size limit allows.
        cards: whether it is a movie between the export's cards.
    """

    format: RenditionFormat
    look: Look | None
    loudness: int | None
    bit_rate: int | None
    cards: bool = False

    @property
    def has_sound(self) -> bool:
        """Return True if its format has sound."""
        return self.format in MOVIES or self.format is RenditionFormat.AUDIO


class Loudness(Model):
    """Loudness of a sound by EBU R128: LUFS, LU and dBTP; `threshold` and `offset` for loudnorm."""

    integrated: float
    range: float
    true_peak: float
    threshold: float
    offset: float = 0.0


class Storyboard(Model):
    """Where the pictures of a storyboard are: `interval` in seconds, sizes in pixels."""

    interval: float
    count: int
    width: int
    height: int

    @classmethod
    def of(cls, duration: float, width: int, height: int) -> Storyboard:
        """Return the storyboard of a movie of that duration (s) and size (pixels)."""
        interval = max(1.0, math.ceil(duration / _MOST_TILES))
        tile_width = max(2, 2 * round(width * _TILE_HEIGHT / height / 2))
        return cls(
            interval=interval,
            count=max(1, math.ceil(duration / interval)),
            width=tile_width,
            height=_TILE_HEIGHT,
        )

    @property
    def columns(self) -> int:
        """Pictures side by side."""
        return min(self.count, _TILE_COLUMNS)

    @property
    def rows(self) -> int:
        """Rows of pictures."""
        return math.ceil(self.count / self.columns)

    def webvtt(self, duration: float, *, lead: float = 0.0) -> str:
        """Return the WebVTT that says which part of the file shows which seconds.

        `lead` is how many seconds of the movie come before the first picture.
        """
        lines = ["WEBVTT", ""]
        for number in range(self.count):
            start = number * self.interval
            x, y = number % self.columns * self.width, number // self.columns * self.height
            lines += [
                f"{clock(lead + start)} --> {clock(lead + min(duration, start + self.interval))}",
                f"{{file}}#xywh={x},{y},{self.width},{self.height}",
                "",
            ]
        return "\n".join(lines)


def encoding_of(
    rendition: RenditionSpec, spec: ExportSpec, spliced: Spliced, *, duration: float
) -> Encoding:
    """Return what to encode for a rendition of an export's source of that duration (s)."""
    look = None
    if rendition.has_picture and spliced.width is not None and spliced.height is not None:
        width, height = rendition.size_in(spliced.width, spliced.height)
        look = Look(
            width=width,
            height=height,
            reshaped=rendition.effective_aspect is not Aspect.SOURCE,
            fit=rendition.effective_fit,
            watermark=spec.watermark is not None and rendition.watermark,
            lower_third=spec.lower_third is not None
            and rendition.lower_third
            and rendition.format in MOVIES,
            captions=rendition.captions,
        )
    cards = spec.cards_of(rendition)
    bit_rate = None
    if rendition.network is not None:
        length = duration + cards.seconds
        bit_rate = int(rendition.network.largest * 8 * _SIZE_SHARE / length) - SOUND_BIT_RATE
    format_ = rendition.format
    return Encoding(
        # A playlist of the same movie needs no other encoder.
        format=RenditionFormat.MP4 if format_ is RenditionFormat.HLS else format_,
        look=look,
        loudness=rendition.effective_loudness if spliced.sound is not None else None,
        bit_rate=bit_rate if bit_rate is not None and bit_rate < 50_000_000 else None,  # noqa: PLR2004
        cards=bool(cards) and rendition.format in MOVIES,
    )


def encode_command(
    encodings: Mapping[Encoding, Path],
    spliced: Spliced,
    *,
    binary: Path,
    offset: float,
    end: float,
    loudness: Mapping[int, Loudness],
    watermark: Watermark | None,
    logo: Path | None,
    texts: Mapping[Look, Path],
    tracks: Mapping[Look, Track],
    limits: FfmpegLimits,
    cards: Cards = NO_CARDS,
    card_files: Mapping[Card, Path] = _NO_FILES,
) -> list[str]:
    """Return the command line that makes all `encodings`, the binary first.

    Args:
        encodings: what to make, and where.
        spliced: the source.
        binary: ffmpeg.
        offset: seconds after the first source at which the sound begins.
        end: seconds after the first source at which everything ends.
        loudness: of the source's sound, by target.
        watermark: what looks with a watermark show.
        logo: its picture, if it is one.
        texts: subtitles to draw, by look.
        tracks: of crops that follow the action, by look.
        limits: of the process.
        cards: shown by all of them before and after the source.
        card_files: pictures of the cards.
    """
    duration = end - spliced.start
    pictures: dict[Encoding, ffmpeg.VideoStream] = {}
    sounds: dict[Encoding, ffmpeg.AudioStream] = {}
    seen = [each for each in encodings if each.look is not None]
    if seen:
        # Pictures that are marked as interlaced only; others pass.
        picture = joined_picture(spliced, end=end, limits=limits).bwdif(
            mode="send_frame", deint="interlaced"
        )
        for look, part in _shared(picture, _by(seen, lambda each: each.look)):
            assert look is not None  # noqa: S101 - for mypy; `seen` has no other
            shown = _shaped(part, look, spliced, tracks.get(look))
            if look.watermark and watermark is not None and logo is not None:
                shown = _marked(shown, look, watermark, logo)
            if look in texts:
                shown = shown.ass(filename=str(texts[look]), shaping="complex")
            shown = shown.format(pix_fmts="yuv420p")
            if cards:
                size = look.width, look.height
                shown = with_cards(shown, cards, card_files, spliced, size=size, duration=duration)
            pictures |= dict(_shared(shown, {each: [each] for each in seen if each.look == look}))
    heard = [each for each in encodings if each.has_sound]
    if heard and spliced.sound is not None:
        sound = joined_sound(spliced.sound, skip=spliced.start - offset, limits=limits)
        sounds = _sounds(sound, heard, loudness, cards, duration=duration)
    length = duration + cards.seconds
    outputs = [
        _output(each, path, pictures.get(each), sounds.get(each), spliced, duration=length)
        for each, path in encodings.items()
    ]
    joined: OutputStream | GlobalStream = outputs[0]
    if len(outputs) > 1:
        joined = ffmpeg.merge_outputs(*outputs)
    return [
        str(binary),
        "-hide_banner",
        "-loglevel",
        "error",
        *joined.compile(cmd=str(binary), overwrite_output=True)[1:],
    ]


def _sounds(
    sound: ffmpeg.AudioStream,
    encodings: Sequence[Encoding],
    loudness: Mapping[int, Loudness],
    cards: Cards,
    *,
    duration: float,
) -> dict[Encoding, ffmpeg.AudioStream]:
    """Return the sound of each encoding of a source of that duration (s)."""
    sounds: dict[Encoding, ffmpeg.AudioStream] = {}
    for target, plain in _shared(sound, _by(encodings, lambda each: each.loudness)):
        leveled = plain
        if target is not None and target in loudness:
            leveled = _leveled(plain, target, loudness[target])
        if cards:
            leveled = with_silence(leveled, cards, duration=duration)
        alike = dict.fromkeys(each for each in encodings if each.loudness == target)
        sounds |= dict(_shared(leveled, alike))
    return sounds


def _by(
    encodings: Sequence[Encoding], key: Callable[[Encoding], _K]
) -> Mapping[_K, list[Encoding]]:
    found: dict[_K, list[Encoding]] = defaultdict(list)
    for each in encodings:
        found[key(each)].append(each)
    return found


def _shared(stream: _S, uses: Mapping[_K, object]) -> Iterator[tuple[_K, _S]]:
    """Yield the stream for each of its uses; a split is made only if there are several."""
    if len(uses) == 1:
        yield next(iter(uses)), stream
        return
    copies: Any
    if isinstance(stream, ffmpeg.VideoStream):
        split = stream.split(outputs=len(uses))
        copies = [split.video(number) for number in range(len(uses))]
    else:
        split = stream.asplit(outputs=len(uses))
        copies = [split.audio(number) for number in range(len(uses))]
    yield from zip(uses, copies, strict=True)


def _shaped(
    picture: ffmpeg.VideoStream, look: Look, spliced: Spliced, track: Track | None
) -> ffmpeg.VideoStream:
    """Bring pictures of the source's size to a look's shape and size."""
    width, height = look.width, look.height
    if (width, height) == (spliced.width, spliced.height):
        return picture
    if not look.reshaped:
        return picture.scale(w=str(width), h=str(height)).setsar(sar="1")
    if track is not None:
        return tracked(picture, track, (width, height))
    if look.fit is not Fit.PAD:
        return _cropped(picture, width, height)
    split = picture.split(outputs=2)
    behind = _cropped(split.video(0), width, height).gblur(sigma=_BLUR * min(width, height) / 720)
    whole = split.video(1).scale(
        w=str(width), h=str(height), force_original_aspect_ratio="decrease", force_divisible_by=2
    )
    return behind.overlay(whole.setsar(sar="1"), x="(W-w)/2", y="(H-h)/2")


def _cropped(picture: ffmpeg.VideoStream, width: int, height: int) -> ffmpeg.VideoStream:
    middle = picture.crop(
        out_w=f"min(iw,ih*{width}/{height})", out_h=f"min(ih,iw*{height}/{width})"
    )
    return middle.scale(w=str(width), h=str(height)).setsar(sar="1")


def _marked(
    picture: ffmpeg.VideoStream, look: Look, watermark: Watermark, file: Path
) -> ffmpeg.VideoStream:
    """Draw the picture of a watermark."""
    shorter = min(look.width, look.height)
    margin, height = round(watermark.margin * shorter), max(2, round(watermark.scale * shorter))
    left = watermark.position in {Corner.TOP_LEFT, Corner.BOTTOM_LEFT}
    top = watermark.position in {Corner.TOP_LEFT, Corner.TOP_RIGHT}
    logo = ffmpeg.input(
        file,
        f="image2",
        extra_options={
            "protocol_whitelist": "file",
            "pattern_type": "none",
            "loop": 1,
            "framerate": _PREVIEW_RATE,
        },
    ).video
    logo = logo.scale(w="-2", h=str(height)).format(pix_fmts="rgba")
    logo = logo.colorchannelmixer(aa=watermark.opacity)
    return picture.overlay(
        logo,
        x=str(margin) if left else f"main_w-overlay_w-{margin}",
        y=str(margin) if top else f"main_h-overlay_h-{margin}",
        shortest=True,
    )


def _leveled(sound: ffmpeg.AudioStream, target: int, measured: Loudness) -> ffmpeg.AudioStream:
    """Bring a measured sound to its target by one gain, if its peaks allow that."""
    normal = sound.loudnorm(
        I=target,
        TP=_TRUE_PEAK,
        # Not below the sound's own range: that would compress what needs no compression.
        LRA=min(_WIDEST_RANGE, max(7.0, measured.range)),
        measured_I=measured.integrated,
        measured_LRA=measured.range,
        measured_TP=measured.true_peak,
        measured_thresh=measured.threshold,
        offset=measured.offset,
        linear=True,
    )
    return normal.aresample(sample_rate=int(SOUND_OPTIONS["ar"]))


def measure_command(sound: Path, *, binary: Path, target: int) -> list[str]:
    """Return the command line that measures a sound; its last lines are loudnorm's JSON."""
    analysis = f"loudnorm=I={target}:TP={_TRUE_PEAK}:print_format=json"
    return [
        *(str(binary), "-hide_banner", "-loglevel", "info", "-protocol_whitelist", "file"),
        *("-i", str(sound), "-map", "0:a:0", "-af", analysis, "-f", "null", "-"),
    ]


def playlist_command(
    movie: Path, target: Path, *, binary: Path, sound_rate: int | None
) -> list[str]:
    """Return the command line that makes one fragmented file, and its playlist, of a movie.

    shaka-player reads the time of a fragment off its first track, in ticks of its last one, and
    would show most of the clip at wrong times: both count in the ticks of the sound (1/s).
    """
    ticks = ("-hls_segment_options", f"video_track_timescale={sound_rate}")
    return [
        *(str(binary), "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file"),
        *("-i", str(movie), "-map", "0", "-c", "copy", "-f", "hls", "-hls_time", "2"),
        *("-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-hls_flags", "single_file"),
        *(ticks if sound_rate is not None else ()),
        *("-hls_segment_filename", str(target.with_suffix(".mp4")), "-y"),
        str(target.with_suffix(".m3u8")),
    ]


def _output(  # noqa: C901 - one case for each format
    encoding: Encoding,
    path: Path,
    picture: ffmpeg.VideoStream | None,
    sound: ffmpeg.AudioStream | None,
    spliced: Spliced,
    *,
    duration: float,
) -> OutputStream:
    """Return one output file of the command."""
    options: _Options = {"max_muxing_queue_size": 1024, "threads": 2}
    muxer, seconds = "mp4", duration
    match encoding.format:
        case RenditionFormat.MP4:
            options |= {"movflags": "+faststart", **SOUND_OPTIONS}
            if picture is not None:
                options |= picture_options(spliced)
            if encoding.bit_rate is not None:
                rate = encoding.bit_rate
                options |= {"maxrate:v": rate, "bufsize:v": 2 * rate}
        case RenditionFormat.WEBM:
            muxer = "webm"
            options |= {"c:a": "libopus", "b:a": "96k", "ac": 2}
            if picture is not None:
                options |= _VP9
        case RenditionFormat.AUDIO:
            muxer = "ipod"
            options |= {"movflags": "+faststart", **SOUND_OPTIONS}
        case RenditionFormat.WEBP | RenditionFormat.GIF:
            muxer, seconds = encoding.format.value, min(duration, LONGEST_PREVIEW)
            assert picture is not None  # noqa: S101 - for mypy; see `missing_part`
            picture = _preview(picture, encoding.format, seconds)
            options |= {"loop": 0, "c:v": "gif"}
            if encoding.format is RenditionFormat.WEBP:
                options |= {"c:v": "libwebp_anim", "quality": 70, "compression_level": 2}
        case RenditionFormat.THUMBNAIL:
            muxer = "image2"
            assert picture is not None  # noqa: S101 - for mypy
            picture = picture.fps(fps=str(min(_CANDIDATE_RATE, _MOST_CANDIDATES / duration)))
            options |= {"q:v": 3, "start_number": 0}
        case RenditionFormat.STORYBOARD:
            muxer = "image2"
            assert picture is not None  # noqa: S101 - for mypy
            assert encoding.look is not None  # noqa: S101 - for mypy
            board = Storyboard.of(duration, encoding.look.width, encoding.look.height)
            tiles = picture.fps(fps=f"1/{board.interval:g}").scale(
                w=str(board.width), h=str(board.height)
            )
            picture = tiles.tile(layout=f"{board.columns}x{board.rows}")
            options |= {"frames:v": 1, "q:v": 4, "update": 1}
        case _:
            raise AssertionError(encoding.format)
    streams = [each for each in (picture, sound) if each is not None]
    return ffmpeg.output(
        *streams, filename=path, t=round(seconds, 4), f=muxer, extra_options=options
    )


def _preview(
    picture: ffmpeg.VideoStream, form: RenditionFormat, seconds: float
) -> ffmpeg.VideoStream:
    slow = picture.trim(end=round(seconds, 4)).fps(fps=str(_PREVIEW_RATE))
    if form is RenditionFormat.WEBP:
        return slow
    split = slow.split(outputs=2)
    return split.video(0).paletteuse(split.video(1).palettegen())


def missing_part(rendition: RenditionSpec, spliced: Spliced, *, has_captions: bool) -> str | None:
    """Return what a rendition needs and the source does not have; None if it has all."""
    if rendition.needs_captions and not has_captions:
        return (
            "There are no captions of these seconds: the stream has none, or they were deleted "
            "with its media. Leave out captions."
        )
    if rendition.format is RenditionFormat.CAPTIONS:
        return None
    if rendition.format is RenditionFormat.AUDIO and spliced.sound is None:
        return "The source has no sound."
    still = rendition.format not in MOVIES and rendition.has_picture
    if not spliced.runs and (still or rendition.format in PREVIEWS):
        return "The source has no picture."
    return None
