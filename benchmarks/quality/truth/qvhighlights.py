"""Annotations of QVHighlights: JSON lines, one for each query about a video of two-second clips.

Lei, Berg and Bansal, NeurIPS 2021; the fields are described in the data set's README. The
product answers no query, so what any query about a video found worth finding is true of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, Field, PositiveFloat, ValidationError, model_validator

from benchmarks.quality.metrics import CLIP_SECONDS
from benchmarks.quality.truth.ground_truth import GroundTruth, Moment, merged
from benchmarks.quality.truth.wanted import Wanted
from demo.errors import UnusableTruthError

VERY_GOOD: Final = 4
"""The score from which a clip is a highlight in the figures that papers report."""

_SHOWN_IDS: Final = 5

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Row(BaseModel):
    """One query about one video."""

    vid: str
    duration: PositiveFloat = Field(allow_inf_nan=False)
    relevant_windows: tuple[tuple[_Seconds, _Seconds], ...]
    relevant_clip_ids: tuple[Annotated[int, Field(ge=0)], ...] = ()
    saliency_scores: tuple[tuple[Annotated[int, Field(ge=0, le=VERY_GOOD)], ...], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for start, end in self.relevant_windows:
            if end <= start:
                raise ValueError(f"a window must end after it starts ({start:g} to {end:g})")
        if len(self.relevant_clip_ids) != len(self.saliency_scores):
            raise ValueError(
                f"{len(self.relevant_clip_ids)} relevant_clip_ids have "
                f"{len(self.saliency_scores)} saliency_scores"
            )
        last = self.clips - 1
        if self.relevant_clip_ids and max(self.relevant_clip_ids) > last:
            raise ValueError(
                f"clip {max(self.relevant_clip_ids)} lies beyond the last of {self.duration:g} s, "
                f"{last}"
            )
        return self

    @property
    def clips(self) -> int:
        return math.ceil(self.duration / CLIP_SECONDS)


def is_qvhighlights(content: object) -> bool:
    """Return True if a line of a file is an annotation of QVHighlights."""
    return isinstance(content, dict) and "vid" in content and "qid" in content


def of_video(rows: Sequence[tuple[int, object]], *, path: Path, wanted: Wanted) -> GroundTruth:
    """Return the truth of the wanted video from the numbered rows of a file.

    Raises:
        UnusableTruthError: a row about the video is wrong, or none is about it.
    """
    vid = _wanted_id(rows, path=path, wanted=wanted)
    about = [_row(path, n, row) for n, row in rows if isinstance(row, dict) and row["vid"] == vid]
    notes = (f"{len(about)} queries about {vid} taken together",) if len(about) > 1 else ()
    return GroundTruth(
        form="QVHighlights",
        moments=merged(
            Moment(start=start, end=end) for row in about for start, end in row.relevant_windows
        ),
        relevance=_relevance(about),
        notes=notes,
    )


def _wanted_id(rows: Sequence[tuple[int, object]], *, path: Path, wanted: Wanted) -> str:
    for number, row in rows:
        if not is_qvhighlights(row):
            raise UnusableTruthError(
                f"{path}, line {number}, has no `qid` and `vid`, unlike the first of QVHighlights."
            )
    ids = dict.fromkeys(str(row["vid"]) for _, row in rows if isinstance(row, dict))
    for vid in (wanted.video_id, wanted.name):
        if vid in ids:
            return str(vid)
    if wanted.video_id is None and len(ids) == 1:
        return next(iter(ids))
    some = ", ".join(list(ids)[:_SHOWN_IDS]) + (", …" if len(ids) > _SHOWN_IDS else "")
    raise UnusableTruthError(
        f"{path} has no entry of {wanted.video_id or wanted.name}. Name one of its {len(ids)} "
        f"videos by --video-id: {some}"
    )


def _row(path: Path, number: int, content: dict[str, object]) -> _Row:
    if "relevant_windows" not in content:
        raise UnusableTruthError(
            f"{path}, line {number}, has no `relevant_windows`: the test split of QVHighlights is "
            "published without answers. Use the train or val split."
        )
    try:
        return _Row.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise UnusableTruthError(
            f"{path}, line {number}, is no annotation of QVHighlights: {where}: {first['msg']}"
        ) from error


def _relevance(about: Sequence[_Row]) -> tuple[tuple[bool, ...], ...] | None:
    """Return by annotator which clips any query calls very good; None without annotators."""
    scores = [row.saliency_scores for row in about if row.saliency_scores]
    if not scores:
        return None
    annotators = max(len(each) for of_row in scores for each in of_row)
    good = [[False] * max(row.clips for row in about) for _ in range(annotators)]
    for row in about:
        for clip, given in zip(row.relevant_clip_ids, row.saliency_scores, strict=True):
            for annotator, score in enumerate(given):
                good[annotator][clip] |= score >= VERY_GOOD
    return tuple(map(tuple, good))
