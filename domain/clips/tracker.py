"""Planning of clips, and the clip state of each highlight of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.clips.models import ClipOutcome, ClipSpec, ClipStatus
from domain.highlights.feedback import HighlightCorrection
from domain.highlights.selection import Decision, DecisionStatus
from domain.ids import clip_id
from domain.media.segments import SegmentRef

SEAM: Final = 0.25
"""Maximum distance (s) of neighboring segments that count as continuous.

Twice the longest frame in practice (8 fps), and well below the length of a segment."""


SHORTEST: Final = 1.0
"""Minimum length of a clip (s)."""


LONGEST_LEAD_IN: Final = 30.0
"""Maximum media before a clip (s) that is read to find the keyframe of its first picture."""


NEAR_PEAK: Final = 0.5
"""Maximum distance (s) of undamaged media from the peak."""


REACH: Final = 2.0
"""Maximum distance (s) of stored media from the peak: one segment of a 100ms stream."""


@dataclass(frozen=True, kw_only=True)
class ClipMedia:
    """Media time `start`..`end` (s), and the segments that it is decoded from."""

    start: float
    end: float
    segments: tuple[SegmentRef, ...]


def wants_clip(decision: Decision) -> bool:
    """Return True if a decision calls for a clip.

    Pending highlights get one too, so that a clip is ready when they are confirmed.
    """
    return decision.status in {DecisionStatus.PENDING, DecisionStatus.CONFIRMED}


def can_cut(decision: Decision, *, media_end: float, ended: bool) -> bool:
    """Return True if all media of a clip is stored; stored media ends at `media_end` (s)."""
    return ended or media_end >= decision.clip_end


def plan_clip(
    decision: Decision,
    segments: Sequence[SegmentRef],
    *,
    tenant_id: UUID,
    stream_id: UUID,
    cut: int = 0,
) -> ClipSpec | None:
    """Return what to cut for `decision` out of `segments` (in order of `start`).

    `cut` is the number of clips that the highlight had before.

    If media is missing, the clip covers only the continuous run of segments around the peak,
    because a jump inside a clip looks like a defect. The segments start at the last keyframe before
    the clip, which may lie in a segment that ends before the clip starts. Returns None if there is
    no media near the peak, or less than `SHORTEST` seconds of it.
    """
    found = segments_around(
        decision.peak, segments, start=decision.clip_start, end=decision.clip_end
    )
    if found is None:
        return None
    start, end = found.start, found.end
    return ClipSpec(
        id=clip_id(
            highlight=decision.highlight_id,
            start=decision.clip_start,
            end=decision.clip_end,
            cut=cut,
        ),
        tenant_id=tenant_id,
        stream_id=stream_id,
        highlight_id=decision.highlight_id,
        start=start,
        end=end,
        peak=min(max(decision.peak, start), end),
        segments=found.segments,
    )


def segments_around(
    peak: float, segments: Sequence[SegmentRef], *, start: float, end: float
) -> ClipMedia | None:
    """Return the media of a clip of `start`..`end` (s) around `peak`; see `plan_clip`."""
    run = _run_around(peak, segments)
    shown = [segment for segment in run if segment.start < end and segment.end > start]
    start = max(start, shown[0].start) if shown else 0.0
    end = min(end, shown[-1].end) if shown else 0.0
    if round(end - start, 6) < SHORTEST:  # the difference of two floats is a little off
        return None
    return ClipMedia(start=start, end=end, segments=(*lead_in(run, shown[0]), *shown))


def undamaged_part(
    duration: float, holes: Sequence[tuple[float, float]], *, peak: float
) -> tuple[float, float] | None:
    """Return the part of a clip without `holes` that shows its peak; all in seconds of the clip.

    Returns None if no such part lasts at least `SHORTEST` seconds.
    """
    parts: list[tuple[float, float]] = []
    at = 0.0
    for begin, end in sorted(holes):
        parts.append((at, begin))
        at = max(at, end)
    parts.append((at, duration))
    shown = [
        part
        for part in parts
        if part[1] - part[0] >= SHORTEST and part[0] - NEAR_PEAK <= peak <= part[1] + NEAR_PEAK
    ]
    return max(shown, key=lambda part: part[1] - part[0], default=None)


def lead_in(run: Sequence[SegmentRef], first: SegmentRef) -> list[SegmentRef]:
    """Return the segments before `first` that it depends on, from the last keyframe on."""
    if first.starts_with_keyframe or not first.has_video:
        return []
    lead: list[SegmentRef] = []
    for segment in reversed(run[: run.index(first)]):
        if first.start - segment.start > LONGEST_LEAD_IN:
            break
        lead.insert(0, segment)
        if segment.has_keyframe:
            break
    return lead


def continuous_runs(segments: Sequence[SegmentRef]) -> list[list[SegmentRef]]:
    """Return the runs of segments between which no media is missing, in order."""
    runs: list[list[SegmentRef]] = []
    for segment in segments:
        if runs and segment.start - runs[-1][-1].end <= SEAM:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def _run_around(peak: float, segments: Sequence[SegmentRef]) -> list[SegmentRef]:
    """Return the continuous run of segments around `peak`, or the nearest within `REACH`."""
    runs = continuous_runs(segments)
    near = [(_distance(peak, run), index) for index, run in enumerate(runs)]
    if not near or min(near)[0] > REACH:
        return []
    return runs[min(near)[1]]


def _distance(peak: float, run: Sequence[SegmentRef]) -> float:
    return max(run[0].start - peak, peak - run[-1].end, 0.0)


FORGET_AFTER: Final = 3600.0
"""Media seconds after which a finished clip is dropped: no decision changes that late."""


class ClipPhase(StrEnum):
    """Progress of a highlight's clip."""

    WAITING = "waiting"  # its last seconds have not been published yet
    RENDERING = "rendering"
    READY = "ready"
    FAILED = "failed"
    NO_MEDIA = "no_media"  # nothing of it could be stored


@dataclass(frozen=True, kw_only=True)
class TrackedClip:
    """Clip state of one highlight.

    Attributes:
        decision: the highlight; after a correction, with the corrected bounds.
        phase: progress of the current clip.
        spec: the current clip, without its segments; None before rendering.
        unwanted: True if the highlight was retracted during rendering.
        former: earlier clips that are ready and stay available.
        correction: bounds requested during rendering; applied when rendering ends.
    """

    decision: Decision
    phase: ClipPhase = ClipPhase.WAITING
    spec: ClipSpec | None = None
    unwanted: bool = False
    former: tuple[ClipSpec, ...] = ()
    correction: HighlightCorrection | None = None

    @property
    def ready(self) -> tuple[ClipSpec, ...]:
        """The finished clips, oldest first."""
        own = self.spec is not None and self.phase is ClipPhase.READY
        return (*self.former, self.spec) if own and self.spec is not None else self.former

    @property
    def needed_from(self) -> float:
        """Media time (s) from which the clip's media must be kept."""
        begins = [self.decision.clip_start]
        if self.correction is not None:
            begins.append(self.correction.start)
        return min(begins)

    def with_correction(self, correction: HighlightCorrection) -> TrackedClip:
        """Return the state that waits for a clip with corrected bounds; finished clips are kept."""
        decision = self.decision.with_clip(correction.start, correction.end)
        return TrackedClip(decision=decision, former=self.ready)

    def falling_back(self, phase: ClipPhase) -> TrackedClip:
        """Return the state after a clip could not be made: the previous clip, else `phase`."""
        if not self.former:
            return replace(self, phase=phase)
        *former, spec = self.former
        return replace(
            self,
            decision=self.decision.with_clip(spec.start, spec.end),
            phase=ClipPhase.READY,
            spec=spec,
            former=tuple(former),
        )


