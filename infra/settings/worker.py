"""How much a worker does at a time."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from infra.settings.section import SettingsSection
from infra.settings.values import Program, ReadableFile


class WorkerSettings(SettingsSection):
    """How much a worker does at a time."""

    heading = "Worker"

    analyzer_processes: PositiveInt = Field(
        default=2, description="Child processes that decode and analyse media."
    )
    analyzer_memory_bytes: PositiveInt = Field(
        default=2 << 30, description="Address space of each of them (RLIMIT_AS), in bytes."
    )
    analyzer_cpu_seconds: PositiveInt = Field(
        default=600,
        description="CPU time after which each of them is replaced (RLIMIT_CPU), in seconds.",
    )
    analyzer_timeout: PositiveFloat = Field(
        default=30.0, description="Seconds after which the analysis of one window is given up."
    )
    io_concurrency: PositiveInt = Field(
        default=200, description="Activities of the `io` queue at a time; one per live stream."
    )
    analysis_concurrency: PositiveInt = Field(
        default=8, description="Activities of the `analysis` queue at a time."
    )
    render_concurrency: PositiveInt = Field(default=2, description="Clips rendered at a time.")
    render_timeout: PositiveFloat = Field(
        default=120.0, description="Seconds after which the rendering of one clip is given up."
    )
    ffmpeg_path: Program | None = Field(
        default=None,
        description="ffmpeg (7.0 or later) to render with; by default the one that the package "
        "`imageio-ffmpeg` holds. One on PATH is not used.",
    )
    watermark_path: ReadableFile | None = Field(
        default=None, description="PNG laid over the corner of every clip."
    )
    execution_reconcile_interval: PositiveFloat = Field(
        default=15.0,
        description="Seconds between comparisons of streams, clips, deliveries and backfills that "
        "are under way with the workflows that should be working on them.",
    )
    graceful_shutdown_timeout: NonNegativeFloat = Field(
        default=10.0, description="Seconds that running activities have to finish on shutdown."
    )
