"""Low-latency HLS (RFC 8216bis): segments in parts, and requests held back until one is there."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from pydantic import NonNegativeFloat, NonNegativeInt

from demo.model import Model
from demo.origin.timestamps import mpegts_cuts

HELD_TARGETS = 3
"""Target durations after which a request that was held back is refused (503)."""

_SKIP_TARGETS = 6
_LISTED_TARGETS = 3
_NAME = re.compile(r"part_(\d{5})_(\d+)\.(ts|m4s)")


class Parts(Model):
    """The published parts of one segment, by their durations in seconds."""

    index: NonNegativeInt
    durations: tuple[NonNegativeFloat, ...]
    suffix: str

    def name(self, number: int) -> str:
        """Return the file name of a part."""
        return part_name(self.index, number, self.suffix)

    def lines(self, missing: Sequence[tuple[int, int]] = ()) -> list[str]:
        """Write the tags; those of parts that are `missing` say so."""
        return [
            f'#EXT-X-PART:DURATION={duration:.6f},URI="{self.name(number)}"'
            + (",INDEPENDENT=YES" if number == 0 else "")
            + (",GAP=YES" if (self.index, number) in missing else "")
            for number, duration in enumerate(self.durations)
        ]


class Directives(Model):
    """What a request for a playlist asks for (`_HLS_msn`, `_HLS_part`, `_HLS_skip`)."""

    sequence: NonNegativeInt | None = None
    part: NonNegativeInt | None = None
    skip: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Directives:
        """Read query parameters; raises ValueError where they are no numbers."""
        sequence, part = query.get("_HLS_msn"), query.get("_HLS_part")
        return cls(
            sequence=None if sequence is None else int(sequence),
            part=None if part is None else int(part),
            skip=query.get("_HLS_skip") in {"YES", "v2"},
        )


class LowLatency(Model):
    """What a low-latency playlist says besides its segments.

    Attributes:
        part_target: longest duration of a part, in seconds.
        closed: parts of listed segments, by index.
        open: those of the segment that is being published.
        opening: tags before its first part.
        hint: file name of the part that comes next; None when there is none.
        missing: parts (segment, part) that are marked as lost.
        renditions: paths of the other renditions' playlists.
        skip: leave out what a delta update may leave out.
    """

    part_target: NonNegativeFloat
    closed: Mapping[int, Parts]
    open: Parts | None = None
    opening: tuple[str, ...] = ()
    hint: str | None = None
    missing: tuple[tuple[int, int], ...] = ()
    renditions: tuple[str, ...] = ()
    skip: bool = False

    def header(self, target_duration: int) -> list[str]:
        """Write the tags of the whole playlist."""
        control = f"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={3 * self.part_target:.3f}"
        return [
            f"#EXT-X-SERVER-CONTROL:{control},CAN-SKIP-UNTIL={_SKIP_TARGETS * target_duration}",
            f"#EXT-X-PART-INF:PART-TARGET={self.part_target:.6f}",
        ]

    def skipped(self, durations: Sequence[float], target_duration: int) -> int:
        """Return how many segments lie before the skip boundary, if they are to be left out."""
        if not self.skip:
            return 0
        after = [sum(durations[place + 1 :]) for place in range(len(durations))]
        return sum(each > _SKIP_TARGETS * target_duration for each in after)

    def tags_of(self, index: int, *, after: float, target_duration: int) -> list[str]:
        """Write the parts of a listed segment that ends `after` seconds before the last one."""
        parts = self.closed.get(index)
        if parts is None or after > _LISTED_TARGETS * target_duration:
            return []
        return parts.lines(self.missing)

    def tail(self, last_sequence: int) -> list[str]:
        """Write what follows the last listed segment."""
        lines = [*self.opening, *self.open.lines(self.missing)] if self.open else []
        if self.hint is not None:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self.hint}"')
        lines += [
            f'#EXT-X-RENDITION-REPORT:URI="{path}",LAST-MSN={last_sequence}'
            for path in self.renditions
        ]
        return lines


def part_durations(duration: float, target: float) -> tuple[float, ...]:
    """Return the durations of the parts of a segment: all equal, none above `target`."""
    count = max(1, math.ceil(duration / target - 0.001))
    return (duration / count,) * count


def part_name(index: int, number: int, suffix: str) -> str:
    """Return the file name of a part of a segment."""
    return f"part_{index:05d}_{number}.{suffix}"


def read_part_name(name: str) -> tuple[int, int] | None:
    """Return segment and part of a file name; None where it is none of a part."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def split(data: bytes, durations: Sequence[float], *, suffix: str) -> list[bytes]:
    """Cut a segment into parts.

    MPEG-TS is cut where a picture begins. An fMP4 segment of ffmpeg is a single fragment, so its
    parts are bytes of it that mean nothing alone.
    """
    ends = [sum(durations[: n + 1]) for n in range(len(durations) - 1)]
    if suffix == "ts":
        cuts = mpegts_cuts(data, ends)
    else:
        cuts = [int(len(data) * each / sum(durations)) for each in ends]
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
