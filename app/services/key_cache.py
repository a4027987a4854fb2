"""API keys that were found usable, remembered for seconds: each request shows one.

A key that is revoked, rotated or changed in this process is forgotten at once; one that is changed
elsewhere (another process, the command line) counts as changed within `LIFETIME` seconds. Unknown
keys are never remembered, so that a new one works at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import api_keys
from infra.db.tables import ApiKey

LIFETIME: Final = 5.0
"""Seconds that a revoked key may still be let in by another process; docs/keys.md promises it."""

_CAPACITY: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class KnownKey:
    """What a request needs of its key."""

    tenant_id: UUID
    id: UUID
    scopes: frozenset[Scope]
    allowed_ips: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return it from a stored key."""
        return cls(
            tenant_id=row.tenant_id,
            id=row.id,
            scopes=frozenset(Scope(scope) for scope in row.scopes),
            allowed_ips=tuple(row.allowed_ips),
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )


class KeyCache:
    """Finds keys by their hash, in the database when not seen lately.

    Args:
        database: where they are.
        clock: seconds, never going back.
        now: the time, by which a remembered key expires.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._clock = clock
        self._now = now
        self._known: OrderedDict[bytes, tuple[float, KnownKey]] = OrderedDict()
        self._changes = 0

    async def find_usable(self, key_hash: bytes) -> KnownKey | None:
        """Return the key with this hash, unless it is unknown, revoked or has expired.

        Raises:
            DatabaseUnavailableError: the database is away, and the key not remembered.
        """
        forgotten_at, key = self._known.get(key_hash, (0.0, None))
        if key is not None and self._clock() < forgotten_at:
            return key if key.expires_at is None or self._now() < key.expires_at else None
        asked, changes = self._clock(), self._changes
        async with self._database.key_session(key_hash) as session:
            row = await api_keys.find_usable(session, key_hash=key_hash)
        if row is None:
            self._known.pop(key_hash, None)
            return None
        key = KnownKey.of(row)
        # What was read before a change may be what was changed.
        if changes == self._changes:
            self._remember(key_hash, key, until=asked + LIFETIME)
        return key

    def note_use(self, key_hash: bytes, at: datetime) -> None:
        """Remember that a use of a key has been written down."""
        forgotten_at, key = self._known.get(key_hash, (0.0, None))
        if key is not None:
            self._known[key_hash] = (forgotten_at, replace(key, last_used_at=at))

    @contextmanager
    def changing(self, key_id: UUID) -> Iterator[None]:
        """Look a key up anew after this block, which changes it and commits that.

        An error is no sign that nothing was committed: then too.
        """
        try:
            yield
        finally:
            self._forget(key_id)

    def _forget(self, key_id: UUID) -> None:
        self._changes += 1
        for key_hash in [each for each, (_, key) in self._known.items() if key.id == key_id]:
            del self._known[key_hash]

    def _remember(self, key_hash: bytes, key: KnownKey, *, until: float) -> None:
        self._known[key_hash] = (until, key)
        self._known.move_to_end(key_hash)
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)
