"""WebVTT of an HLS stream to cues, with the `webvtt-py` library."""

from __future__ import annotations

import re
from typing import Final

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from domain.highlights.commentary import Cue
from domain.text import clean_text

_MAP: Final = re.compile(r"^X-TIMESTAMP-MAP=(.+)$", re.MULTILINE)
_TICKS: Final = 90_000
_WRAP: Final = 1 << 33
_MOST_CUES: Final = 200
_LONGEST_CUE: Final = 2000


class NotCaptionsError(Exception):
    """The text is no WebVTT, or malformed."""


def parse_captions(text: str) -> tuple[Cue, ...]:
    """Return the cues of a segment on the clock of the stream's media, which wraps.

    `X-TIMESTAMP-MAP` ties the cues' times to MPEG-2 timestamps (RFC 8216, 3.5); without it both
    begin at 0.

    Raises:
        NotCaptionsError: it cannot be read.
    """
    try:
        parsed = webvtt.from_string(text.lstrip("\ufeff"))
        shift = _shift(text)
        return tuple(
            Cue(
                start=_seconds(caption.start) + shift,
                end=_seconds(caption.end) + shift,
                text=clean_text(caption.raw_text, _LONGEST_CUE),
            )
            for caption in parsed.captions[:_MOST_CUES]
        )
    except (MalformedFileError, MalformedCaptionError, ValueError) as error:
        raise NotCaptionsError(f"the captions are malformed ({error})") from error


def _shift(text: str) -> float:
    """Return the seconds from a cue's time to the media's timestamp."""
    header = text.partition("-->")[0]
    found = _MAP.search(header.replace("\r", "\n"))
    if found is None:
        return 0.0
    parts = dict(part.strip().partition(":")[::2] for part in found[1].split(","))
    if not {"MPEGTS", "LOCAL"} <= parts.keys():
        raise ValueError("X-TIMESTAMP-MAP names no MPEGTS and LOCAL")
    return int(parts["MPEGTS"]) % _WRAP / _TICKS - _seconds(parts["LOCAL"])


def _seconds(time: str) -> float:
    seconds = 0.0
    for part in time.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds
