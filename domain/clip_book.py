"""Which highlights of a stream have a clip, wait for one, or no longer want theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.clip import ClipOutcome, ClipSpec, ClipStatus
from domain.clip_planning import can_cut, plan_clip
from domain.media import SegmentRef
from domain.model import Model
from domain.selection import Decision

FORGET_AFTER: Final = 3600.0
"""Media seconds after which a finished clip is forgotten: no decision changes that late."""


class ClipPhase(StrEnum):
    """How far the clip of one highlight has come."""

    WAITING = "waiting"  # its last seconds have not been published yet
    RENDERING = "rendering"
    READY = "ready"
    FAILED = "failed"
    NO_MEDIA = "no_media"  # nothing of it could be stored


class ClipEntry(Model):
    """The clip of one highlight; `unwanted` when it was retracted while being rendered."""

    decision: Decision
    phase: ClipPhase = ClipPhase.WAITING
    spec: ClipSpec | None = None
    unwanted: bool = False


class ClipBook:
    """One entry for each highlight, so that a highlight gets one clip and keeps it."""

    def __init__(self, entries: Iterable[ClipEntry] = ()) -> None:
        self._entries = {entry.decision.highlight_id: entry for entry in entries}

    @property
    def entries(self) -> tuple[ClipEntry, ...]:
        """All entries, for the next run of the workflow."""
        return tuple(self._entries.values())

    @property
    def rendering(self) -> tuple[UUID, ...]:
        """The ids of clips being rendered, oldest highlight first."""
        return tuple(
            entry.spec.id
            for entry in self._entries.values()
            if entry.phase is ClipPhase.RENDERING and entry.spec is not None
        )

    @property
    def needed_from(self) -> tuple[float, ...]:
        """Where the unfinished clips begin, in seconds of media time."""
        unfinished = {ClipPhase.WAITING, ClipPhase.RENDERING}
        return tuple(
            entry.decision.clip_start
            for entry in self._entries.values()
            if entry.phase in unfinished
        )

    def want(self, decision: Decision) -> bool:
        """Enter a highlight; tell whether it is new."""
        known = self._entries.get(decision.highlight_id)
        if known is None:
            self._entries[decision.highlight_id] = ClipEntry(decision=decision)
        return known is None

    def retract(self, highlight_id: UUID) -> tuple[ClipPhase, ClipSpec | None] | None:
        """Take a highlight out; return how far its clip was, and the clip if it must be deleted.

        A clip that is being rendered is deleted when it is finished. Returns None when the
        highlight is not known, or was retracted before.
        """
        entry = self._entries.get(highlight_id)
        if entry is None or entry.unwanted:
            return None
        if entry.phase is ClipPhase.RENDERING:
            self._entries[highlight_id] = entry.model_copy(update={"unwanted": True})
            return entry.phase, None
        del self._entries[highlight_id]
        return entry.phase, entry.spec

    def has_cuttable(self, *, media_end: float, ended: bool) -> bool:
        """Tell whether `take_cuttable` has anything to do."""
        return bool(self._cuttable(media_end=media_end, ended=ended))

    def take_cuttable(
        self,
        segments: Sequence[SegmentRef],
        *,
        media_end: float,
        ended: bool,
        tenant_id: UUID,
        stream_id: UUID,
    ) -> tuple[ClipSpec, ...]:
        """Return the clips whose media is complete; they count as rendering from now on."""
        specs = []
        for entry in self._cuttable(media_end=media_end, ended=ended):
            spec = plan_clip(entry.decision, segments, tenant_id=tenant_id, stream_id=stream_id)
            if spec is not None:
                specs.append(spec)
            self._entries[entry.decision.highlight_id] = entry.model_copy(
                update={
                    "phase": ClipPhase.RENDERING if spec else ClipPhase.NO_MEDIA,
                    "spec": spec.model_copy(update={"segments": ()}) if spec else None,
                }
            )
        return tuple(specs)

    def finished(self, outcome: ClipOutcome) -> ClipSpec | None:
        """Enter how a clip ended; return it if it must be deleted, its highlight being gone."""
        entry = self._entries.get(outcome.highlight_id)
        if entry is None or entry.phase is not ClipPhase.RENDERING:
            return None
        if entry.unwanted:
            del self._entries[outcome.highlight_id]
            return entry.spec
        ready = outcome.status is ClipStatus.READY
        self._entries[outcome.highlight_id] = entry.model_copy(
            update={"phase": ClipPhase.READY if ready else ClipPhase.FAILED}
        )
        return None

    def is_ready(self, highlight_id: UUID) -> bool:
        """Tell whether the clip of a highlight is finished and wanted."""
        entry = self._entries.get(highlight_id)
        return entry is not None and entry.phase is ClipPhase.READY

    def forget(self, before: float) -> None:
        """Drop finished clips that end `FORGET_AFTER` seconds before `before`."""
        unfinished = {ClipPhase.WAITING, ClipPhase.RENDERING}
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if entry.phase in unfinished or entry.decision.clip_end > before - FORGET_AFTER
        }

    def _cuttable(self, *, media_end: float, ended: bool) -> list[ClipEntry]:
        return [
            entry
            for entry in self._entries.values()
            if entry.phase is ClipPhase.WAITING
            and can_cut(entry.decision, media_end=media_end, ended=ended)
        ]
