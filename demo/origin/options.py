"""How a file is played as a live stream."""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, Field, PositiveFloat, PositiveInt

from demo.model import Model
from demo.origin.captions import Caption
from demo.origin.faults import Faults
from demo.origin.ladder import Tracks
from demo.origin.packager import Container
from demo.origin.playlist import Mark, PlaylistType


class OriginOptions(Model):
    """How a file is played.

    Attributes:
        pace: seconds of the file per second of wall clock.
        window: segments in a live playlist; by default five at real time, and more at a higher
            pace so that they still span ten seconds of wall clock.
        ladder: offer the lower qualities of 100ms's ladder too; each costs an encoder.
        container: MPEG-TS or fragmented MP4.
        tracks: send all, or sound alone, or pictures alone.
        playlist_type: a sliding window, one that keeps everything, or a finished recording.
        segment_duration: seconds between cuts; longer where the file's keyframes are farther apart.
        marks: timed metadata.
        captions: what is said, in a playlist of captions beside the media.
        dates: program date times of the segments, as far as they go: what a recording tells of a
            stream that was live before.
        faults: what is to go wrong.
        autostart: begin on entering the context; else `begin()` does.
        host: address to listen on.
        port: to listen on, 0 for a free one.
        directory: where segments are kept; a temporary one by default.
        path: the stream's folder on the server; by default one of its own in 100ms's form.
        keep_all: keep every segment, as a source that records does.
        part_duration: seconds of the parts in which segments are published (low-latency HLS); by
            default they are published as a whole.
        serve: listen; else whoever plays it serves `LiveOrigin.app` among others.
    """

    pace: PositiveFloat = 1.0
    window: PositiveInt | None = None
    ladder: bool = False
    container: Container = "mpegts"
    tracks: Tracks = "all"
    playlist_type: PlaylistType = "live"
    segment_duration: PositiveFloat = 2.0
    marks: tuple[Mark, ...] = ()
    captions: tuple[Caption, ...] = ()
    dates: tuple[AwareDatetime, ...] = ()
    faults: Faults = Faults()
    autostart: bool = True
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    directory: Path | None = None
    path: str | None = None
    keep_all: bool = False
    part_duration: PositiveFloat | None = None
    serve: bool = True
