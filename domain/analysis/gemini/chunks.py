"""What Gemini has said of the latest moments, kept so that a moment told again is not asked about.

The local analyzer tells a moment again when its tenant marks it late, and one that only Gemini had
told when a mark, or what is heard next, speaks for it too. What was paid for then still holds.

A stream cut into pieces that are worth one look each.

A piece ends when the local analyzer has settled a moment, so that nobody waits for the look, or
when it has become long. Watched is what the moment took, or all of the piece where there is none,
with what leads up to it, so that a moment on the border is seen whole once; a moment too near the
end is left to the next piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat

from domain.analysis.gemini.budget import GateReason, GateState
from domain.analysis.gemini.fusion import (
    GeminiDetection,
    fuse,
    is_same_moment,
    local_only,
    not_confirmed,
)
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.markers import mark_of
from domain.media.segments import SegmentRef, Window
from domain.model import Model


class CachedVerdict(Model):
    """What came of looking at one moment.

    Attributes:
        id: the moment's, under which it was told.
        analyzer: who looked.
        sighting: what was seen; None where nothing was, or nothing clear.
        unclear: whether the answers were of no use.
        heard: whether the local analyzer had told it too.
        earliest: before this (s of media time) the moment's peak stayed the local one.
    """

    id: UUID
    analyzer: str
    sighting: GeminiDetection | None = None
    unclear: bool = False
    heard: bool = True
    earliest: float = 0.0

    def of(self, candidate: HighlightCandidate) -> HighlightCandidate:
        """Return the moment as the local analyzer tells it now and Gemini has told it before."""
        if self.sighting is not None:
            told = candidate.model_copy(update={"id": self.id})
            return fuse(told, self.sighting, analyzer=self.analyzer, earliest=self.earliest)
        if self.unclear:
            return local_only(candidate, GateReason.FAILED)
        return not_confirmed(candidate, analyzer=self.analyzer)


def find_cached_verdict(
    candidate: HighlightCandidate, opinions: Sequence[CachedVerdict]
) -> CachedVerdict | None:
    """Return what was said of this very moment, else of one that only Gemini had told there."""
    for opinion in opinions:
        if opinion.id == candidate.id:
            return opinion
    return next(
        (
            opinion
            for opinion in opinions
            if not opinion.heard
            and opinion.sighting
            and is_same_moment(candidate, opinion.sighting)
        ),
        None,
    )


LONGEST_CHUNK: Final = 24.0
"""Seconds after which a piece ends though nothing has happened."""


CHUNK_LEAD: Final = 8.0
"""Seconds before a piece that are watched with it."""


CHUNK_MARGIN: Final = 4.0
"""Seconds before a piece's end in which a moment may peak only if a local candidate says so too."""


MOMENT_LEAD: Final = 5.0
"""Seconds before the first moment that are watched of a piece which has one."""


_TOLD: Final = 12


_CHANCES: Final = 10_000


