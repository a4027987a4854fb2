"""A file played as a live stream: packager, clock and server in one context."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from starlette.applications import Starlette

from demo.origin.broadcast import Broadcast, window_for
from demo.origin.channel import Channel, beam_path
from demo.origin.faults import Stall
from demo.origin.ladder import choose_variants, keep_tracks
from demo.origin.options import OriginOptions
from demo.origin.packager import PackagedSegment, Packager
from demo.origin.playlist import Mark, PublishedSegment
from demo.origin.server import bind, build_app, serving
from demo.origin.source import Source, probe

#: A segment later than this (s) has broken the pace; less is the event loop's own jitter.
_LATE = 0.1
_LONGEST_GOP = 10.0


class LiveOrigin:
    """Plays a file as a live HLS stream while the context lasts.

    The master playlist is 404 until the first segment is published, which is
    `segment_duration / pace` seconds after the beginning.

    Raises (on entering):
        UnusableInputError: the file is missing or no media.
        PackagingError: ffmpeg cannot package it.
        OSError: the port is taken.
    """

    def __init__(self, path: Path, options: OriginOptions | None = None) -> None:
        self.path = path
        self.options = options or OriginOptions()
        self.finished = asyncio.Event()
        self._began = asyncio.Event()
        self._began_at = datetime.now(UTC)
        self._began_clock = 0.0
        self._stack = contextlib.AsyncExitStack()
        self._source: Source | None = None
        self._broadcast = self._new_broadcast()
        self._channel: Channel | None = None
        self._publisher: asyncio.Task[None] | None = None
        self._base_url = ""

    def _new_broadcast(self) -> Broadcast:
        options = self.options
        window = options.window or window_for(options.pace)
        return Broadcast(
            pace=options.pace,
            window=window if options.playlist_type == "live" else None,
            segment_duration=options.segment_duration,
            faults=options.faults,
            marks=options.marks,
            keep_all=options.keep_all,
        )

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        if self.options.autostart:
            self.begin()
        return self

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        options = self.options
        found = await asyncio.to_thread(probe, self.path)
        source = self._source = keep_tracks(found, options.tracks)
        if options.directory is not None:
            options.directory.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix="origin-", dir=options.directory))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        # Sent as they are, pictures are cut at their own keyframes: segments may be as long as
        # 2.5 s of wall clock, since encoding many times real time would cost all the CPU there is.
        longest_gop = min(_LONGEST_GOP, 1.25 * options.segment_duration * max(1.0, options.pace))
        variants = choose_variants(source, ladder=options.ladder, longest_gop=longest_gop)
        packager = await stack.enter_async_context(
            Packager(
                source,
                variants,
                directory=directory,
                segment_duration=options.segment_duration,
                container=options.container,
                ahead=window_for(options.pace),
            )
        )
        self._channel = Channel(
            path=options.path or beam_path("demo", uuid4().hex[:24], at=datetime.now(UTC)),
            broadcast=self._broadcast,
            packager=packager,
            variants=variants,
            container=options.container,
            playlist_type=options.playlist_type,
            segment_duration=options.segment_duration,
            has_audio=source.audio is not None,
            faults=options.faults,
            captions=options.captions,
            part_duration=options.part_duration,
        )
        if options.serve:
            listener = bind(options.host, options.port)
            self._base_url = f"http://{options.host}:{listener.getsockname()[1]}"
            await stack.enter_async_context(serving(self.app, listener))
        await packager.ready()
        self._publisher = asyncio.create_task(self._publish(packager, self._channel))
        stack.push_async_callback(_cancel, self._publisher)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def begin(self) -> None:
        """Start the clock: second 0 of the file happens now. A second call does nothing."""
        if not self._began.is_set():
            self._began_at = datetime.now(UTC)
            self._began_clock = time.monotonic()
            self._began.set()

    async def end(self) -> None:
        """End the stream before its input ends, as when the room closes; twice is once."""
        if self._publisher is not None:
            await _cancel(self._publisher)

    def mark(self, mark: Mark) -> None:
        """Add timed metadata to the playlist."""
        self._broadcast.mark(mark)

    @cached_property
    def app(self) -> Starlette:
        """The web application that serves the stream."""
        return build_app(self.channel)

    @property
    def master_url(self) -> str:
        """The master playlist's address."""
        return f"{self._base_url}{self.channel.path}/master.m3u8"

    @property
    def source(self) -> Source:
        """What is being played."""
        if self._source is None:
            raise RuntimeError("the origin is not open")
        return self._source

    @property
    def channel(self) -> Channel:
        """The stream as it can be requested."""
        if self._channel is None:
            raise RuntimeError("the origin is not open")
        return self._channel

    @property
    def segments(self) -> tuple[PublishedSegment, ...]:
        """All segments published so far."""
        return tuple(self._broadcast.segments)

    @property
    def published(self) -> int:
        """How many segments have been published."""
        return len(self._broadcast.segments)

    @property
    def position(self) -> float:
        """Seconds of the input published so far."""
        return self._broadcast.segments[-1].end if self._broadcast.segments else 0.0

    @property
    def duration(self) -> float:
        """Seconds of the input: as its container says, else as far as published."""
        return self.source.duration or self.position

    @property
    def hits(self) -> Counter[str]:
        """Requests so far, by path below the stream's folder."""
        return self.channel.hits

    @property
    def started_at(self) -> datetime:
        """Wall clock (UTC) at which second 0 of the input happened live."""
        return self.live_at(0.0) if self._broadcast.segments else self._began_at

    def live_at(self, seconds: float) -> datetime:
        """Return the wall clock (UTC) at which a second of the input happened live."""
        if not self._broadcast.segments:
            return self._began_at + timedelta(seconds=seconds / self.options.pace)
        return self._broadcast.live_at(seconds)

    def input_time(self, at: datetime) -> float:
        """Return the second of the input that was live at a wall clock time (UTC)."""
        return self._broadcast.input_time(at) if self._broadcast.segments else 0.0

    async def wait_requested(self) -> None:
        """Wait until somebody has asked for the master playlist."""
        await self.channel.requested.wait()

    async def wait_published(self, count: int) -> None:
        """Wait until so many segments are published, or the stream has ended."""
        changed = self.channel.changed
        async with changed:
            await changed.wait_for(lambda: self.published >= count or self.finished.is_set())

    async def _publish(self, packager: Packager, channel: Channel) -> None:
        try:
            await self._began.wait()
            await self._publish_segments(packager, channel)
        finally:
            self._broadcast.ended = True
            self.finished.set()
            await self._announce()

    async def _publish_segments(self, packager: Packager, channel: Channel) -> None:
        faults = self.options.faults
        behind = 0.0  # by how many seconds the stream lags the pace it was asked for
        stall: asyncio.Task[None] | None = None
        async for packaged in packager.segments():
            due = (self.position + packaged.duration) / self.options.pace + behind
            if self.options.part_duration is not None:
                await self._publish_parts(packaged, channel, due)
            late = await self._wait_until(due)
            behind += late
            at = self._began_at + timedelta(seconds=due + late)
            if packaged.index < len(self.options.dates):
                lasted = timedelta(seconds=packaged.duration / self.options.pace)
                at = self.options.dates[packaged.index] + lasted
            published = channel.publish(packaged, at=at)
            await self._announce()
            if faults.stall is not None and faults.stall.after == published.index:
                behind += 0.0 if faults.stall.catch_up else faults.stall.seconds
                stall = asyncio.create_task(self._stall(channel, faults.stall))
            if self.published == faults.stop_after:
                break
        if stall is not None:
            await stall

    async def _publish_parts(self, packaged: PackagedSegment, channel: Channel, due: float) -> None:
        """Publish all parts of a segment but the last one, which comes with the segment itself."""
        at = self._began_at + timedelta(seconds=due)
        parts = channel.open(packaged, at=at)
        left = packaged.duration
        for duration in parts[:-1]:
            left -= duration
            await self._wait_until(due - left / self.options.pace)
            channel.publish_part(packaged.index, duration)
            await self._announce()
        await self._wait_until(due)
        channel.publish_part(packaged.index, parts[-1])

    async def _wait_until(self, due: float) -> float:
        """Wait until `due` seconds after the beginning; return by how many seconds it was missed.

        A packager slower than the pace slows the stream down; it never bunches segments up.
        """
        if self.options.playlist_type == "vod":
            return 0.0
        wait = due - (time.monotonic() - self._began_clock)
        if wait > 0:
            await asyncio.sleep(wait)
        return -wait if wait < -_LATE else 0.0

    async def _stall(self, channel: Channel, fault: Stall) -> None:
        channel.freeze()
        await asyncio.sleep(fault.seconds)
        channel.thaw()

    async def _announce(self) -> None:
        async with self.channel.changed:
            self.channel.changed.notify_all()


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a task, and pass on what it died of."""
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
