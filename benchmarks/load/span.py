"""What streams used between two snapshots, in shares of a stream and of an hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import psutil

from benchmarks.load.probe import HistoryCounts, Snapshot

_HOUR: Final = 3600.0
_READS: Final = ("GetObject", "HeadObject")
_DELETES: Final = "Delete"  # nothing is paid for them


@dataclass(frozen=True)
class Span:
    """Two snapshots while all streams were live, and two of the idle stack before them."""

    idle_from: Snapshot
    idle: Snapshot
    first: Snapshot
    last: Snapshot
    streams: int

    @property
    def seconds(self) -> float:
        """Length of the span."""
        return _between(self.first, self.last)

    @property
    def stream_hours(self) -> float:
        """Hours of all streams together."""
        return self.streams * self.seconds / _HOUR

    @property
    def busy(self) -> float:
        """Share of the machine's cores that was in use, by anything."""
        cores = psutil.cpu_count() or 1
        return (self.last.machine - self.first.machine) / self.seconds / cores

    def stored(self) -> float:
        """Return the share of the media published in the span that was stored in it."""
        return (self.last.media - self.first.media) / self.seconds / self.streams

    def cpu(self) -> dict[str, float]:
        """Return percent of a core for each stream, the idle stack's included, by process."""
        return _percent(self.first, self.last, self.streams)

    def idle_cpu(self) -> dict[str, float]:
        """Return percent of a core of the idle stack, in all."""
        return _percent(self.idle_from, self.idle, 1)

    def added_memory(self) -> dict[str, float]:
        """Return the MiB that each stream adds to the idle stack."""
        idle = self.idle.memory
        return {
            name: (size - idle.get(name, 0.0)) / self.streams
            for name, size in self.last.memory.items()
        }

    def hourly(self, histories: HistoryCounts) -> dict[str, float]:
        """Return what one stream leads to in an hour, without what the idle stack does."""
        hours = self.stream_hours
        beats = self._above_idle(lambda each: each.heartbeats)
        found = {
            "clips": histories.clips / hours,
            "history events": sum(histories.events.values()) / hours,
            **{f"history events, {kind}": n / hours for kind, n in histories.events.items()},
            "Temporal actions": histories.actions / hours + beats,
            "of them heartbeats": beats,
            "bytes of histories": histories.bytes / hours,
        }
        found |= {name: self._above_idle(partial(_counted, name)) for name in self.last.database}
        if self.last.store:
            found |= {"S3 writes and lists": self._writes(), "S3 reads": self._reads()}
        return found

    def _writes(self) -> float:
        requests = self.last.store - self.first.store
        return (
            sum(
                count
                for name, count in requests.items()
                if name not in _READS and not name.startswith(_DELETES)
            )
            / self.stream_hours
        )

    def _reads(self) -> float:
        requests = self.last.store - self.first.store
        return sum(requests[name] for name in _READS) / self.stream_hours

    def _above_idle(self, counter: Callable[[Snapshot], float]) -> float:
        """Return how much a counter grows in an hour for each stream, beyond the idle stack."""
        alone = counter(self.idle) - counter(self.idle_from)
        alone *= self.seconds / _between(self.idle_from, self.idle)
        return (counter(self.last) - counter(self.first) - alone) / self.stream_hours


def _counted(counter: str, snapshot: Snapshot) -> float:
    return snapshot.database[counter]


def _between(first: Snapshot, last: Snapshot) -> float:
    return (last.at - first.at).total_seconds()


def _percent(first: Snapshot, last: Snapshot, share: int) -> dict[str, float]:
    seconds = _between(first, last)
    return {
        name: 100 * (used - first.cpu.get(name, 0.0)) / seconds / share
        for name, used in last.cpu.items()
    }
