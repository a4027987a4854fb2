"""Parsing of Gemini's answers: invalid parts are corrected or dropped, and counted.

A model may give times that do not exist, duplicate moments, or text that was not asked for. None of
that is an error. Every correction and omission has a reason that is counted, so that a regression
of a prompt or model is visible.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from pydantic import Field

from domain.analysis.gemini.prompts import MOST_MOMENTS, MOST_TAGS, OTHER
from domain.analysis.gemini.query import GeminiAnswer
from domain.highlights.candidate import LocalizedTitle, TitleSource
from domain.highlights.moderation import (
    Moderation,
    ModerationCategory,
    ModerationFinding,
    ModerationSource,
)
from domain.media.timestamps import TimestampError, order_span, parse_timestamp
from domain.model import Model
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore

_ADDRESS: Final = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)


_MARKUP: Final = re.compile(r"<[^>]*>|[<>`{}|\\]")


_ELLIPSIS: Final = "…"


_JOINERS: Final = frozenset("\u200c\u200d\u200e\u200f")
"""Joiners and marks of direction, which words of Hindi, Persian, Arabic and Hebrew may need."""


def plain_text(value: object, *, longest: int) -> str:
    """Return `value` as one line without markup, URLs or control characters.

    Empty if it is not text; longer text is cut at a word, with an ellipsis.
    """
    if not isinstance(value, str):
        return ""
    text = unicodedata.normalize("NFC", value)
    text = _MARKUP.sub(" ", _ADDRESS.sub(" ", text))
    text = "".join(each if _is_plain(each) else " " for each in text)
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    whole = text[: longest - 1].rpartition(" ")[0] or text[: longest - 1]
    return whole + _ELLIPSIS


def _is_plain(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character)[0] not in "CZ"


LEAST_CERTAINTY: Final = 0.2
"""Moments with a lower certainty are dropped."""


_HUNDREDTHS: Final = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})")


_LONGEST_INTEGER: Final = 18
"""Digits."""


_SHORTEST: Final = 1.0


_LONGEST: Final = 60.0


_SAME_MOMENT: Final = 3.0


_NEAR_FILE: Final = 2.0


_TITLE: Final = 80


_DESCRIPTION: Final = 240


_TAG: Final = 40


_PEAK_MAY_MOVE: Final = 6.0


class UnusableAnswerError(ValueError):
    """Nothing in the answer can be used; `reason` is a short name for counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing in the answer can be used: {reason}")
        self.reason = reason


class FileSpan(Model):
    """The span of the stream that a video file covers, in seconds of media time."""

    start: float
    end: float


class DetectedMoment(Model):
    """A moment of the detect query; times in seconds of media time."""

    start: float
    peak: float
    end: float
    kind: str
    certainty: float
    corrections: tuple[str, ...] = ()


