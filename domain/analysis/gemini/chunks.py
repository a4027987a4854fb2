"""Chunks of a stream that Gemini analyzes, and the candidates published for them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from pydantic import ConfigDict, Field, NonNegativeFloat

from domain.analysis.gemini.budget import GateReason, GateState
from domain.analysis.gemini.fusion import (
    SAME_MOMENT,
    GeminiDetection,
    fuse,
    gemini_only,
    is_same_moment,
    local_only,
    not_confirmed,
)
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.markers import mark_of
from domain.ids import highlight_id
from domain.media.segments import SegmentRef, Window
from domain.media.timestamps import anchor_of
from domain.model import Model

LONGEST_CHUNK: Final = 24.0
"""Seconds after which a chunk ends even if the local analyzer has settled nothing."""


CHUNK_LEAD: Final = 8.0
"""Seconds before a chunk without a moment that Gemini also sees."""


CHUNK_MARGIN: Final = 4.0
"""Seconds before a chunk's end in which a peak counts only if a local candidate confirms it."""


MOMENT_LEAD: Final = 5.0
"""Seconds before a chunk's first moment that Gemini also sees."""


_HISTORY: Final = 12


_SAMPLE_STEPS: Final = 10_000


class CachedVerdict(Model):
    """Gemini's result for one published moment.

    Attributes:
        id: the id under which the moment was published.
        analyzer: the analyzer that produced the result.
        detection: what Gemini detected; None if nothing, or nothing usable.
        unclear: True if Gemini's answers were unusable.
        found_locally: True if the local analyzer has emitted the moment too.
        earliest: media time (s) before which the published peak stayed the local one.
    """

    # Aliases are the field names in stored analyzer states.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    id: UUID
    analyzer: str
    detection: GeminiDetection | None = Field(default=None, alias="sighting")
    unclear: bool = False
    found_locally: bool = Field(default=True, alias="heard")
    earliest: float = 0.0

    def apply_to(self, candidate: HighlightCandidate) -> HighlightCandidate:
        """Return a candidate of the local analyzer combined with this result."""
        if self.detection is not None:
            return fuse(
                candidate,
                self.detection,
                analyzer=self.analyzer,
                earliest=self.earliest,
                published_id=self.id,
            )
        if self.unclear:
            return local_only(candidate, GateReason.FAILED)
        return not_confirmed(candidate, analyzer=self.analyzer)

    def with_local_candidate(self) -> CachedVerdict:
        """Return the verdict, marked as found locally."""
        return CachedVerdict(
            id=self.id,
            analyzer=self.analyzer,
            detection=self.detection,
            unclear=self.unclear,
            found_locally=True,
            earliest=self.earliest,
        )


def find_cached_verdict(
    candidate: HighlightCandidate, verdicts: Sequence[CachedVerdict]
) -> CachedVerdict | None:
    """Return the verdict on a candidate's moment; None if Gemini was not asked about it.

    A verdict with the candidate's id comes first, then one on a moment at the same place that only
    Gemini has found so far.
    """
    for verdict in verdicts:
        if verdict.id == candidate.id:
            return verdict
    return next(
        (
            verdict
            for verdict in verdicts
            if not verdict.found_locally
            and verdict.detection
            and is_same_moment(candidate, verdict.detection)
        ),
        None,
    )


