"""The ground truth of one video, whatever the format of its file."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from benchmarks.quality.metrics import Interval, Relevance, relevance_of
from demo.errors import UnusableTruthError


class Moment(Interval):
    """A true moment; `peak` is its height in seconds where that is known, `kind` what it is."""

    peak: float | None = None
    kind: str = ""

    @property
    def height(self) -> float:
        """The peak, or the middle where no peak is known; seconds."""
        return (self.start + self.end) / 2 if self.peak is None else self.peak


class GroundTruth(BaseModel):
    """The moments of one video.

    Attributes:
        form: the format of the file.
        moments: in order, no two overlapping.
        relevance: by annotator and clip of two seconds, if the file has it; else it follows from
            the moments.
        distractors: what may be mistaken for a moment, if the file has it.
        notes: what was left out or assumed, in sentences.
    """

    model_config = ConfigDict(frozen=True)

    form: str
    moments: tuple[Moment, ...]
    relevance: Relevance | None = None
    distractors: tuple[Moment, ...] = ()
    notes: tuple[str, ...] = ()

    def relevance_over(self, duration: float) -> Relevance:
        """Return which clips of a video of `duration` seconds are highlights, by annotator."""
        return self.relevance or relevance_of(self.moments, duration)

    def check(self, duration: float) -> None:
        """Make sure that this can be the truth of a video of `duration` seconds.

        Raises:
            UnusableTruthError: there are no moments, or one begins after the video has ended.
        """
        if not self.moments:
            raise UnusableTruthError("The truth file names no moment, so nothing can be compared.")
        last = self.moments[-1]
        if last.start >= duration:
            raise UnusableTruthError(
                f"The truth file names a moment at {last.start:.1f} s, but the video ends at "
                f"{duration:.1f} s. Is it the truth of this video?"
            )


def merged(moments: Iterable[Moment]) -> tuple[Moment, ...]:
    """Return the moments in order; those that overlap become one, with the first one's peak."""
    whole: list[Moment] = []
    for moment in sorted(moments, key=lambda each: (each.start, each.end)):
        if whole and moment.start < whole[-1].end:
            kinds = dict.fromkeys(kind for kind in (whole[-1].kind, moment.kind) if kind)
            whole[-1] = whole[-1].model_copy(
                update={"end": max(whole[-1].end, moment.end), "kind": ", ".join(kinds)}
            )
        else:
            whole.append(moment)
    return tuple(whole)
