"""One live stream as it can be requested: its playlists and segments, and their faults."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime
from pathlib import Path

from demo.origin.broadcast import Broadcast
from demo.origin.codecs import h264_codec
from demo.origin.faults import Faults
from demo.origin.packager import Container, PackagedSegment, Packager, Variant
from demo.origin.playlist import (
    PlaylistType,
    PublishedSegment,
    master_playlist,
    media_playlist,
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
        self._files: dict[int, dict[str, Path]] = {}
        self._codecs: dict[str, str | None] = {}
        self._frozen: list[PublishedSegment] | None = None
        self._playlist_errors_left = faults.playlist_errors.times if faults.playlist_errors else 0
        self._segment_errors_left = {e.segment: e.times for e in faults.errors}

    def publish(self, packaged: PackagedSegment, *, at: datetime) -> PublishedSegment:
        """Make a segment visible, and forget those that have long left the playlist."""
        stamp = None
        best = packaged.files[self._variants[0].name]
        if packaged.index == 0:
            if self.suffix == "ts":
                stamp = first_mpegts_timestamp(best.read_bytes())
            self._codecs = {name: self._codec(name, path) for name, path in packaged.files.items()}
        self._files[packaged.index] = packaged.files
        published = self._broadcast.publish(
            duration=packaged.duration, first_timestamp=stamp, at=at
        )
        for index in [i for i in self._files if i < self._broadcast.first_kept()]:
            for path in self._files.pop(index).values():
                path.unlink(missing_ok=True)
        return published

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

    def master(self, prefix: str = "") -> str:
        """Write the master playlist; `prefix` leads from where it lies to the stream's folder."""
        variants = [(variant, self._codecs.get(variant.name)) for variant in self._variants]
        return master_playlist(variants, has_audio=self._has_audio, prefix=prefix)

    def media(self) -> str:
        """Write the media playlist, which is the same for every variant."""
        segments = self._frozen or self._broadcast.listed()
        return media_playlist(
            segments,
            playlist_type=self._playlist_type,
            target_duration=self._segment_duration,
            suffix=self.suffix,
            ended=self._broadcast.ended and not self._frozen and self.faults.end == "endlist",
            encrypted=self.faults.encrypted,
            marks=self._broadcast.dated_marks(segments),
        )

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

    def index_of(self, name: str) -> int | None:
        """Return the index of a segment by its file name, if there ever was such a segment."""
        stem = Path(name).stem.removeprefix("segment_")
        if not stem.isdecimal() or name != segment_name(int(stem), self.suffix):
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