class Chunk(Model):
    """One chunk: `start`..`end` (s of media time) is new, `segments` is what Gemini sees.

    Attributes:
        segments: from `MOMENT_LEAD` before the first moment on, or from `CHUNK_LEAD` before `start`
            on if there is none.
        candidates: candidates that the local analyzer has settled in it.
        rank: highest excitement in it, in robust standard deviations.
        marks: labels of the tenant's marks in it.
        last: True if the stream ends with it.
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
        """Seconds of new media."""
        return self.end - self.start

    @property
    def video_seconds(self) -> float:
        """Seconds of media that Gemini sees, lead-in included."""
        return self.segments[-1].end - self.segments[0].start if self.segments else 0.0

    def sample(self, stream_id: UUID) -> float:
        """Return a pseudorandom number in [0, 1) that is fixed for this chunk of this stream."""
        digest = hashlib.sha256(f"{stream_id}/{self.start:.3f}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % _SAMPLE_STEPS / _SAMPLE_STEPS


class GeminiState(Model):
    """State of the Gemini analyzer for one stream, stored between windows. Immutable.

    Attributes:
        decided: end of the last chunk (s of media time).
        reached: end of the last window.
        published_until: media time before which only local candidates are still published.
        segments: recent segments, as far back as a chunk may reach.
        candidates: local candidates settled since the last chunk.
        rank: highest excitement since then.
        marks: labels of the tenant's marks since then.
        published_peaks: peaks of the moments published last.
        verdicts: recent Gemini results, oldest first.
        gate: media and dollars used so far.
    """

    # Aliases are the field names in stored analyzer states.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    decided: NonNegativeFloat = 0.0
    reached: NonNegativeFloat = 0.0
    published_until: NonNegativeFloat = Field(default=0.0, alias="told_until")
    segments: tuple[SegmentRef, ...] = ()
    candidates: tuple[HighlightCandidate, ...] = ()
    rank: float = 0.0
    marks: tuple[str, ...] = ()
    published_peaks: tuple[float, ...] = Field(default=(), alias="told")
    verdicts: tuple[CachedVerdict, ...] = Field(default=(), alias="opinions")
    gate: GateState = GateState()

    def with_window(
        self, window: Window, candidates: tuple[HighlightCandidate, ...], *, rank: float
    ) -> GeminiState:
        """Return the state after a window and the local candidates settled by its end."""
        marks = [mark_of(each) for each in window.metadata]
        first = not self.reached
        return GeminiState(
            decided=window.start if first else self.decided,
            reached=max(self.reached, window.end),
            published_until=max(0.0, window.start - CHUNK_MARGIN)
            if first
            else self.published_until,
            segments=(*self.segments, *window.segments),
            candidates=_latest((*self.candidates, *candidates)),
            rank=max(self.rank, rank),
            marks=(*self.marks, *(mark.label for mark in marks if mark)),
            published_peaks=self.published_peaks,
            verdicts=self.verdicts,
            gate=self.gate,
        )

    def with_candidates(self, candidates: tuple[HighlightCandidate, ...]) -> GeminiState:
        """Return the state with local candidates that were settled without a further window."""
        return self._with_pending(_latest((*self.candidates, *candidates)), self.verdicts)

    def apply_cached_verdicts(self) -> tuple[tuple[HighlightCandidate, ...], GeminiState]:
        """Return the pending candidates that have a cached verdict, and the state without them.

        They end no chunk, so no Gemini call is made for them.
        """
        published: list[HighlightCandidate] = []
        verdicts, rest = list(self.verdicts), []
        for candidate in self.candidates:
            verdict = find_cached_verdict(candidate, verdicts)
            if verdict is None:
                rest.append(candidate)
                continue
            published.append(verdict.apply_to(candidate))
            # From now on it matches by id only, so that it claims no other moment nearby.
            verdicts[verdicts.index(verdict)] = verdict.with_local_candidate()
        return tuple(published), self._with_pending(tuple(rest), tuple(verdicts))

    def due_chunk(self, *, last: bool = False) -> Chunk | None:
        """Return the chunk that has ended; None while it continues.

        Args:
            last: True at the end of the stream, which also ends the chunk.
        """
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

    def after_chunk(
        self,
        chunk: Chunk,
        published: tuple[HighlightCandidate, ...],
        gate: GateState,
        verdicts: tuple[CachedVerdict, ...] = (),
    ) -> GeminiState:
        """Return the state after a chunk, its published moments and Gemini's verdicts on them."""
        keep = chunk.end - CHUNK_LEAD - LONGEST_CHUNK
        return GeminiState(
            decided=chunk.end,
            reached=chunk.end,
            published_until=chunk.end
            if chunk.last
            else max(self.published_until, chunk.end - CHUNK_MARGIN),
            segments=tuple(each for each in self.segments if each.end > keep),
            published_peaks=(*self.published_peaks, *(each.peak for each in published))[-_HISTORY:],
            verdicts=(*self.verdicts, *verdicts)[-_HISTORY:],
            gate=gate,
        )

    def _with_pending(
        self, candidates: tuple[HighlightCandidate, ...], verdicts: tuple[CachedVerdict, ...]
    ) -> GeminiState:
        return GeminiState(
            decided=self.decided,
            reached=self.reached,
            published_until=self.published_until,
            segments=self.segments,
            candidates=candidates,
            rank=self.rank,
            marks=self.marks,
            published_peaks=self.published_peaks,
            verdicts=verdicts,
            gate=self.gate,
        )


