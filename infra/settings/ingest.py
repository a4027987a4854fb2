"""What one stream may make us do."""

from __future__ import annotations

from typing import Final

from pydantic import Field, PositiveFloat, PositiveInt

from domain.ingest import IngestLimits
from infra.settings.section import SettingsSection

_INGEST: Final = IngestLimits()


class IngestSettings(SettingsSection):
    """What one stream may make us do."""

    heading = "Ingest"

    allow_private_urls: bool = Field(
        default=False,
        description="Let tenants name playlists on private addresses and over plain HTTP; "
        "for development and the demo.",
    )
    ingest_window_duration: PositiveFloat = Field(
        default=_INGEST.window_duration, description="Seconds of media in a window."
    )
    ingest_start_timeout: PositiveFloat = Field(
        default=_INGEST.start_timeout, description="Seconds to wait for a stream's first segment."
    )
    ingest_stall_notice: PositiveFloat = Field(
        default=_INGEST.stall_notice,
        description="Seconds without a new segment after which a stream is shown as stalled.",
    )
    ingest_stall_timeout: PositiveFloat = Field(
        default=_INGEST.stall_timeout,
        description="Seconds without a new segment after which a stream is ended.",
    )
    ingest_request_timeout: PositiveFloat = Field(
        default=_INGEST.request_timeout,
        description="Seconds without a byte after which a playlist or segment request is given up; "
        "more for segments longer than two thirds of it.",
    )
    ingest_max_playlist_bytes: PositiveInt = Field(
        default=_INGEST.max_playlist_bytes, description="Largest playlist read, in bytes."
    )
    ingest_max_segment_bytes: PositiveInt = Field(
        default=_INGEST.max_segment_bytes, description="Largest segment read, in bytes."
    )
    ingest_max_backlog: PositiveFloat = Field(
        default=_INGEST.max_backlog,
        description="Seconds of already published media at most with which a stream is joined.",
    )
    ingest_retention: PositiveFloat = Field(
        default=_INGEST.retention,
        description="Seconds of a stream's media kept in the segment store.",
    )

    ingest_captions: bool = Field(
        default=_INGEST.captions,
        description="Follow the captions of streams that have some; a stream may say otherwise.",
    )

    def ingest_limits(self) -> IngestLimits:
        """The limits as ingest takes them."""
        return IngestLimits(
            window_duration=self.ingest_window_duration,
            start_timeout=self.ingest_start_timeout,
            stall_notice=self.ingest_stall_notice,
            stall_timeout=self.ingest_stall_timeout,
            request_timeout=self.ingest_request_timeout,
            max_playlist_bytes=self.ingest_max_playlist_bytes,
            max_segment_bytes=self.ingest_max_segment_bytes,
            max_backlog=self.ingest_max_backlog,
            retention=self.ingest_retention,
            captions=self.ingest_captions,
        )
