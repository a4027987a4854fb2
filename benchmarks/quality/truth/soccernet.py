"""Labels of SoccerNet-v2: the instants of a match's actions, by half.

Deliège et al., "SoccerNet-v2: A Dataset and Benchmarks for Holistic Understanding of Broadcast
Soccer Videos", CVPR Workshops 2021. `gameTime` is "half - minutes:seconds" and `position` the same
in milliseconds, both from the beginning of the half's video.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field, ValidationError

from benchmarks.quality.truth.ground_truth import GroundTruth, Moment, merged
from benchmarks.quality.truth.wanted import Wanted
from demo.errors import UnusableTruthError

_GAME_TIME: Final = re.compile(r"\s*([12])\s*-\s*(\d+):([0-5]\d)\s*")
_HALVES: Final[dict[str, Literal[1, 2]]] = {"1": 1, "2": 2}


class _Annotation(BaseModel):
    """One action."""

    game_time: str = Field(alias="gameTime", pattern=rf"^{_GAME_TIME.pattern}$")
    label: str
    position: Annotated[int, Field(ge=0)] | None = None
    visibility: str = "visible"

    @property
    def half(self) -> Literal[1, 2]:
        return _HALVES[self._told()[1]]

    @property
    def at(self) -> float:
        """Seconds from the beginning of the half's video."""
        told = self._told()
        return int(told[2]) * 60.0 + int(told[3]) if self.position is None else self.position / 1e3

    def _told(self) -> re.Match[str]:
        told = _GAME_TIME.fullmatch(self.game_time)
        if told is None:
            raise ValueError(f"{self.game_time!r} is no time of a match")
        return told


def is_soccernet(content: object) -> bool:
    """Return True if a file's content is that of Labels-v2.json."""
    return isinstance(content, dict) and isinstance(content.get("annotations"), list)


def of_half(content: object, *, path: Path, wanted: Wanted) -> GroundTruth:
    """Return the truth of the wanted half: each label as a moment around its instant.

    Actions that the broadcast does not show are left out.

    Raises:
        UnusableTruthError: an annotation is wrong, the half is not known, or it has none of the
            wanted labels.
    """
    every = _annotations(content, path)
    half = _half(every, path=path, wanted=wanted)
    here = [each for each in every if each.half == half]
    known = Counter(each.label for each in here)
    chosen = [each for each in here if each.label in wanted.labels]
    if not chosen:
        raise UnusableTruthError(
            f"{path} has none of {', '.join(wanted.labels)} in half {half}. Name others by "
            f"--labels: {', '.join(sorted(known)) or 'there are none'}"
        )
    shown = [each for each in chosen if each.visibility == "visible"]
    return GroundTruth(
        form="SoccerNet",
        moments=merged(
            Moment(
                start=max(0.0, each.at - wanted.before),
                end=each.at + wanted.after,
                peak=each.at,
                kind=each.label,
            )
            for each in shown
        ),
        notes=_notes(wanted, half, chosen=len(chosen), shown=len(shown), all_of_them=len(here)),
    )


def _notes(
    wanted: Wanted, half: int, *, chosen: int, shown: int, all_of_them: int
) -> tuple[str, ...]:
    return (
        f"half {half}: {chosen} of {all_of_them} actions are labelled {', '.join(wanted.labels)}",
        f"an instant counts from {wanted.before:g} s before to {wanted.after:g} s after it",
        *((f"{chosen - shown} that the broadcast does not show left out",) * (chosen > shown)),
    )


def _annotations(content: object, path: Path) -> list[_Annotation]:
    items = content.get("annotations", []) if isinstance(content, dict) else []
    told = []
    for number, item in enumerate(items, start=1):
        try:
            told.append(_Annotation.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise UnusableTruthError(
                f"{path}, annotation {number}, is none of SoccerNet: {where}: {first['msg']}"
            ) from error
    return told


def _half(every: Sequence[_Annotation], *, path: Path, wanted: Wanted) -> Literal[1, 2]:
    """Return the half asked for, that of the video's name (`1_720p`), or the only one there is."""
    if wanted.half is not None:
        return wanted.half
    number, separator, _ = wanted.name.partition("_")
    if separator and number in _HALVES:
        return _HALVES[number]
    halves = {each.half for each in every}
    if len(halves) == 1:
        return halves.pop()
    raise UnusableTruthError(
        f"{path} is about both halves of a match, or none. State the video's half with --half."
    )
