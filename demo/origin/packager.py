"""Cutting a file into HLS segments with one ffmpeg child, only as far ahead as is needed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from demo.errors import PackagingError
from demo.ffmpeg import ffmpeg_path
from demo.model import Model
from demo.origin.source import Source

Container = Literal["mpegts", "fmp4"]

_ENTRY = re.compile(r"#EXTINF:([\d.]+),[^\n]*\n([^#\n]+)\n")
_MAX_FRAME_RATE = 60.0
_DEFAULT_FRAME_RATE = 30.0
_ERROR_LINES = 12


class Variant(Model):
    """One quality of the stream: `height` is 0 for sound alone; `bit_rate` in bit/s.

    `copy_video` sends the source's own pictures; otherwise they are encoded anew.
    """

    name: str
    width: int = 0
    height: int = 0
    bit_rate: int
    copy_video: bool = False


class PackagedSegment(Model):
    """A finished segment in all its qualities; `duration` in seconds."""

    index: int
    duration: float
    files: dict[str, Path]


class Packager:
    """Runs ffmpeg over a source, and pauses it while it is far enough ahead of its reader.

    Args:
        source: the file.
        variants: qualities to make.
        directory: where segments go; removing them afterwards is the owner's business.
        segment_duration: seconds between cuts.
        container: of the segments.
        ahead: segments made before anyone asks for them.
    """

    def __init__(
        self,
        source: Source,
        variants: tuple[Variant, ...],
        *,
        directory: Path,
        segment_duration: float,
        container: Container,
        ahead: int,
    ) -> None:
        self._source = source
        self._variants = variants
        self._directory = directory
        self._segment_duration = segment_duration
        self._container = container
        self._ahead = max(4, ahead)
        self._process: asyncio.subprocess.Process | None = None
        self._paused = False
        self._errors: deque[str] = deque(maxlen=_ERROR_LINES)
        self._watcher: asyncio.Task[None] | None = None
        self._made: list[PackagedSegment] = []
        self._taken = 0
        self._ended = False
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        for variant in self._variants:
            (self._directory / variant.name).mkdir(parents=True, exist_ok=True)
        # Its own process group within our session: Ctrl-C leaves it to us, yet the kernel hangs
        # it up (even while paused) should we die without a word.
        self._process = await asyncio.create_subprocess_exec(
            *self.command(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, 10)
        self._watcher = asyncio.create_task(self._watch(self._process))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if self._watcher is not None:
            await self._watcher

    def init_path(self, variant: str) -> Path:
        """Return the file of an fMP4 variant's initialisation section."""
        return self._directory / variant / "init.mp4"

    async def ready(self) -> None:
        """Wait until there is something to publish.

        Raises:
            PackagingError: there never will be.
        """
        while not self._made and not self._ended:
            self._news.clear()
            await self._news.wait()
        if not self._made:
            reason = " ".join(self._errors) or "it made no segment"
            raise PackagingError(f"{self._source.path} could not be packaged by ffmpeg: {reason}")

    async def segments(self) -> AsyncIterator[PackagedSegment]:
        """Yield the segments in order, each as soon as it is complete in every quality."""
        taken = 0
        while True:
            while not self._ended and taken == len(self._made):
                self._news.clear()
                await self._news.wait()
            if taken == len(self._made):
                break
            segment = self._made[taken]
            taken += 1
            self._taken = taken
            self._balance()
            yield segment

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Follow ffmpeg's progress, which it reports ten times a second."""
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the packager must be started with pipes")
        errors = asyncio.create_task(self._read_errors(process.stderr))
        async for line in process.stdout:
            if line.startswith(b"progress="):
                self._collect()
        await process.wait()
        await errors
        self._ended = True
        self._collect()

    def _collect(self) -> None:
        self._made += self._finished(after=len(self._made))
        self._balance()
        self._news.set()

    def _balance(self) -> None:
        """Pause ffmpeg while enough segments wait to be read; bounded disk, and CPU left alone."""
        if self._ended or self._process is None or self._process.returncode is not None:
            return
        waiting = len(self._made) - self._taken
        pause = waiting > (self._ahead // 2 if self._paused else self._ahead)
        if pause != self._paused:
            self._process.send_signal(signal.SIGSTOP if pause else signal.SIGCONT)
            self._paused = pause

    def _finished(self, *, after: int) -> list[PackagedSegment]:
        """Read from ffmpeg's own playlists what is complete in every quality."""
        lists = {v.name: self._listed(v.name)[after:] for v in self._variants}
        reference = lists[self._variants[0].name]
        count = min(len(entries) for entries in lists.values())
        return [
            PackagedSegment(
                index=after + i,
                duration=reference[i][0],
                files={name: entries[i][1] for name, entries in lists.items()},
            )
            for i in range(count)
        ]

    def _listed(self, variant: str) -> list[tuple[float, Path]]:
        folder = self._directory / variant
        try:
            text = (folder / "packaged.m3u8").read_text()
        except FileNotFoundError:
            return []
        return [(float(duration), folder / name) for duration, name in _ENTRY.findall(text)]

    async def _read_errors(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._errors.append(line.decode(errors="replace").strip())

    def command(self) -> list[str]:
        """Return ffmpeg's arguments."""
        options = "-hide_banner -nostdin -loglevel error -progress pipe:1 -stats_period 0.1 -y"
        command = [ffmpeg_path(), *options.split(), "-i", str(self._source.path)]
        for variant in self._variants:
            command += [*self._video_options(variant), *self._audio_options()]
            command += self._hls_options(variant)
        return command

    def _video_options(self, variant: Variant) -> list[str]:
        video = self._source.video
        if video is None or not variant.height:
            return ["-vn"]
        options = ["-map", f"0:{video.index}"]
        if variant.copy_video:
            return [*options, "-c:v", "copy"]
        # Beside pictures that are sent as they are, cuts must fall on the source's own keyframes.
        if any(other.copy_video for other in self._variants):
            timing, keyframes = "null", "source"
        else:
            rate = min(video.frame_rate or _DEFAULT_FRAME_RATE, _MAX_FRAME_RATE)
            timing = f"fps=fps={rate:.6f}:start_time=0"
            keyframes = f"expr:gte(t,n_forced*{self._segment_duration})"
        filters = (
            f"{timing},bwdif=mode=send_frame:deint=interlaced,"
            f"scale={variant.width}:{variant.height},setsar=1,format=yuv420p"
        )
        encoder = (
            "-c:v libx264 -preset ultrafast -tune zerolatency -threads 2 -sc_threshold 0 -g 600"
        )
        return [
            *options,
            *("-vf", filters),
            *encoder.split(),
            *("-b:v", str(variant.bit_rate), "-maxrate", str(int(variant.bit_rate * 1.2))),
            *("-bufsize", str(variant.bit_rate * 2)),
            *("-force_key_frames", keyframes),
        ]

    def _audio_options(self) -> list[str]:
        audio = self._source.audio
        if audio is None:
            return ["-an"]
        options = ["-map", f"0:{audio.index}"]
        if audio.copyable:
            return [*options, "-c:a", "copy"]
        return [*options, *["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]]

    def _hls_options(self, variant: Variant) -> list[str]:
        folder = self._directory / variant.name
        suffix = "ts" if self._container == "mpegts" else "m4s"
        return [
            *("-sn", "-dn", "-map_metadata", "-1", "-max_muxing_queue_size", "4096"),
            *("-f", "hls", "-hls_time", str(self._segment_duration), "-hls_list_size", "0"),
            *("-hls_segment_type", self._container, "-hls_flags", "temp_file"),
            *("-hls_fmp4_init_filename", "init.mp4"),
            *("-hls_segment_filename", str(folder / f"segment_%05d.{suffix}")),
            str(folder / "packaged.m3u8"),
        ]
