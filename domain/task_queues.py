"""Task queues, one per resource class, so that a slow step never starves a quick one."""

from __future__ import annotations

from typing import Final

ORCHESTRATION: Final = "highlights"
IO: Final = "highlights-io"
ANALYSIS: Final = "highlights-analysis"
RENDER: Final = "highlights-render"
DELIVER: Final = "highlights-deliver"
ALL: Final = (ORCHESTRATION, IO, ANALYSIS, RENDER, DELIVER)