def _latest(candidates: tuple[HighlightCandidate, ...]) -> tuple[HighlightCandidate, ...]:
    """Return each moment once, as it was emitted last: a late mark emits it again."""
    return tuple({each.id: each for each in candidates}.values())


class ChunkAnalysis(Model):
    """Gemini's analysis of a chunk.

    Attributes:
        detections: moments with their scores.
        unclear: peaks (s of media time) of detected moments whose details are missing or unusable.
        counted: corrections and omissions, by reason.
    """

    detections: tuple[GeminiDetection, ...] = ()
    unclear: tuple[float, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


class PublishedCandidates(Model):
    """The candidates of a chunk, ready to be published.

    Attributes:
        candidates: in the order of their peaks, if Gemini analyzed the chunk.
        verdicts: Gemini's results, to be cached.
        counted: corrections and omissions, by reason.
    """

    candidates: tuple[HighlightCandidate, ...] = ()
    verdicts: tuple[CachedVerdict, ...] = ()
    counted: dict[str, int] = Field(default_factory=dict)


def publish_local_only(chunk: Chunk, reason: GateReason) -> PublishedCandidates:
    """Return the local candidates of a chunk that Gemini did not analyze."""
    return PublishedCandidates(
        candidates=tuple(local_only(each, reason) for each in chunk.candidates)
    )


def publish_unusable(chunk: Chunk, *, analyzer: str) -> PublishedCandidates:
    """Return the local candidates of a chunk for which Gemini's answer was unusable.

    The verdicts say so, so that Gemini is not asked about these moments again.
    """
    return PublishedCandidates(
        candidates=publish_local_only(chunk, GateReason.FAILED).candidates,
        verdicts=tuple(
            CachedVerdict(id=each.id, analyzer=analyzer, unclear=True) for each in chunk.candidates
        ),
    )


def publish_fused(
    chunk: Chunk,
    analysis: ChunkAnalysis,
    state: GeminiState,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    analyzer: str,
) -> PublishedCandidates:
    """Return the candidates of an analyzed chunk: found by both detectors, or by one of them."""
    counted = Counter(analysis.counted)
    rest = list(analysis.detections)
    found: list[HighlightCandidate] = []
    verdicts: list[CachedVerdict] = []
    for candidate in chunk.candidates:
        near = sorted(
            (each for each in rest if is_same_moment(candidate, each)),
            key=lambda each: abs(each.peak - candidate.peak),
        )
        if near:
            rest.remove(near[0])
        verdicts.append(
            CachedVerdict(
                id=candidate.id,
                analyzer=analyzer,
                detection=near[0] if near else None,
                unclear=any(abs(peak - candidate.peak) <= SAME_MOMENT for peak in analysis.unclear),
                earliest=state.published_until,
            )
        )
        found.append(verdicts[-1].apply_to(candidate))
    known = [*state.published_peaks, *(each.peak for each in found)]
    clock = anchor_of(chunk.segments)
    for detection in rest:
        if detection.peak < state.published_until or _is_near(detection.peak, known):
            counted["told_before"] += 1
        elif detection.peak >= chunk.end - CHUNK_MARGIN and not chunk.last:
            counted["left_to_next"] += 1
        else:
            new_id = highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=detection.peak)
            found.append(
                gemini_only(
                    detection, id=new_id, settled_at=chunk.end, analyzer=analyzer, clock=clock
                )
            )
            verdicts.append(
                CachedVerdict(
                    id=new_id, analyzer=analyzer, detection=detection, found_locally=False
                )
            )
    return PublishedCandidates(
        candidates=tuple(sorted(found, key=lambda each: each.peak)),
        verdicts=tuple(verdicts),
        counted=dict(+counted),
    )


def _is_near(peak: float, known: list[float]) -> bool:
    return any(abs(peak - other) <= SAME_MOMENT for other in known)
