"""Errors of the repositories that callers handle."""

from __future__ import annotations

from uuid import UUID


class RecordMissingError(LookupError):
    """A required row does not exist: it was deleted, or it belongs to another tenant.

    A retry does not help.
    """

    def __init__(self, kind: str, identity: UUID | str) -> None:
        super().__init__(f"{kind} {identity} does not exist; it may have been deleted")
        self.kind = kind
        self.identity = identity


class BatchRunningError(Exception):
    """Exports of a batch are still being made; retry when they have ended."""

    def __init__(self, batch_id: UUID, running: int) -> None:
        super().__init__(f"{running} exports of batch {batch_id} are still being made")


class RevisionConflictError(Exception):
    """Another writer stored a revision first; read it before you retry."""

    def __init__(self, kind: str, identity: str, revision: int) -> None:
        super().__init__(f"{kind} {identity} has a revision {revision} already, or none before it")
