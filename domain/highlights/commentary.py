"""Commentary: caption text around a moment, and how it affects a candidate.

Captions are untrusted text. They can add tags of the game profile's taxonomy and raise
`narrative_value` a little. They never become a title or a tag of their own.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.media.segments import Line
from domain.media.timeline import unwrap
from domain.model import Model
from domain.profiles.model import GameProfile

LONGEST_LINE: Final = 200
MOST_LINES: Final = 24
"""Maximum lines per window, the latest ones: they are part of a workflow's history."""

LONGEST: Final = 600
"""Maximum length of a moment's commentary, in characters."""

REMEMBERED: Final = 60.0
"""Seconds for which the analyzer keeps lines."""

TAGS: Final = 3
LIFT: Final = 0.05
MOST_LIFTED: Final = 0.1
"""Added to `narrative_value` per tag, and the maximum in total."""

_BEFORE: Final = 4.0
_AFTER: Final = 8.0
_FARTHEST: Final = 60.0
_APART: Final = 10.0
_MARKUP: Final = re.compile(r"<[^>]*>")


class Cue(Model):
    """A caption as it stands in its file; `start` and `end` in seconds of the container's clock."""

    start: float
    end: float
    text: str


def caption_text(text: str) -> str:
    """Return a caption as plain text: no markup, entities, control characters or line breaks."""
    unescaped = html.unescape(_MARKUP.sub(" ", text))
    # Unescaped text may be markup again, so angle brackets are dropped.
    words = "".join(
        " " if each in "<>" or unicodedata.category(each)[0] in "CZ" else each for each in unescaped
    )
    return " ".join(words.split())[:LONGEST_LINE].rstrip()


class CaptionDeduplicator:
    """Removes repeated text from captions.

    Roll-up captions repeat the previous lines with each new line, live captions repeat a line with
    each new word, and packagers repeat in a segment the cues that began in the previous one.
    """

    def __init__(self) -> None:
        self._lines: tuple[str, ...] = ()
        self._end = 0.0

    def new_text(self, cues: Iterable[Cue]) -> list[Cue]:
        """Return the cues with their new text only; cues without new text are dropped."""
        fresh = []
        for cue in cues:
            lines = tuple(line for line in map(caption_text, cue.text.splitlines()) if line)
            before = (
                self._lines if abs(unwrap(cue.start, near=self._end) - self._end) < _APART else ()
            )
            self._end = max(cue.end, cue.start)
            self._lines = lines or before
            text = "\n".join(_new_lines(lines, before))
            if text:
                fresh.append(Cue(start=cue.start, end=cue.end, text=text))
        return fresh


def _new_lines(lines: tuple[str, ...], before: tuple[str, ...]) -> tuple[str, ...]:
    """Return what `lines` add to the lines shown `before`."""
    for shown in range(min(len(lines), len(before)), 0, -1):
        if lines[:shown] == before[-shown:]:
            return lines[shown:]
        grown = lines[shown - 1]
        if lines[: shown - 1] == before[-shown:-1] and grown.startswith(before[-1]):
            return (_added_words(grown, before[-1]), *lines[shown:])
    return lines


def _added_words(grown: str, before: str) -> str:
    """Return the words added to a line; a word that was cut off counts as added."""
    end = len(before)
    if end < len(grown) and not grown[end].isspace():
        end = grown.rfind(" ", 0, end) + 1
    return grown[end:].strip()


def place_cues(cues: Iterable[Cue], *, at: float, timestamp: float) -> tuple[Line, ...]:
    """Return the lines of cues on the media timeline, in order.

    Args:
        cues: captions on the container's clock, which wraps.
        at: media time (s) of a nearby segment.
        timestamp: the container's time (s) of that segment.

    Returns:
        Cues more than a minute away belong to another clock and are dropped.
    """
    lines = []
    for cue in cues:
        offset = unwrap(cue.start, near=timestamp) - timestamp
        start = at + offset
        text = caption_text(cue.text)
        if text and abs(offset) <= _FARTHEST and start >= 0 and cue.end >= cue.start:
            until = start + min(cue.end - cue.start, _FARTHEST)
            lines.append(Line(at=round(start, 3), until=round(until, 3), text=text))
    return tuple(sorted(lines, key=lambda line: (line.at, line.text))[-MOST_LINES:])


def recent_lines(
    before: Sequence[Line], new: Sequence[Line], *, position: float
) -> tuple[Line, ...]:
    """Return the lines to keep at a position (s of media time), without duplicates."""
    lines = {(line.at, line.text): line for line in (*before, *new)}
    return tuple(line for _, line in sorted(lines.items()) if line.until >= position - REMEMBERED)


def commentary_over(lines: Sequence[Line], candidate: HighlightCandidate) -> str:
    """Return the commentary from just before a moment until its reaction, deduplicated."""
    first, last = candidate.start - _BEFORE, candidate.end + _AFTER
    texts = [line.text for line in lines if line.until >= first and line.at <= last]
    return " ".join(dict.fromkeys(texts))[:LONGEST].rstrip()


def attach_commentary(
    candidates: Sequence[HighlightCandidate], lines: Sequence[Line]
) -> tuple[HighlightCandidate, ...]:
    """Return the candidates with the commentary around each."""
    return tuple(each.replace(commentary=commentary_over(lines, each)) for each in candidates)


def apply_commentary(candidate: HighlightCandidate, profile: GameProfile) -> HighlightCandidate:
    """Return the candidate with tags and score adjusted to its commentary.

    Only tags of the profile's taxonomy count, as whole words. The evidence names these tags and
    never quotes the commentary.
    """
    if not candidate.commentary:
        return candidate
    spoken = _spaced(candidate.commentary)
    heard = sorted(tag for tag in profile.all_tags() if _spaced(tag.replace("_", " ")) in spoken)
    # Longer tags are more specific: `own goal` contains `goal`.
    named = sorted(heard, key=lambda tag: (-len(tag), tag))[:TAGS]
    if not named:
        return candidate
    lift = min(MOST_LIFTED, LIFT * len(named))
    value = candidate.score.narrative_value
    score = candidate.score.with_narrative_value(round(min(1.0, value + lift), 4))
    words = ", ".join(tag.replace("_", " ") for tag in named)
    evidence = Evidence(
        signal="commentary",
        strength=float(len(named)),
        words=f"the commentary says {words} (narrative value +{lift:.2f})",
    )
    return candidate.replace(
        score=score,
        tags=tuple(dict.fromkeys((*candidate.tags, *named))),
        evidence=(*candidate.evidence, evidence),
    )


def _spaced(text: str) -> str:
    """Return the casefolded words separated by single spaces, to search for whole words."""
    words = "".join(letter if letter.isalnum() else " " for letter in text.casefold())
    return f" {' '.join(words.split())} "
