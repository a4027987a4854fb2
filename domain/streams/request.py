"""A request to analyze a live stream, by the API or by the platform's broker."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from domain.fields import Name, Title, Url
from domain.language import Language


class AnalyzeOptions(BaseModel):
    """How to follow the stream; times in seconds. What is left out has the server's default."""

    model_config = ConfigDict(extra="forbid")

    max_height: int | None = Field(
        default=None, ge=1, le=4320, description="Follow the best variant of at most this height."
    )
    window_duration: float | None = Field(
        default=None, ge=2, le=60, description="Media analysed at a time."
    )
    start_timeout: float | None = Field(
        default=None, ge=10, le=3600, description="How long to wait for the first segment."
    )
    stall_timeout: float | None = Field(
        default=None, ge=10, le=3600, description="End the stream after so long without a segment."
    )
    captions: bool | None = Field(
        default=None, description="Whether to follow the stream's captions, where it has some."
    )


class StreamRequest(BaseModel):
    """A live stream to find highlights in.

    Validate it from JSON and in strict mode, so that `true` is not taken for 1.
    """

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="HLS playlist, master or media.")
    game: Name | None = Field(
        default=None,
        description="Game, sport or league as people call it; decides the profile. "
        "Without one the title is looked at, and `default` serves all.",
    )
    title: Title = Field(default="", description="For people.")
    language: Language | None = Field(
        default=None,
        description="Of titles, tags and commentary, so that the search finds words in all forms.",
    )
    external_id: Name | None = Field(default=None, description="Your own id of the stream.")
    options: AnalyzeOptions = AnalyzeOptions()
