"""Renders the renditions of one source: copied, cut or encoded, then checked by reading them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import av.error
import structlog

from domain.exports.cards import NO_CARDS
from domain.exports.models import (
    MOVIES,
    STILLS,
    CaptionStyle,
    ExportSpec,
    RenditionFormat,
    RenditionSpec,
    Watermark,
)
from domain.exports.reels import ReelChapter, Transition
from domain.media.segments import Line
from domain.model import Model
from infra.media.concat import SourceFile, Spliced, splice
from infra.media.exports.cards import write_cards
from infra.media.exports.chapters import chapter_marks, chapters_command
from infra.media.exports.encode import (
    Encoding,
    Look,
    Loudness,
    Storyboard,
    encode_command,
    encoding_of,
    measure_command,
    missing_part,
    playlist_command,
)
from infra.media.exports.motion import watch
from infra.media.exports.pictures import BestPicture, best_picture, read_webp
from infra.media.exports.smart_cut import Copy, smart_cut
from infra.media.exports.source_packets import CannotCutError
from infra.media.exports.subtitles import Subtitles, webvtt
from infra.media.exports.tracking import Track, lay_track
from infra.media.exports.transitions import joined_by
from infra.media.ffmpeg import FfmpegLimits, run_ffmpeg
from infra.media.pool import MediaError, MediaPool
from infra.media.render import ClipFile, Cut, inspect, sha256_of

_SILENT: Final = -70.0
"""LUFS at which EBU R128 hears nothing (ITU-R BS.1770, absolute gate)."""

_FRAME_SLACK: Final = 0.25
_INSTANT: Final = 0.001
_LARGEST_LOGO: Final = 4096
_log = structlog.get_logger(__name__)


class RenditionFile(Model):
    """A finished file; `problem` is why it may not be used, for the tenant.

    Attributes:
        start: seconds after the first source.
        duration: seconds; None for still pictures.
        copied: whether its pictures are, apart from those at a cut, the source's.
    """

    path: Path
    start: float
    index: str | None = None
    duration: float | None = None
    size: int = 0
    width: int | None = None
    height: int | None = None
    has_audio: bool = False
    loudness: float | None = None
    blurhash: str | None = None
    sha256: str | None = None
    copied: bool = False
    problem: str = ""

    def with_facts(self, facts: ClipFile) -> RenditionFile:
        """Return it with the properties that were read off the file."""
        return self.model_copy(
            update={
                "duration": facts.duration,
                "size": facts.size,
                "width": facts.width,
                "height": facts.height,
                "has_audio": facts.has_audio,
                "sha256": facts.sha256,
            }
        )


class BadWatermarkError(Exception):
    """The watermark's picture cannot be used; the message is for the tenant."""


