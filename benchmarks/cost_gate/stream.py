"""Scripted matches one after the other, stored as ingest would have stored one long stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.quality.packaging import package_windows
from benchmarks.quality.truth import Moment, Wanted, read_ground_truth
from demo.match import ensure_match
from domain.media.segments import Window
from infra.storage.segments import LocalSegmentStore


class LongStream(NamedTuple):
    """The windows in order, where their media lie, and the true moments (s of media time)."""

    windows: tuple[Window, ...]
    store: LocalSegmentStore
    moments: tuple[Moment, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.windows[-1].end


def long_stream(
    kind: str,
    seeds: Sequence[int],
    *,
    duration: float,
    spacing: float,
    home: Path,
    folder: Path,
) -> LongStream:
    """Return matches of `duration` seconds each as one stream, its media in `folder`.

    Their moments are `spacing` seconds apart on average.

    A gate is to be judged on a stream, not on a match: its limits hold from ten minutes on.

    Raises:
        MatchError: a match could not be made.
        PackagingError: a match could not be read.
    """
    windows: list[Window] = []
    moments: list[Moment] = []
    for seed in seeds:
        match = ensure_match(home, seed=seed, duration=duration, kind=kind, spacing=spacing)
        offset = windows[-1].end if windows else 0.0
        moments += [
            _later(each, offset) for each in read_ground_truth(match.truth, Wanted()).moments
        ]
        for window in package_windows(match.video, folder / str(seed)):
            windows.append(_placed(window, index=len(windows), offset=offset, prefix=str(seed)))
    return LongStream(tuple(windows), LocalSegmentStore(folder), tuple(moments))


def _later(moment: Moment, offset: float) -> Moment:
    return moment.model_copy(
        update={
            "start": moment.start + offset,
            "end": moment.end + offset,
            "peak": moment.height + offset,
        }
    )


def _placed(window: Window, *, index: int, offset: float, prefix: str) -> Window:
    """Place a window behind the matches before it."""
    return window.model_copy(
        update={
            "index": index,
            "start": window.start + offset,
            "end": window.end + offset,
            "segments": tuple(
                each.model_copy(
                    update={"start": each.start + offset, "key": f"{prefix}/{each.key}"}
                )
                for each in window.segments
            ),
        }
    )
