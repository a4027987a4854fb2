"""Which part of a ground-truth file is about the video at hand."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat

HIGHLIGHT_LABELS: Final = (
    "Goal",
    "Penalty",
    "Red card",
    "Yellow->red card",
    "Shots on target",
)
"""Of SoccerNet-v2's 17 actions (Deliège et al. 2021), those that a viewer would want as a clip."""


class Wanted(BaseModel):
    """What to take from the file; all optional if the file has one video only.

    Attributes:
        name: the video file's name without extension, which may imply the rest.
        video_id: `vid` in QVHighlights.
        half: of the match in SoccerNet, whose videos are a half each.
        labels: the actions of SoccerNet that count as moments.
        before: seconds of a moment before the instant that SoccerNet names.
        after: seconds of a moment after it.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    video_id: str | None = None
    half: Literal[1, 2] | None = None
    labels: tuple[str, ...] = HIGHLIGHT_LABELS
    before: NonNegativeFloat = 5.0
    after: NonNegativeFloat = 7.0