class ExportRenderer:
    """Renders exports into a directory.

    Args:
        pool: child processes that read media.
        binary: ffmpeg.
        limits: of one ffmpeg.
    """

    def __init__(self, *, pool: MediaPool, binary: Path, limits: FfmpegLimits) -> None:
        self._pool = pool
        self._binary = binary
        self._limits = limits

    async def render(
        self,
        cut: Cut,
        spec: ExportSpec,
        numbers: Sequence[int],
        *,
        directory: Path,
        movie: Path | None = None,
        captions: Sequence[Line] = (),
        on_progress: Callable[[float], None] | None = None,
    ) -> Mapping[int, RenditionFile]:
        """Render renditions by number.

        A rendition that the source cannot give has a `problem` and no file worth keeping.

        Args:
            cut: the source.
            spec: the export.
            numbers: of the renditions to make.
            directory: where the files go.
            captions: of the source, in seconds after its first file.
            movie: an MP4 of H.264 and AAC that holds exactly the source, to copy from.
            on_progress: called with the seconds of the source that are done.

        Raises:
            SpliceError: nothing in the sources can be read.
            FfmpegError: ffmpeg failed or ran into a limit.
            MediaError: reading the media took too long or too much memory.
            BadWatermarkError: the watermark's picture cannot be used.
            BadCardError: the picture of an intro, outro or end card cannot be used.
        """
        wanted = {number: spec.renditions[number - 1] for number in numbers}
        files = await self._copied(cut, spec, wanted, directory=directory, movie=movie)
        if left := {number: each for number, each in wanted.items() if number not in files}:
            source = await self._spliced(cut, captions, directory)
            files |= await self._encoded(source, spec, left, on_progress)
        return files

    async def with_transitions(
        self, clips: Sequence[SourceFile], transition: Transition, *, directory: Path
    ) -> Sequence[SourceFile]:
        """Return files that show clips of known durations one after the other; cuts need none.

        Raises:
            SpliceError: nothing in a clip can be read.
            FfmpegError: ffmpeg failed or ran into a limit.
            MediaError: reading a clip took too long or too much memory.
        """
        if not transition.overlap:
            return clips
        return await joined_by(
            transition,
            clips,
            directory=directory,
            pool=self._pool,
            binary=self._binary,
            limits=self._limits,
        )

    async def with_chapters(
        self, file: RenditionFile, chapters: Sequence[ReelChapter]
    ) -> RenditionFile:
        """Return a finished MP4 with chapter marks; a file with a problem stays as it is.

        Raises:
            FfmpegError: ffmpeg failed.
        """
        if file.problem:
            return file
        marks, target = file.path.with_suffix(".chapters"), file.path.with_suffix(".marked.mp4")
        marks.write_text(chapter_marks(chapters), encoding="utf-8")
        command = chapters_command(file.path, marks, target, binary=self._binary)
        await run_ffmpeg(command, limits=self._limits)
        facts = await self._pool.run(_facts, target, RenditionFormat.MP4)
        changed = {"path": target, "size": facts.size, "sha256": facts.sha256}
        return file.model_copy(update=changed)

    async def _copied(
        self,
        cut: Cut,
        spec: ExportSpec,
        wanted: Mapping[int, RenditionSpec],
        *,
        directory: Path,
        movie: Path | None,
    ) -> dict[int, RenditionFile]:
        """Return the renditions that show and play just what the source does, by number."""
        alike = {number: each for number, each in wanted.items() if _is_alike(each, spec)}
        if not alike:
            return {}
        end = cut.offset + cut.duration
        target, sizes = directory / "copied.mp4", tuple(alike.values())
        try:
            if movie is not None:
                facts = await self._pool.run(inspect, movie)
                copy = Copy(path=movie, start=cut.offset, file=facts)
            else:
                copy = await self._pool.run(smart_cut, cut.sources, target, cut.offset, end, sizes)
        except CannotCutError as error:
            _log.info("export_not_copied", problem=str(error))
            return {}
        files = {}
        for number, rendition in alike.items():
            if not copy.suits(rendition):
                continue
            file = RenditionFile(path=copy.path, start=copy.start, copied=True).with_facts(
                copy.file
            )
            if rendition.format is RenditionFormat.HLS:
                file = await self._with_playlist(file, directory, number)
            problem = _problem(
                rendition, file, expected=end - copy.start, has_picture=copy.file.width is not None
            )
            files[number] = file.model_copy(update={"problem": problem})
        return files

    async def _spliced(self, cut: Cut, captions: Sequence[Line], directory: Path) -> _Source:
        end = cut.offset + cut.duration
        spliced = await self._pool.run(
            splice, cut.sources, str(directory), cut.offset, end, cut.thumbnail_at
        )
        lines = [
            line.earlier(spliced.start)
            for line in captions
            if line.until > spliced.start and line.at < end
        ]
        return _Source(cut, spliced, end, directory, lines)

    async def _encoded(
        self,
        source: _Source,
        spec: ExportSpec,
        wanted: Mapping[int, RenditionSpec],
        on_progress: Callable[[float], None] | None,
    ) -> dict[int, RenditionFile]:
        """Return renditions that are encoded, by number; those with equal encodings share one."""
        spliced, files = source.spliced, {}
        encodings: dict[Encoding, list[int]] = defaultdict(list)
        for number, rendition in wanted.items():
            problem = missing_part(rendition, spliced, has_captions=bool(source.captions))
            if problem is not None:
                files[number] = RenditionFile(
                    path=source.directory, start=spliced.start, problem=problem
                )
            elif rendition.format is RenditionFormat.CAPTIONS:
                lead = spec.cards_of(rendition).lead
                files[number] = await asyncio.to_thread(_write_captions, source, number, lead)
            else:
                encoding = encoding_of(rendition, spec, spliced, duration=source.duration)
                encodings[encoding].append(number)
        made = {
            encoding: source.directory / f"encoded{place}{_suffix(encoding.format)}"
            for place, encoding in enumerate(encodings)
        }
        # The others would have to wait for the intro, with their pictures in memory.
        for is_between in (False, True):
            together = {each: path for each, path in made.items() if each.cards is is_between}
            if together:
                await self._encode(source, together, spec, on_progress, is_between=is_between)
        for encoding, sharing in encodings.items():
            for number in sharing:
                files[number] = await self._finished(source, spec, encoding, number, made[encoding])
        return files

    async def _encode(
        self,
        source: _Source,
        encodings: Mapping[Encoding, Path],
        spec: ExportSpec,
        on_progress: Callable[[float], None] | None,
        *,
        is_between: bool,
    ) -> None:
        """Encode files out of one decoded source, all between the export's cards or none."""
        targets = {each.loudness for each in encodings if each.loudness is not None}
        loudness = {target: await self._measured(source, target) for target in targets}
        looks = {each.look: None for each in encodings if each.look is not None}
        logo = None
        if any(look.watermark for look in looks) and spec.watermark is not None:
            logo = await self._pool.run(_write_logo, spec.watermark, source.directory)
        cards = spec.cards if is_between else NO_CARDS
        texts = await asyncio.to_thread(_write_texts, source, spec, list(looks))
        command = encode_command(
            encodings,
            source.spliced,
            binary=self._binary,
            offset=source.cut.offset,
            end=source.end,
            loudness={target: level for target, level in loudness.items() if level is not None},
            watermark=spec.watermark,
            logo=logo,
            texts=texts,
            tracks=await self._tracks(source, encodings),
            limits=self._limits,
            cards=cards,
            card_files=await self._pool.run(write_cards, cards, source.directory),
        )
        await run_ffmpeg(command, limits=self._limits, on_progress=on_progress)

    async def _tracks(self, source: _Source, encodings: Iterable[Encoding]) -> Mapping[Look, Track]:
        """Return the track of each look that follows the action; the film is watched once."""
        spliced = source.spliced
        looks = {
            each.look: None
            for each in encodings
            if each.look is not None and each.look.is_tracked(spliced)
        }
        if not looks or spliced.width is None or spliced.height is None:
            return {}
        size = spliced.width, spliced.height
        try:
            motion = await self._pool.run(watch, spliced, source.end)
        except MediaError as error:
            # The middle of the picture is better than no export.
            _log.warning("motion_not_measured", problem=str(error), seconds=source.duration)
            return {}
        return {
            look: await self._pool.run(
                lay_track, motion, size, (look.width, look.height), source.directory, number
            )
            for number, look in enumerate(looks)
        }

    async def _measured(self, source: _Source, target: int) -> Loudness | None:
        """Return the loudness of the source's sound; None if it is silent."""
        assert source.spliced.sound is not None  # noqa: S101 - for mypy; see `encoding_of`
        return await self._loudness(source.spliced.sound, target)

    async def _loudness(self, sound: Path, target: int) -> Loudness | None:
        command = measure_command(sound, binary=self._binary, target=target)
        lines = "\n".join(await run_ffmpeg(command, limits=self._limits))
        found = json.loads(lines[lines.rindex("{") : lines.rindex("}") + 1])
        integrated = float(found["input_i"])
        if integrated <= _SILENT:
            return None
        return Loudness(
            integrated=integrated,
            range=float(found["input_lra"]),
            true_peak=float(found["input_tp"]),
            threshold=float(found["input_thresh"]),
            offset=float(found["target_offset"]),
        )

    async def _finished(
        self,
        source: _Source,
        spec: ExportSpec,
        encoding: Encoding,
        number: int,
        path: Path,
    ) -> RenditionFile:
        """Return a rendition's own file, checked."""
        rendition = spec.renditions[number - 1]
        cards = spec.cards_of(rendition)
        if rendition.format is RenditionFormat.THUMBNAIL:
            return await self._best(source, path)
        file = RenditionFile(path=path, start=source.spliced.start)
        if rendition.format is RenditionFormat.HLS:
            file = await self._with_playlist(file, source.directory, number)
        else:
            file = file.with_facts(await self._pool.run(_facts, path, rendition.format))
        changed: dict[str, object] = {}
        if rendition.format is RenditionFormat.STORYBOARD and encoding.look is not None:
            board = Storyboard.of(source.duration, encoding.look.width, encoding.look.height)
            changed["index"] = board.webvtt(source.duration, lead=cards.lead)
        if rendition.format in STILLS:
            changed["duration"] = None
        if encoding.loudness is not None and file.has_audio:
            heard = await self._loudness(file.path, encoding.loudness)
            changed["loudness"] = None if heard is None else heard.integrated
        expected = source.duration + cards.seconds
        changed["problem"] = _problem(
            rendition, file, expected=expected, has_picture=bool(source.spliced.runs)
        )
        return file.model_copy(update=changed)

    async def _with_playlist(
        self, file: RenditionFile, directory: Path, number: int
    ) -> RenditionFile:
        """Return the fragmented file of a movie, with its playlist."""
        target = directory / f"playlist{number}"
        rate = await self._pool.run(_sound_rate, file.path)
        command = playlist_command(file.path, target, binary=self._binary, sound_rate=rate)
        await run_ffmpeg(command, limits=self._limits)
        index = await asyncio.to_thread(_playlist, target)
        path = target.with_suffix(".mp4")
        facts = await self._pool.run(_facts, path, RenditionFormat.HLS)
        return file.model_copy(update={"path": path, "index": index}).with_facts(facts)

    async def _best(self, source: _Source, pattern: Path) -> RenditionFile:
        names = await asyncio.to_thread(
            lambda: sorted(pattern.parent.glob(pattern.name.replace("%04d", "*")))
        )
        best: BestPicture | None = await self._pool.run(best_picture, names)
        if best is None:
            problem = "The source is too short for a thumbnail."
            return RenditionFile(path=pattern, start=source.spliced.start, problem=problem)
        facts = await self._pool.run(_facts, best.path, RenditionFormat.THUMBNAIL)
        return RenditionFile(
            path=best.path,
            start=source.spliced.start,
            size=facts.size,
            width=best.width,
            height=best.height,
            blurhash=best.blurhash,
            sha256=facts.sha256,
        )


