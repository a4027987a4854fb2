"""Cuts a video into the windows that ingest would have stored of it as a live stream."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from demo.ffmpeg import ffmpeg_path
from domain.media import SegmentRef, Window
from infra.media_probe import probe

SEGMENT_SECONDS: Final = 2.0
SEGMENTS_PER_WINDOW: Final = 3


def package(video: Path, folder: Path) -> list[SegmentRef]:
    """Cut `video` at its keyframes into MPEG-TS segments in `folder`; a key is a file's name.

    Raises:
        subprocess.CalledProcessError: ffmpeg could not read the video.
    """
    command = [
        ffmpeg_path(), "-v", "error", "-nostdin", "-i", str(video), "-map", "0", "-c", "copy",
        "-f", "segment", "-segment_time", str(SEGMENT_SECONDS), "-segment_format", "mpegts",
        str(folder / "%06d.ts"),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    files = sorted(folder.glob("*.ts"))
    facts = [probe(str(file)) for file in files]
    origin, now = facts[0].first_timestamp, datetime.now(UTC)
    starts = [fact.first_timestamp - origin for fact in facts]
    ends = [*starts[1:], starts[-1] + facts[-1].duration]
    return [
        SegmentRef(
            media_sequence=number,
            start=start,
            duration=end - start,
            first_timestamp=fact.first_timestamp,
            key=file.name,
            size=file.stat().st_size,
            has_video=fact.has_video,
            has_audio=fact.has_audio,
            published_at=now,
        )
        for number, (file, fact, start, end) in enumerate(
            zip(files, facts, starts, ends, strict=True)
        )
    ]


def windows(segments: Sequence[SegmentRef]) -> Iterator[Window]:
    """Yield windows of `SEGMENTS_PER_WINDOW` segments; the last may be shorter."""
    for index, first in enumerate(range(0, len(segments), SEGMENTS_PER_WINDOW)):
        part = tuple(segments[first : first + SEGMENTS_PER_WINDOW])
        yield Window(
            index=index, variant="720p", segments=part, start=part[0].start, end=part[-1].end
        )
