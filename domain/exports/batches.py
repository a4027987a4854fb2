"""Batches: many exports that are asked for together, and the messages of ExportBatchWorkflow."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from pydantic import Field, NonNegativeInt, PositiveInt

from domain.exports.models import ExportSpec, ExportStatus
from domain.model import Model


class BatchCounts(Model):
    """Exports of a batch by status.

    An export that was deleted is counted in none of them.
    """

    queued: NonNegativeInt = 0
    running: NonNegativeInt = 0
    ready: NonNegativeInt = 0
    failed: NonNegativeInt = 0
    cancelled: NonNegativeInt = 0

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> BatchCounts:
        """Return the counts of statuses; one that is not named is 0."""
        return cls(**{status: counts.get(status, 0) for status in ExportStatus})

    @property
    def outcome(self) -> tuple[ExportStatus, str]:
        """Status of a batch whose exports have all had their turn, and a message."""
        parts = (
            (self.failed, "failed"),
            (self.cancelled, "were canceled"),
            (self.queued, "did not end"),
        )
        words = ", ".join(f"{count} {what}" for count, what in parts if count)
        if not words:
            return ExportStatus.READY, ""
        return ExportStatus.FAILED, f"Of the exports, {words}; {self.ready} are ready."


class BatchRef(Model):
    """A batch of exports."""

    tenant_id: UUID
    batch_id: UUID


class NextExportsInput(Model):
    """Which queued exports of a batch to return: those with a number above `after`."""

    batch: BatchRef
    after: NonNegativeInt = 0
    limit: PositiveInt


class BatchItem(Model):
    """An export of a batch; `number` is its place, from 1."""

    number: PositiveInt
    spec: ExportSpec


class NextExports(Model):
    """The next queued exports of a batch, in order; none when all have had their turn."""

    items: tuple[BatchItem, ...] = ()


class ExportBatchInput(Model):
    """Input of ExportBatchWorkflow.

    Attributes:
        after: number of the last export that had its turn in an earlier run.
        at_a_time: exports that are made at the same time.
        page: exports that are read together, at most. Their specifications lie in the history with
            their pictures, so that fewer are read if those are large.
        pages: pages until the workflow continues as new.
    """

    batch: BatchRef
    after: NonNegativeInt = 0
    at_a_time: PositiveInt = 4
    page: PositiveInt = 16
    pages: PositiveInt = Field(default=16)