class ClipTracker:
    """Tracks the clip of each highlight of a stream. Pure: no I/O and no clock.

    A highlight has one clip. A correction replaces it; until the new clip is ready, and if it
    fails, the previous clip stays available.
    """

    def __init__(self, entries: Iterable[TrackedClip] = ()) -> None:
        self._entries = {entry.decision.highlight_id: entry for entry in entries}

    @property
    def entries(self) -> tuple[TrackedClip, ...]:
        """All entries, to carry across continue-as-new."""
        return tuple(self._entries.values())

    @property
    def rendering(self) -> tuple[UUID, ...]:
        """IDs of the clips being rendered, oldest highlight first."""
        return tuple(
            entry.spec.id
            for entry in self._entries.values()
            if entry.phase is ClipPhase.RENDERING and entry.spec is not None
        )

    @property
    def needed_from(self) -> tuple[float, ...]:
        """Media times (s) at which the unfinished clips start."""
        unfinished = {ClipPhase.WAITING, ClipPhase.RENDERING}
        return tuple(
            entry.needed_from for entry in self._entries.values() if entry.phase in unfinished
        )

    def awaited_media(self, *, after: float) -> float | None:
        """Return the first media time (s) after `after` at which a clip can be cut, or None."""
        ends = (
            entry.decision.clip_end
            for entry in self._entries.values()
            if entry.phase is ClipPhase.WAITING and entry.decision.clip_end > after
        )
        return min(ends, default=None)

    def track(self, decision: Decision) -> bool:
        """Track a highlight. Return True if it is new."""
        known = self._entries.get(decision.highlight_id)
        if known is None:
            self._entries[decision.highlight_id] = TrackedClip(decision=decision)
        return known is None

    def correct(self, highlight_id: UUID, correction: HighlightCorrection) -> bool:
        """Request a clip with other bounds. Return True if a new clip will be made.

        Returns False if the highlight has no clip, or has one with these bounds. A clip that is
        being rendered is finished first.
        """
        entry = self._entries.get(highlight_id)
        if entry is None or entry.unwanted:
            return False
        bounds = (entry.decision.clip_start, entry.decision.clip_end)
        is_new = bounds != (correction.start, correction.end)
        if entry.phase is ClipPhase.RENDERING:
            later = correction if is_new else None
            self._entries[highlight_id] = replace(entry, correction=later)
            return is_new
        if is_new or entry.phase in {ClipPhase.FAILED, ClipPhase.NO_MEDIA}:
            self._entries[highlight_id] = entry.with_correction(correction)
            return True
        return False

    def retract(self, highlight_id: UUID) -> tuple[ClipPhase, tuple[ClipSpec, ...]] | None:
        """Stop tracking a highlight. Return the phase of its clip, and the clips to delete.

        A clip that is being rendered is deleted when rendering ends. Returns None if the highlight
        is unknown or was retracted before.
        """
        entry = self._entries.get(highlight_id)
        if entry is None or entry.unwanted:
            return None
        if entry.phase is ClipPhase.RENDERING:
            self._entries[highlight_id] = replace(entry, unwanted=True, former=(), correction=None)
        else:
            del self._entries[highlight_id]
        return entry.phase, entry.ready

    def has_ready_to_render(self, *, media_end: float, ended: bool) -> bool:
        """Return True if `pop_ready_to_render` would return a clip or change the state."""
        return bool(self._ready_to_render(media_end=media_end, ended=ended))

    def pop_ready_to_render(
        self,
        segments: Sequence[SegmentRef],
        *,
        media_end: float,
        ended: bool,
        tenant_id: UUID,
        stream_id: UUID,
    ) -> tuple[ClipSpec, ...]:
        """Return the clips whose media is complete, and mark them as rendering."""
        specs = []
        for entry in self._ready_to_render(media_end=media_end, ended=ended):
            spec = plan_clip(
                entry.decision,
                segments,
                tenant_id=tenant_id,
                stream_id=stream_id,
                cut=len(entry.former),
            )
            if spec is None:
                updated = entry.falling_back(ClipPhase.NO_MEDIA)
            else:
                specs.append(spec)
                updated = replace(entry, phase=ClipPhase.RENDERING, spec=spec.without_segments())
            self._entries[entry.decision.highlight_id] = updated
        return tuple(specs)

    def record_outcome(self, outcome: ClipOutcome) -> ClipSpec | None:
        """Record a finished or failed clip.

        Returns its spec if the highlight was retracted during rendering, so that the caller can
        delete the file.
        """
        if outcome.highlight_id is None:
            return None
        entry = self._entries.get(outcome.highlight_id)
        if entry is None or entry.phase is not ClipPhase.RENDERING or entry.spec is None:
            return None
        if entry.spec.id != outcome.clip_id:  # repeated outcome of an earlier clip
            return None
        if entry.unwanted:
            del self._entries[outcome.highlight_id]
            return entry.spec
        if outcome.status is ClipStatus.READY:
            done = replace(entry, phase=ClipPhase.READY, correction=None)
        else:
            done = replace(entry.falling_back(ClipPhase.FAILED), correction=None)
        self._entries[outcome.highlight_id] = done
        if entry.correction is not None:
            self.correct(outcome.highlight_id, entry.correction)
        return None

    def is_ready(self, highlight_id: UUID | None) -> bool:
        """Return True if the highlight has a finished clip and was not retracted."""
        entry = None if highlight_id is None else self._entries.get(highlight_id)
        return entry is not None and not entry.unwanted and bool(entry.ready)

    def forget_before(self, before: float) -> None:
        """Drop finished clips that ended more than `FORGET_AFTER` seconds before `before` (s)."""
        unfinished = {ClipPhase.WAITING, ClipPhase.RENDERING}
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if entry.phase in unfinished or entry.decision.clip_end > before - FORGET_AFTER
        }

    def _ready_to_render(self, *, media_end: float, ended: bool) -> list[TrackedClip]:
        return [
            entry
            for entry in self._entries.values()
            if entry.phase is ClipPhase.WAITING
            and can_cut(entry.decision, media_end=media_end, ended=ended)
        ]
