"""A candidate while its fate is open, in the light form in which many are compared."""

from __future__ import annotations

from uuid import UUID

from domain.boundaries import ClipBounds
from domain.candidate import HighlightCandidate
from domain.selection.decision import Tier
from domain.selection.state import Entrant
from domain.similarity import describe

_SETTLED = {
    "description": "",
    "commentary": "",
    "evidence": (),
    "corrections": (),
    "safe_starts": (),
    "safe_ends": (),
}
"""What of a candidate no longer matters once its text is condensed and its bounds are set."""


class Contender:
    """A candidate with its combined score, tier and rank; `peak` in seconds of media time.

    A plain class: a stream may bring a hundred thousand, most of which are refused on sight.
    `rank` sorts the best first: score, then confidence, then the earlier, then the id. `improved`
    tells that a better version of a known candidate has come in this call.
    """

    __slots__ = (
        *("_text", "bounds", "candidate", "improved", "late", "peak", "rank", "score", "shown"),
        "tier",
    )

    def __init__(self, candidate: HighlightCandidate, score: float, tier: Tier) -> None:
        self.candidate = candidate
        self.score = score
        self.tier = tier
        self.peak = candidate.peak
        self.rank = (-score, -candidate.score.confidence, candidate.peak, candidate.id.int)
        self.bounds: ClipBounds | None = None
        self.shown = False
        self.late = False
        self.improved = False
        self._text: str | None = None

    @classmethod
    def of(cls, entrant: Entrant) -> Contender:
        """Return the contender that an earlier call left open."""
        contender = cls(entrant.candidate, entrant.score, entrant.tier)
        contender.bounds = ClipBounds(
            entrant.clip_start, entrant.clip_end, entrant.start_moved, entrant.end_moved
        )
        contender.shown, contender.late = entrant.shown, entrant.late
        contender._text = entrant.text
        return contender

    def entrant(self, bounds: ClipBounds) -> Entrant:
        """Return what the next call must know of it."""
        return Entrant(
            candidate=self.candidate.model_copy(update=_SETTLED),
            score=self.score,
            tier=self.tier,
            clip_start=bounds.start,
            clip_end=bounds.end,
            start_moved=bounds.start_moved,
            end_moved=bounds.end_moved,
            text=self.text,
            shown=self.shown,
            late=self.late,
        )

    @property
    def id(self) -> UUID:
        """The candidate's id."""
        return self.candidate.id

    @property
    def title(self) -> str:
        """The candidate's title."""
        return self.candidate.title

    @property
    def start(self) -> float:
        """Seconds of media time."""
        return self.candidate.start

    @property
    def end(self) -> float:
        """Seconds of media time."""
        return self.candidate.end

    @property
    def clip(self) -> tuple[float, float]:
        """What its clip shows (s), or the moment's span while its bounds are open."""
        return (self.start, self.end) if self.bounds is None else self.bounds[:2]

    @property
    def text(self) -> str:
        """The words of title and description, as similarity compares them."""
        if self._text is None:
            self._text = describe(self.candidate.title, self.candidate.description)
        return self._text

    @property
    def tags(self) -> tuple[str, ...]:
        """The candidate's tags."""
        return self.candidate.tags

    @property
    def thumbnail_hash(self) -> str | None:
        """The candidate's perceptual hash in hexadecimal."""
        return self.candidate.thumbnail_hash