class DetectedMoments(Model):
    """The moments of a chunk, and counts of corrections and omissions by reason."""

    moments: tuple[DetectedMoment, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


class Refinement(Model):
    """A moment's exact times, in seconds of media time."""

    start: float
    peak: float
    end: float
    corrections: tuple[str, ...] = ()


class Assessment(Model):
    """Scores, tags and texts of a moment."""

    score: HighlightScore
    tags: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    titles: tuple[LocalizedTitle, ...] = ()
    moderation: Moderation | None = None
    counted: dict[str, int] = Field(default_factory=dict)


def parse_detections(answer: GeminiAnswer, file: FileSpan, profile: GameProfile) -> DetectedMoments:
    """Return the moments of a chunk in order; of overlapping ones the most certain.

    An answer that was cut off gives its complete moments.

    Raises:
        UnusableAnswerError: it was blocked, or does not match the schema.
    """
    counted: Counter[str] = Counter()
    found = []
    items = _items(_text(answer), counted)
    for item in islice(items, MOST_MOMENTS):
        detection = _detection(item, file, profile, counted)
        if detection is not None:
            found.append(detection)
    counted["too_many"] += sum(1 for _ in items)
    kept: list[DetectedMoment] = []
    for each in sorted(found, key=lambda detection: -detection.certainty):
        if any(_same(each, other) for other in kept):
            counted["overlapping"] += 1
        else:
            kept.append(each)
    kept.sort(key=lambda detection: detection.peak)
    return DetectedMoments(moments=tuple(kept), counted=dict(+counted))


def parse_refinement(
    answer: GeminiAnswer, file: FileSpan, *, excerpt_start: float, detected: DetectedMoment
) -> Refinement | None:
    """Return a moment's exact times; None if the model denies the moment.

    `excerpt_start` is where the excerpt begins, in seconds of the file. Some models count from
    there; the reading with the peak nearer to `detected` is used.

    Raises:
        UnusableAnswerError: it was blocked, or the times cannot be read or are far away.
    """
    said = _object(_text(answer))
    if said.get("present") is False:
        return None
    try:
        times = [
            parse_timestamp(_clocked(said.get(name, ""), file, Counter()))
            for name in ("start", "peak", "end")
        ]
    except TimestampError as error:
        raise UnusableAnswerError("unreadable_time") from error
    shift = min(
        (file.start, file.start + excerpt_start),
        key=lambda candidate: abs(times[1] + candidate - detected.peak),
    )
    if abs(times[1] + shift - detected.peak) > _PEAK_MAY_MOVE:
        raise UnusableAnswerError("elsewhere")
    span = order_span(
        start=times[0] + shift,
        peak=times[1] + shift,
        end=times[2] + shift,
        earliest=file.start,
        latest=file.end,
    )
    start, end = _sensible(span.start, span.peak, span.end, file)
    return Refinement(start=start, peak=round(span.peak, 3), end=end, corrections=span.corrections)


def parse_assessment(answer: GeminiAnswer, profile: GameProfile) -> Assessment:
    """Return the assessment of a moment; tags outside the taxonomy are dropped and counted.

    Raises:
        UnusableAnswerError: it was blocked, or a dimension is missing.
    """
    said = _object(_text(answer))
    values = {}
    for name in (*DIMENSIONS, "certainty"):
        value = said.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise UnusableAnswerError("score_missing")
        values[name] = min(1.0, max(0.0, float(value)))
    certainty = values.pop("certainty")
    listed = said.get("tags")
    tags = [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
    known = profile.all_tags()
    kept = tuple(dict.fromkeys(tag for tag in tags if tag in known))[:MOST_TAGS]
    counted = Counter({"unknown_tag": sum(tag not in known for tag in tags)})
    titles = _titles(said.get("titles"), profile)
    counted["title_missing"] = len(profile.languages) - len(titles)
    return Assessment(
        score=HighlightScore(**values, confidence=certainty),
        tags=kept,
        title=plain_text(said.get("title"), longest=_TITLE),
        description=plain_text(said.get("description"), longest=_DESCRIPTION),
        titles=titles,
        moderation=_moderation(said.get("flags")),
        counted=dict(+counted),
    )


def _titles(said: object, profile: GameProfile) -> tuple[LocalizedTitle, ...]:
    """Return the titles in the languages that were asked for, without those that have no text."""
    by_language = said if isinstance(said, dict) else {}
    titles = []
    for tag in profile.languages:
        said_in = by_language.get(tag)
        texts: Mapping[str, Any] = said_in if isinstance(said_in, dict) else {}
        title = plain_text(texts.get("title"), longest=_TITLE)
        if not title:
            continue
        tags = texts.get("tags")
        words = [plain_text(each, longest=_TAG) for each in tags] if isinstance(tags, list) else []
        titles.append(
            LocalizedTitle(
                requested=tag,
                language=tag,
                source=TitleSource.GEMINI,
                title=title,
                description=plain_text(texts.get("description"), longest=_DESCRIPTION),
                tags=tuple(dict.fromkeys(filter(None, words)))[:MOST_TAGS],
            )
        )
    return tuple(titles)


def _moderation(said: object) -> Moderation | None:
    """Return what was flagged; None if the answer says nothing about it."""
    if not isinstance(said, dict):
        return None
    return Moderation(captions=_finding(said.get("speech")), pictures=_finding(said.get("picture")))


def _finding(listed: object) -> ModerationFinding:
    if not isinstance(listed, list):
        return ModerationFinding()
    categories = tuple(each for each in ModerationCategory if each.value in listed)
    return ModerationFinding.of(categories, ModerationSource.GEMINI)


def _text(answer: GeminiAnswer) -> str:
    if answer.blocked is not None:
        raise UnusableAnswerError("blocked")
    if not answer.text.strip():
        raise UnusableAnswerError((answer.finish or "empty").lower())
    return answer.text


def _object(text: str) -> Mapping[str, Any]:
    try:
        said = json.loads(_unfenced(text), parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise UnusableAnswerError("malformed") from error
    if not isinstance(said, dict):
        raise UnusableAnswerError("malformed")
    return said


def _integer(text: str) -> int | float:
    """Return an integer; of one that no double holds, infinity, which every check refuses."""
    return int(text) if len(text) <= _LONGEST_INTEGER else float(text)


def _unfenced(text: str) -> str:
    """Return the JSON of an answer that stands in a code fence, as models like to write it."""
    text = text.strip()
    if text.startswith("```"):
        text = text.partition("\n")[2].rpartition("```")[0]
    return text


def _items(text: str, counted: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the complete objects of the list `moments`, also of one that was cut off."""
    text = _unfenced(text)
    begin = text.find("[")
    if not text.lstrip().startswith("{") or '"moments"' not in text or begin < 0:
        raise UnusableAnswerError("malformed")
    decoder = json.JSONDecoder(parse_int=_integer)
    place = begin + 1
    while True:
        rest = text[place:].lstrip(" \t\r\n,")
        if not rest or rest[0] == "]":
            counted["cut_off"] += not rest
            return
        try:
            item, length = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            counted["cut_off"] += 1
            return
        place = len(text) - len(rest) + length
        if isinstance(item, dict):
            yield item
        else:
            counted["malformed"] += 1


def _detection(
    item: Mapping[str, Any], file: FileSpan, profile: GameProfile, counted: Counter[str]
) -> DetectedMoment | None:
    try:
        start, peak, end = (
            parse_timestamp(_clocked(item.get(name, ""), file, counted), offset=file.start)
            for name in ("start", "peak", "end")
        )
    except TimestampError:
        counted["unreadable_time"] += 1
        return None
    if not file.start - _NEAR_FILE <= peak <= file.end + _NEAR_FILE:
        counted["outside"] += 1
        return None
    certainty = item.get("certainty")
    if not isinstance(certainty, int | float) or not certainty >= LEAST_CERTAINTY:
        counted["unsure"] += 1
        return None
    kind = item.get("kind")
    if kind != OTHER and (not isinstance(kind, str) or kind not in profile.moments):
        counted["unknown_kind"] += 1
        kind = OTHER
    span = order_span(start=start, peak=peak, end=end, earliest=file.start, latest=file.end)
    counted["corrected"] += bool(span.corrections)
    first, last = _sensible(span.start, span.peak, span.end, file)
    counted["length"] += (first, last) != (round(span.start, 3), round(span.end, 3))
    return DetectedMoment(
        start=first,
        peak=round(span.peak, 3),
        end=last,
        kind=str(kind),
        certainty=min(1.0, float(certainty)),
        corrections=span.corrections,
    )


def _clocked(value: Any, file: FileSpan, counted: Counter[str]) -> Any:  # noqa: ANN401
    """Return a time that a model wrote as MM:SS:hundredths in the form it was asked for.

    The same digits could be hours, minutes and seconds; of a file of seconds they are not, unless
    they say a time within it.
    """
    match = _HUNDREDTHS.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) * 3600 + int(match[2]) * 60 <= file.end - file.start:
        return value
    counted["hundredths"] += 1
    return f"{match[1]}:{match[2]}.{match[3]}"


def _sensible(start: float, peak: float, end: float, file: FileSpan) -> tuple[float, float]:
    """Return bounds that hold the peak with a second on each side, and no more than a minute."""
    start = max(file.start, min(start, peak - _SHORTEST), peak - _LONGEST / 2)
    end = min(file.end, max(end, peak + _SHORTEST), peak + _LONGEST / 2)
    return round(min(start, peak), 3), round(max(end, peak), 3)


def _same(one: DetectedMoment, other: DetectedMoment) -> bool:
    return abs(one.peak - other.peak) < _SAME_MOMENT or (
        one.start <= other.peak <= one.end and other.start <= one.peak <= other.end
    )