@dataclass(frozen=True)
class _Source:
    """A spliced source; times in seconds after the first file, those of captions in the film."""

    cut: Cut
    spliced: Spliced
    end: float
    directory: Path
    captions: Sequence[Line]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.spliced.start


def _is_alike(rendition: RenditionSpec, spec: ExportSpec) -> bool:
    """Return True if a rendition shows and plays just what a source of its size does."""
    return (
        rendition.format in {RenditionFormat.MP4, RenditionFormat.HLS}
        and rendition.network is None
        and rendition.loudness is None
        and not rendition.captions
        and not (rendition.watermark and spec.watermark is not None)
        and not (rendition.lower_third and spec.lower_third is not None)
        and not spec.cards_of(rendition)
    )


def _suffix(form: RenditionFormat) -> str:
    return {
        RenditionFormat.WEBM: ".webm",
        RenditionFormat.WEBP: ".webp",
        RenditionFormat.GIF: ".gif",
        RenditionFormat.AUDIO: ".m4a",
        RenditionFormat.THUMBNAIL: "_%04d.jpg",
        RenditionFormat.STORYBOARD: ".jpg",
    }.get(form, ".mp4")


def _write_captions(source: _Source, number: int, lead: float) -> RenditionFile:
    """Write the captions of a source as WebVTT; it begins after `lead` seconds of the movie."""
    path = source.directory / f"captions{number}.vtt"
    path.write_text(webvtt(source.captions, lead=lead), encoding="utf-8")
    return RenditionFile(
        path=path,
        start=source.spliced.start,
        duration=source.duration,
        size=path.stat().st_size,
        sha256=sha256_of(path),
    )


