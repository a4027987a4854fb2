"""Cuts a video into the windows that ingest would have stored of it as a live stream."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from demo.errors import PackagingError
from demo.origin.ladder import choose_variants
from demo.origin.packager import Packager
from demo.origin.source import Source
from demo.origin.source import probe as probe_video
from domain.media.segments import SegmentRef, Window
from infra.media.probe import UndecodableError
from infra.media.probe import probe as probe_segment

SEGMENT_SECONDS: Final = 2.0
SEGMENTS_PER_WINDOW: Final = 3

_LONGEST_GOP: Final = 2.5 * SEGMENT_SECONDS
"""If keyframes are farther apart (s), the video is re-encoded as by a live encoder."""


def package_windows(video: Path, folder: Path) -> list[Window]:
    """Return the video's windows, their segments in `folder` as the demo's live origin makes them.

    Video and audio are copied if HLS allows it, else re-encoded. The key of a
    segment is its path in `folder`.

    Raises:
        UnusableInputError: it is missing, is no media, or has neither picture nor sound.
        PackagingError: ffmpeg could not read it, or made segments that cannot be played.
    """
    return list(_windows(_package(probe_video(video), folder)))


def _package(source: Source, folder: Path) -> list[SegmentRef]:
    (variant,) = choose_variants(source, ladder=False, longest_gop=_LONGEST_GOP)
    (folder / variant.name).mkdir(parents=True, exist_ok=True)
    packager = Packager(
        source,
        (variant,),
        directory=folder,
        segment_duration=SEGMENT_SECONDS,
        container="mpegts",
        ahead=0,
    )
    done = subprocess.run(packager.command(), check=False, capture_output=True)
    files = sorted((folder / variant.name).glob("segment_*.ts"))
    if done.returncode or not files:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise PackagingError(
            f"{source.path} could not be cut into segments by ffmpeg: "
            f"{' '.join(said[-3:]) or 'it made none'}"
        )
    try:
        return _referred(files, folder)
    except (UndecodableError, ValidationError) as error:
        raise PackagingError(
            f"{source.path} was cut into segments that cannot be played, so its timestamps may be "
            f"broken ({error}). Re-encode it first."
        ) from error


def _referred(files: Sequence[Path], folder: Path) -> list[SegmentRef]:
    facts = [probe_segment(str(file)) for file in files]
    origin, now = facts[0].first_timestamp, datetime.now(UTC)
    starts = [fact.first_timestamp - origin for fact in facts]
    ends = [*starts[1:], starts[-1] + facts[-1].duration]
    return [
        SegmentRef(
            media_sequence=number,
            start=start,
            duration=end - start,
            first_timestamp=fact.first_timestamp,
            key=str(file.relative_to(folder)),
            size=file.stat().st_size,
            has_video=fact.has_video,
            has_audio=fact.has_audio,
            published_at=now,
        )
        for number, (file, fact, start, end) in enumerate(
            zip(files, facts, starts, ends, strict=True)
        )
    ]


def _windows(segments: Sequence[SegmentRef]) -> Iterator[Window]:
    """Yield windows of `SEGMENTS_PER_WINDOW` segments; the last may be shorter."""
    for index, first in enumerate(range(0, len(segments), SEGMENTS_PER_WINDOW)):
        part = tuple(segments[first : first + SEGMENTS_PER_WINDOW])
        yield Window(
            index=index, variant="720p", segments=part, start=part[0].start, end=part[-1].end
        )
