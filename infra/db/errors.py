"""What can be wrong with what a caller of the repositories asks for."""

from __future__ import annotations

from uuid import UUID


class RecordMissingError(LookupError):
    """A row that must be there is not: it was deleted, or it belongs to another tenant.

    Trying again does not help.
    """

    def __init__(self, kind: str, identity: UUID) -> None:
        super().__init__(f"{kind} {identity} does not exist; it may have been deleted")
        self.kind = kind
        self.identity = identity


class RevisionConflictError(Exception):
    """Someone else wrote a revision first; read again before you decide anew."""

    def __init__(self, kind: str, identity: str, revision: int) -> None:
        super().__init__(f"{kind} {identity} has a revision {revision} already, or none before it")