class Chunk(Model):
    """A piece: `start`..`end` (seconds of media time) is new, `segments` is what is watched.

    Attributes:
        segments: the media from `MOMENT_LEAD` before its first moment on, or from `CHUNK_LEAD` before
            `start` on where the local analyzer has found none.
        candidates: what the local analyzer has settled in it.
        rank: the highest excitement in it, in robust standard deviations.
        marks: the names a tenant gave to moments in it.
        last: whether no piece follows.
    """

    start: NonNegativeFloat
    end: NonNegativeFloat
    segments: tuple[SegmentRef, ...]
    candidates: tuple[HighlightCandidate, ...] = ()
    rank: float = 0.0
    marks: tuple[str, ...] = ()
    last: bool = False

    @property
    def seconds(self) -> float:
        """How much of the stream it covers."""
        return self.end - self.start

    @property
    def watched_seconds(self) -> float:
        """How much is watched."""
        return self.segments[-1].end - self.segments[0].start if self.segments else 0.0

    def chance(self, stream_id: UUID) -> float:
        """Return a number in [0, 1): always the same for this piece of this stream."""
        digest = hashlib.sha256(f"{stream_id}/{self.start:.3f}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % _CHANCES / _CHANCES


class GeminiState(Model):
    """All that is remembered of a stream between windows; a value, so that a retry starts from it.

    Attributes:
        decided: where the last piece ended (s of media time).
        reached: where the last window ended.
        told_until: before this no further moment is told, except by the local analyzer.
        segments: the latest, as far back as a piece may reach.
        candidates: settled by the local analyzer since the last piece.
        rank: the highest excitement since then.
        marks: the tenant's names since then.
        told: the peaks of the moments told last.
        opinions: what Gemini has said of the latest moments.
        gate: what has been watched and paid.
    """

    decided: NonNegativeFloat = 0.0
    reached: NonNegativeFloat = 0.0
    told_until: NonNegativeFloat = 0.0
    segments: tuple[SegmentRef, ...] = ()
    candidates: tuple[HighlightCandidate, ...] = ()
    rank: float = 0.0
    marks: tuple[str, ...] = ()
    told: tuple[float, ...] = ()
    opinions: tuple[CachedVerdict, ...] = ()
    gate: GateState = GateState()

    def with_window(
        self, window: Window, candidates: tuple[HighlightCandidate, ...], *, rank: float
    ) -> GeminiState:
        """Return the state with a window, and what the local analyzer has settled by its end."""
        marks = [mark_of(each) for each in window.metadata]
        anew = not self.reached
        return self.model_copy(
            update={
                "decided": window.start if anew else self.decided,
                "told_until": max(0.0, window.start - CHUNK_MARGIN) if anew else self.told_until,
                "reached": max(self.reached, window.end),
                "segments": (*self.segments, *window.segments),
                "candidates": _latest((*self.candidates, *candidates)),
                "rank": max(self.rank, rank),
                "marks": (*self.marks, *(mark.label for mark in marks if mark)),
            }
        )

    def with_candidates(self, candidates: tuple[HighlightCandidate, ...]) -> GeminiState:
        """Return the state with what the local analyzer has settled when no window was left."""
        return self.model_copy(update={"candidates": _latest((*self.candidates, *candidates))})

    def told_again(self) -> tuple[tuple[HighlightCandidate, ...], GeminiState]:
        """Return the moments that Gemini has spoken of before, in its words, and the state without.

        No piece ends for them, so that nobody is asked again.
        """
        told: list[HighlightCandidate] = []
        opinions, rest = list(self.opinions), []
        for candidate in self.candidates:
            opinion = find_cached_verdict(candidate, opinions)
            if opinion is None:
                rest.append(candidate)
                continue
            told.append(opinion.of(candidate))
            # Heard from now on, so that it takes no other moment to itself.
            place = opinions.index(opinion)
            opinions[place] = opinion.model_copy(update={"heard": True})
        return tuple(told), self.model_copy(
            update={"candidates": tuple(rest), "opinions": tuple(opinions)}
        )

    def due(self, *, last: bool = False) -> Chunk | None:
        """Return the piece that has ended; None while it goes on."""
        open_seconds = self.reached - self.decided
        if not self.candidates and (
            open_seconds <= 0 or not (last or open_seconds >= LONGEST_CHUNK)
        ):
            return None
        first = min(
            (each.start - MOMENT_LEAD for each in self.candidates),
            default=self.decided - CHUNK_LEAD,
        )
        return Chunk(
            start=self.decided,
            end=max(self.reached, self.decided),
            segments=tuple(each for each in self.segments if each.end > first),
            candidates=self.candidates,
            rank=self.rank,
            marks=self.marks,
            last=last,
        )

    def after(
        self,
        piece: Chunk,
        told: tuple[HighlightCandidate, ...],
        gate: GateState,
        opinions: tuple[CachedVerdict, ...] = (),
    ) -> GeminiState:
        """Return the state after a piece, the moments told of it and what Gemini said of them."""
        keep = piece.end - CHUNK_LEAD - LONGEST_CHUNK
        return GeminiState(
            decided=piece.end,
            reached=piece.end,
            told_until=piece.end if piece.last else max(self.told_until, piece.end - CHUNK_MARGIN),
            segments=tuple(each for each in self.segments if each.end > keep),
            told=(*self.told, *(each.peak for each in told))[-_TOLD:],
            opinions=(*self.opinions, *opinions)[-_TOLD:],
            gate=gate,
        )


def _latest(candidates: tuple[HighlightCandidate, ...]) -> tuple[HighlightCandidate, ...]:
    """Return each moment once, as it was told last: a late mark tells it again."""
    return tuple({each.id: each for each in candidates}.values())
