"""One live stream as it can be requested: its playlists and segments, and their faults."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from demo.origin.broadcast import Broadcast
from demo.origin.captions import CAPTIONS, Caption, caption_segment
from demo.origin.codecs import h264_codec
from demo.origin.faults import Faults
from demo.origin.packager import Container, PackagedSegment, Packager, Variant
from demo.origin.parts import (
    HELD_TARGETS,
    Directives,
    LowLatency,
    Parts,
    part_durations,
    part_name,
    read_part_name,
    split,
)
from demo.origin.playlist import (
    PlaylistType,
    PublishedSegment,
    master_playlist,
    media_playlist,
    opening_tags,
    segment_name,
)
from demo.origin.timestamps import first_mpegts_timestamp, shift_fmp4, shift_mpegts


def beam_path(customer: str, room: str, *, at: datetime) -> str:
    """Return the folder of a stream that starts at `at` (UTC), in 100ms's form."""
    return f"/beam/{customer}/{room}/{at:%Y%m%d}/{int(at.timestamp() * 1000)}"


class Channel:
    """What the server serves; nothing of it is visible before the first segment is published.

    Args:
        path: the stream's folder on the server, such as `/beam/demo/<room>/<yyyymmdd>/<epoch_ms>`.
        broadcast: the published part of the stream.
        packager: where the segments come from.
        variants: qualities, best first.
        container: of the segments.
        playlist_type: live, event or VOD.
        segment_duration: seconds, as intended.
        has_audio: there is sound.
        faults: what goes wrong.
        captions: what is said; without any there is no playlist of captions.
        part_duration: longest part of a segment in seconds; None without parts.

    Attributes:
        changed: notified whenever something was published.
        delta_updates: responses that left segments out.
        held: segments for which a request for the playlist was waiting when they were published.
    """

    def __init__(
        self,
        *,
        path: str,
        broadcast: Broadcast,
        packager: Packager,
        variants: tuple[Variant, ...],
        container: Container,
        playlist_type: PlaylistType,
        segment_duration: float,
        has_audio: bool,
        faults: Faults,
        captions: tuple[Caption, ...] = (),
        part_duration: float | None = None,
    ) -> None:
        self.path = path
        self.faults = faults
        self.suffix = "ts" if container == "mpegts" else "m4s"
        self.hits: Counter[str] = Counter()
        self.requested = asyncio.Event()
        self._broadcast = broadcast
        self._packager = packager
        self._variants = variants
        self._playlist_type = playlist_type
        self._segment_duration = segment_duration
        self._has_audio = has_audio
        self._captions = captions
        self.changed = asyncio.Condition()
        self.held: set[int] = set()
        self.delta_updates = 0
        self._part_duration = part_duration
        self._parts: dict[int, Parts] = {}
        self._split: dict[tuple[str, int], list[bytes]] = {}
        self._first_stamp = 0
        self._files: dict[int, dict[str, Path]] = {}
        self._codecs: dict[str, str | None] = {}
        self._frozen: list[PublishedSegment] | None = None
        self._playlist_errors_left = faults.playlist_errors.times if faults.playlist_errors else 0
        self._segment_errors_left = {e.segment: e.times for e in faults.errors}

    def publish(self, packaged: PackagedSegment, *, at: datetime) -> PublishedSegment:
        """Make a segment visible, and forget those that have long left the playlist."""
        published = self._broadcast.publish(
            duration=packaged.duration, first_timestamp=self._note(packaged), at=at
        )
        for index in [i for i in self._files if i < self._broadcast.first_kept()]:
            for path in self._files.pop(index).values():
                path.unlink(missing_ok=True)
            self._parts.pop(index, None)
        self._split = {each: parts for each, parts in self._split.items() if each[1] in self._files}
        return published

    def open(self, packaged: PackagedSegment, *, at: datetime) -> tuple[float, ...]:
        """Prepare a segment that will be published in parts until `at`; return their durations."""
        self._broadcast.open(
            duration=packaged.duration, first_timestamp=self._note(packaged), at=at
        )
        return part_durations(packaged.duration, self._part_duration or packaged.duration)

    def publish_part(self, index: int, duration: float) -> None:
        """Make the next part of a segment visible; `duration` in seconds."""
        known = self._parts.get(index)
        self._parts[index] = Parts(
            index=index,
            durations=(*(known.durations if known else ()), duration),
            suffix=self.suffix,
        )

    def _note(self, packaged: PackagedSegment) -> int | None:
        """Keep the files of a segment; return the timestamp of the very first one."""
        stamp = None
        best = packaged.files[self._variants[0].name]
        if packaged.index == 0:
            if self.suffix == "ts":
                stamp = first_mpegts_timestamp(best.read_bytes())
                self._first_stamp = stamp or 0
            self._codecs = {name: self._codec(name, path) for name, path in packaged.files.items()}
        self._files[packaged.index] = packaged.files
        return stamp

    def _codec(self, variant: str, segment: Path) -> str | None:
        source = segment if self.suffix == "ts" else self._packager.init_path(variant)
        return h264_codec(source.read_bytes())

    def freeze(self) -> None:
        """Keep showing the playlist as it is now, whatever is published."""
        self._frozen = self._broadcast.listed()

    def thaw(self) -> None:
        """Show the playlist as it really is again."""
        self._frozen = None

    @property
    def visible(self) -> bool:
        """Tell whether the stream can be seen at all."""
        gone = self._broadcast.ended and self.faults.end == "gone"
        begun = self._broadcast.ended if self._playlist_type == "vod" else True
        return bool(self._broadcast.segments) and begun and not gone

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The qualities, best first."""
        return self._variants

    def has_variant(self, name: str) -> bool:
        """Tell whether the stream is offered in a quality of that name."""
        return any(variant.name == name for variant in self._variants)

    def has_captions(self, name: str) -> bool:
        """Tell whether there are captions in a folder of that name."""
        return bool(self._captions) and name == CAPTIONS

    def master(self, prefix: str = "") -> str:
        """Write the master playlist; `prefix` leads from where it lies to the stream's folder."""
        variants = [(variant, self._codecs.get(variant.name)) for variant in self._variants]
        return master_playlist(
            variants, has_audio=self._has_audio, prefix=prefix, captions=bool(self._captions)
        )

    def caption_playlist(self) -> str:
        """Write the playlist of captions: a segment for each of the media."""
        return media_playlist(
            self._frozen or self._broadcast.listed(),
            playlist_type=self._playlist_type,
            target_duration=self._segment_duration,
            suffix="vtt",
            ended=self._broadcast.ended and not self._frozen and self.faults.end == "endlist",
        )

    def caption_segment(self, name: str) -> str | None:
        """Write the captions of a segment by its file name; None when there is no such segment."""
        index = self.index_of(name, suffix="vtt")
        if index is None:
            return None
        segment = self._broadcast.segments[index]
        return caption_segment(
            self._captions,
            start=segment.start,
            end=segment.end,
            first_timestamp=self._first_stamp + segment.timestamp_shift,
        )

    def media(self, variant: str = "", *, skip: bool = False) -> str:
        """Write the media playlist, which is the same for every variant but for its reports.

        With `skip` it is a delta update.
        """
        segments = self._frozen or self._broadcast.listed()
        text = media_playlist(
            segments,
            playlist_type=self._playlist_type,
            target_duration=self._segment_duration,
            suffix=self.suffix,
            ended=self._broadcast.ended and not self._frozen and self.faults.end == "endlist",
            encrypted=self.faults.encrypted,
            marks=self._broadcast.dated_marks(segments),
            low_latency=self._low_latency(segments, variant, skip=skip),
        )
        self.delta_updates += "#EXT-X-SKIP:" in text
        return text

    def _low_latency(
        self, segments: Sequence[PublishedSegment], variant: str, *, skip: bool
    ) -> LowLatency | None:
        if self._part_duration is None:
            return None
        last, upcoming = self._broadcast.segments[-1], self._broadcast.upcoming
        current = not self._frozen and segments[-1].index == last.index
        parts = self._parts.get(upcoming.index) if current and upcoming else None
        return LowLatency(
            part_target=self._part_duration,
            closed={each.index: self._parts[each.index] for each in segments},
            open=parts,
            opening=tuple(opening_tags(upcoming)) if upcoming and parts else (),
            hint=self.next_part() if current else None,
            missing=self.faults.gap_parts,
            renditions=tuple(
                f"../{each.name}/index.m3u8" for each in self._variants if each.name != variant
            ),
            skip=skip,
        )

    def next_part(self) -> str:
        """Return the file name of the part that is published next."""
        index = len(self._broadcast.segments)
        parts = self._parts.get(index)
        return part_name(index, len(parts.durations) if parts else 0, self.suffix)

    async def hold(self, directives: Directives) -> int | None:
        """Wait for what a request asks for; return the HTTP status that refuses it, if any."""
        if directives.sequence is None or self._part_duration is None:
            return None
        match self.faults.blocking:
            case "ignored":
                return None
            case "honored":
                pass
            case "hangs":
                await asyncio.sleep(3600)
            case status:
                return int(status)
        before = len(self._broadcast.segments)
        numbered = self._broadcast.segments[-1].media_sequence
        if directives.sequence > numbered + 2:
            return 400

        def is_there() -> bool:
            last, upcoming = self._broadcast.segments[-1], self._broadcast.upcoming
            parts = self._parts.get(upcoming.index) if upcoming else None
            return (
                self._broadcast.ended
                or last.media_sequence >= (directives.sequence or 0)
                or last.media_sequence < numbered
                or bool(
                    parts
                    and upcoming
                    and directives.part is not None
                    and upcoming.media_sequence == directives.sequence
                    and len(parts.durations) > directives.part
                )
            )

        refused = await self._wait(is_there)
        self.held |= {*range(before, len(self._broadcast.segments))}
        return refused

    async def hold_part(self, name: str) -> int | None:
        """Wait for a part if it comes next; return the HTTP status that refuses it, if any."""
        place = read_part_name(name)
        if place is None or self._lacks_part(place):
            return 404

        def is_there() -> bool:
            parts = self._parts.get(place[0])
            return parts is not None and len(parts.durations) > place[1]

        if not is_there() and name == self.next_part():
            await self._wait(
                lambda: is_there() or self._broadcast.ended or name != self.next_part()
            )
        return None if is_there() and place[0] in self._files else 404

    def _lacks_part(self, place: tuple[int, int]) -> bool:
        faults = self.faults
        segments = {*faults.missing, *faults.gaps, *(each.segment for each in faults.oversized)}
        return place[0] in segments or place in {*faults.gap_parts, *faults.missing_parts}

    def part(self, variant: str, name: str) -> bytes:
        """Read a part as it is served."""
        index, number = read_part_name(name) or (0, 0)
        if (variant, index) not in self._split:
            self._split[variant, index] = split(
                self.segment(variant, index),
                part_durations(self._segment_duration_of(index), self._part_duration or 1.0),
                suffix=self.suffix,
            )
        return self._split[variant, index][number]

    def _segment_duration_of(self, index: int) -> float:
        segments, upcoming = self._broadcast.segments, self._broadcast.upcoming
        if index < len(segments):
            return segments[index].duration
        return upcoming.duration if upcoming else 0.0

    async def _wait(self, is_there: Callable[[], bool]) -> int | None:
        try:
            async with asyncio.timeout(HELD_TARGETS * max(1.0, self._segment_duration)):
                async with self.changed:
                    await self.changed.wait_for(is_there)
        except TimeoutError:
            return 503
        return None

    def recording(self) -> str:
        """Write the playlist of the whole stream as it was recorded: nothing is missing there."""
        segments = [s.model_copy(update={"gap": False}) for s in self._broadcast.segments]
        return media_playlist(
            segments,
            playlist_type="vod",
            target_duration=self._segment_duration,
            suffix=self.suffix,
            ended=True,
            marks=self._broadcast.dated_marks(segments),
        )

    def media_error(self) -> int | None:
        """Return the HTTP status with which this request for a playlist is to fail, if any."""
        fault = self.faults.playlist_errors
        published = len(self._broadcast.segments)
        if fault is None or published <= fault.after or not self._playlist_errors_left:
            return None
        self._playlist_errors_left -= 1
        return fault.status

    def segment_error(self, index: int) -> int | None:
        """Return the HTTP status with which this request for a segment is to fail, if any."""
        if index in self.faults.missing or index in self.faults.gaps or index not in self._files:
            return 404
        if not self._segment_errors_left.get(index):
            return None
        self._segment_errors_left[index] -= 1
        return next(e.status for e in self.faults.errors if e.segment == index)

    def index_of(self, name: str, *, suffix: str | None = None) -> int | None:
        """Return the index of a segment by its file name, if there ever was such a segment."""
        stem = Path(name).stem.removeprefix("segment_")
        if not stem.isdecimal() or name != segment_name(int(stem), suffix or self.suffix):
            return None
        return int(stem) if int(stem) < len(self._broadcast.segments) else None

    def name_of(self, index: int) -> str:
        """Return the file name of a segment."""
        return segment_name(index, self.suffix)

    def init(self, variant: str) -> bytes | None:
        """Read the initialisation section of an fMP4 variant."""
        path = self._packager.init_path(variant)
        return path.read_bytes() if self.suffix == "m4s" and path.exists() else None

    def recorded_segment(self, variant: str, index: int) -> bytes:
        """Read a segment as the encoder made it, with its timestamps moved where asked for."""
        data = self._files[index][variant].read_bytes()
        upcoming = self._broadcast.upcoming
        if upcoming is not None and upcoming.index == index:
            shift = upcoming.timestamp_shift
        else:
            shift = self._broadcast.segments[index].timestamp_shift
        if shift and self.suffix == "ts":
            data = shift_mpegts(data, shift)
        elif shift:
            data = shift_fmp4(data, self.init(variant) or b"", shift)
        return data

    def segment(self, variant: str, index: int) -> bytes:
        """Read a segment as it is served live, damaged where that was asked for."""
        data = self.recorded_segment(variant, index)
        corruption = next((c for c in self.faults.corrupt if c.segment == index), None)
        if self.faults.encrypted or (corruption and corruption.damage == "noise"):
            return random.Random(index).randbytes(len(data))
        if corruption:
            return data[: len(data) // 2] if corruption.damage == "truncated" else b""
        return data
