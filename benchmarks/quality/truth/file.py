"""Reads a ground-truth file in any known format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks.quality.truth.ground_truth import GroundTruth, Moment, merged
from benchmarks.quality.truth.qvhighlights import is_qvhighlights, of_video
from benchmarks.quality.truth.soccernet import is_soccernet, of_half
from benchmarks.quality.truth.wanted import Wanted
from demo.errors import UnusableTruthError
from demo.truth import read_truth

_MAX_BYTES: Final = 256 << 20
_FORMS: Final = (
    'It must be ours ({"moments": [{"start": 61, "end": 70}]}), JSON lines of QVHighlights, or '
    "Labels-v2.json of SoccerNet."
)


def read_ground_truth(path: Path, wanted: Wanted) -> GroundTruth:
    """Read the truth of one video; the content determines the format.

    Raises:
        UnusableTruthError: it is missing, in no known format, or lacks this video; the message
            states where and what to do.
    """
    text = _text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        rows = _lines(path, text)
        if not rows or not is_qvhighlights(rows[0][1]):
            raise UnusableTruthError(f"{path} is not JSON ({error}). {_FORMS}") from error
        return of_video(rows, path=path, wanted=wanted)
    if is_qvhighlights(content):
        return of_video([(1, content)], path=path, wanted=wanted)
    if is_soccernet(content):
        return of_half(content, path=path, wanted=wanted)
    ours = read_truth(path)
    return GroundTruth(
        form="ours",
        moments=merged(Moment(**span.model_dump()) for span in ours.moments),
        distractors=tuple(Moment(**span.model_dump()) for span in ours.distractors),
    )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UnusableTruthError(f"{path} is larger than any truth file. {_FORMS}")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UnusableTruthError(f"There is no truth file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableTruthError(f"{path} cannot be read as text ({error}). {_FORMS}") from error
    if not text.strip():
        raise UnusableTruthError(f"{path} is empty. {_FORMS}")
    return text


def _lines(path: Path, text: str) -> list[tuple[int, object]]:
    """Return the numbered lines of a file of JSON lines; none if the first is no JSON."""
    rows: list[tuple[int, object]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            if not rows:
                return []
            raise UnusableTruthError(f"{path}, line {number}, is not JSON ({error}).") from error
    return rows
