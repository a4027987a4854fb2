"""Captions beside a live stream: WebVTT segments in a playlist of their own (RFC 8216, 3.5)."""

from __future__ import annotations

import html
from collections.abc import Sequence

from pydantic import NonNegativeFloat

from demo.model import Model
from demo.origin.timestamps import WRAP

CAPTIONS = "captions"
"""The name of their folder, and of their group in the master playlist."""


class Caption(Model):
    """What is said from `start` to `end`, seconds of the input."""

    start: NonNegativeFloat
    end: NonNegativeFloat
    text: str


def caption_segment(
    captions: Sequence[Caption], *, start: float, end: float, first_timestamp: int
) -> str:
    """Write the captions of a segment; one that lasts longer stands in the next one too.

    Args:
        captions: those of the whole stream.
        start: seconds of the input at which the segment begins, and
        end: ends.
        first_timestamp: of second 0 of the input in the segment's media, ticks of 90 kHz.
    """
    lines = [
        "WEBVTT",
        f"X-TIMESTAMP-MAP=MPEGTS:{first_timestamp % WRAP},LOCAL:{_time(0.0)}",
        "",
    ]
    for caption in captions:
        if caption.start < end and caption.end > start:
            times = f"{_time(caption.start)} --> {_time(caption.end)}"
            lines += [times, html.escape(caption.text, quote=False), ""]
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, seconds_left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds_left:02}.{milliseconds:03}"