def _write_texts(source: _Source, spec: ExportSpec, looks: Sequence[Look]) -> Mapping[Look, Path]:
    """Write the text that each look shows; return the files of those that show any."""
    files = {}
    for number, look in enumerate(looks):
        subtitles = Subtitles(look.width, look.height)
        if look.watermark and spec.watermark is not None:
            subtitles.add_watermark(spec.watermark)
        if look.lower_third and spec.lower_third is not None:
            subtitles.add_lower_third(spec.lower_third)
        if look.captions:
            subtitles.add_captions(source.captions, spec.caption_style or CaptionStyle())
        if subtitles:
            files[look] = source.directory / f"text{number}.ass"
            files[look].write_text(subtitles.document(), encoding="utf-8")
    return files


def _write_logo(watermark: Watermark, directory: Path) -> Path | None:
    """Write a watermark's picture once that was decoded; None if it is text."""
    if watermark.image is None:
        return None
    path = directory / "watermark.png"
    try:
        path.write_bytes(base64.b64decode(watermark.image, validate=True))
        with av.open(str(path), format="png_pipe") as container:
            frame = next(container.decode(video=0))
            if max(frame.width, frame.height) > _LARGEST_LOGO:
                raise BadWatermarkError(
                    f"The watermark has {frame.width} x {frame.height} pixels; send at most "
                    f"{_LARGEST_LOGO} a side."
                )
    except (binascii.Error, av.error.FFmpegError, StopIteration, ValueError) as error:
        raise BadWatermarkError(
            "The watermark's image cannot be read: send a PNG in base64."
        ) from error
    return path


