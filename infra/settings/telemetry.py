"""Logs, traces and metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.settings.section import SettingsSection
from infra.settings.values import HttpUrl


class TelemetrySettings(SettingsSection):
    """Logs, traces and metrics."""

    heading = "Telemetry"

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least important level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto` writes for people on a terminal and JSON elsewhere."
    )
    otel_endpoint: HttpUrl | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OTLP/HTTP collector that receives traces; none by default.",
    )
