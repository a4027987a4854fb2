"""What an API key may do."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A right of an API key; `admin` includes all others."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    WEBHOOKS = "webhooks"


def permits(granted: frozenset[Scope], needed: Scope) -> bool:
    """Tell whether a key with the scopes `granted` may do what needs `needed`."""
    return needed in granted or Scope.ADMIN in granted
