"""Deletion of streams: what is kept as proof of it, and what holds a stream against it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field, NonNegativeInt, PositiveFloat

from domain.model import Model


class LegalHold(Model):
    """Why a stream or highlight may not be deleted, and since when."""

    reason: str
    since: datetime


class LegalHoldError(Exception):
    """A stream, or a highlight of it, is under legal hold; the message is for the tenant."""


class DeletionInProgressError(Exception):
    """A stream is being deleted, so that nothing of it can be held any more."""


class DeletionStatus(StrEnum):
    """Status of a deletion."""

    RUNNING = "running"
    DONE = "done"


class DeletionProof(Model):
    """What was deleted of a stream.

    Attributes:
        rows: deleted rows by table.
        rows_deleted_at: when they were, all in one transaction.
        files: deleted files of clips, thumbnails and exports.
        media: deleted objects of the segment store: segments, their index, analyzer states.
        verified_at: when both stores held nothing of the stream any more. What a clip or export
            that was being rendered stores later is deleted by its own workflow, which finds no row.
        cdn_expires_at: when the last copy in a CDN expires; None without a CDN, and if the copies
            were invalidated.
        cdn_invalidation_id: of the completed invalidation that removed them.
    """

    rows: dict[str, NonNegativeInt] = Field(default_factory=dict)
    rows_deleted_at: datetime | None = None
    files: NonNegativeInt = 0
    media: NonNegativeInt = 0
    verified_at: datetime | None = None
    cdn_expires_at: datetime | None = None
    cdn_invalidation_id: str | None = None


class DeletionInput(Model):
    """Input of DeletionWorkflow; times in seconds."""

    tenant_id: UUID
    stream_id: UUID
    timeout: PositiveFloat = 600.0
    heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 1.0
