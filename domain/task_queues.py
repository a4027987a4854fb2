"""Temporal task queues, one per resource class, so that slow work does not delay quick work."""

from __future__ import annotations

from typing import Final

ORCHESTRATION: Final = "highlights"
IO: Final = "highlights-io"
ANALYSIS: Final = "highlights-analysis"
RENDER: Final = "highlights-render"
DELIVER: Final = "highlights-deliver"
ALL: Final = (ORCHESTRATION, IO, ANALYSIS, RENDER, DELIVER)
