"""Temporal task queues, one per resource class, so that slow work does not delay quick work."""

from __future__ import annotations

from typing import Final

ORCHESTRATION: Final = "highlights"
IO: Final = "highlights-io"
ANALYSIS: Final = "highlights-analysis"
RENDER: Final = "highlights-render"
DELIVER: Final = "highlights-deliver"
ALL: Final = (ORCHESTRATION, IO, ANALYSIS, RENDER, DELIVER)


def of_worker(queue: str, worker: str) -> str:
    """Return the queue for those tasks of `queue` whose media one worker has on its own disk."""
    return f"{queue}@{worker}"