def _sound_rate(path: Path) -> int | None:
    """Return the samples of sound per second; None without sound."""
    with av.open(str(path)) as container:
        return container.streams.audio[0].rate if container.streams.audio else None


def _playlist(target: Path) -> str:
    """Return the playlist with a placeholder for the one file that it names."""
    text = target.with_suffix(".m3u8").read_text(encoding="utf-8")
    return text.replace(target.with_suffix(".mp4").name, "{file}")


def _facts(path: Path, form: RenditionFormat) -> ClipFile:
    """Open a file as a player would; return its properties.

    Raises:
        UnplayableClipError: it cannot be read.
    """
    if form in MOVIES or form is RenditionFormat.AUDIO:
        return inspect(path)
    if form is RenditionFormat.WEBP:
        animation = read_webp(path.read_bytes())
        return ClipFile(
            duration=animation.duration,
            size=path.stat().st_size,
            width=animation.width,
            height=animation.height,
            has_audio=False,
            sha256=sha256_of(path),
        )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [float(frame.time or 0.0) for frame in container.decode(stream)]
        step = float(1 / stream.average_rate) if stream.average_rate else 0.0
        return ClipFile(
            duration=max(frames[-1] - frames[0] + step, _INSTANT),
            size=path.stat().st_size,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            has_audio=False,
            sha256=sha256_of(path),
        )


def _problem(
    rendition: RenditionSpec, file: RenditionFile, *, expected: float, has_picture: bool
) -> str:
    """Return what is wrong with a finished file of so many seconds; empty if nothing is."""
    if rendition.format in {*MOVIES, RenditionFormat.AUDIO}:
        duration = file.duration or 0.0
        if abs(duration - expected) > _FRAME_SLACK:
            return (
                f"The file has {duration:.2f} s of the source's {expected:.2f} s; "
                "part of the source cannot be decoded."
            )
        if rendition.format in MOVIES and has_picture and file.width is None:
            return "The file has no picture, but the source has."
    if rendition.network is not None and file.duration is not None:
        refused = rendition.network.problem(
            duration=file.duration,
            size=file.size,
            width=file.width or 0,
            height=file.height or 0,
        )
        if refused is not None:
            return f"{rendition.preset} would not take the file: {refused}."
    return ""
