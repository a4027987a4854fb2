"""A request to analyze a live stream, by the API or by the platform's broker."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from domain.fields import Name, Title, Url
from domain.text import Language


class AnalyzeOptions(BaseModel):
    """How to follow the stream; times in seconds. Omitted options have the server's defaults."""

    model_config = ConfigDict(extra="forbid")

    max_height: int | None = Field(
        default=None, ge=1, le=4320, description="Follow the best variant of at most this height."
    )
    window_duration: float | None = Field(
        default=None, ge=2, le=60, description="Length of an analysis window."
    )
    start_timeout: float | None = Field(
        default=None, ge=10, le=3600, description="How long to wait for the first segment."
    )
    stall_timeout: float | None = Field(
        default=None,
        ge=10,
        le=3600,
        description="End the stream after this long without a segment.",
    )
    captions: bool | None = Field(
        default=None, description="Whether to use the stream's captions, if it has any."
    )


class StreamRequest(BaseModel):
    """A live stream to find highlights in.

    Validate it from JSON and in strict mode, so that `true` is not taken for 1.
    """

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="HLS playlist, master or media.")
    game: Name | None = Field(
        default=None,
        description="Game, sport or league in plain words; selects the profile. Without one, the "
        "title decides; `default` fits everything.",
    )
    title: Title = Field(default="", description="Display title.")
    language: Language | None = Field(
        default=None,
        description="Language of titles, tags and commentary, so that search finds all word forms.",
    )
    external_id: Name | None = Field(default=None, description="Your id of the stream.")
    options: AnalyzeOptions = AnalyzeOptions()
