"""The words that tenants' highlights hold, remembered for a while, to correct slips by."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from infra.repositories import highlight_search

LIFETIME: Final = 300.0
MOST_WORDS: Final = 50_000
_CAPACITY: Final = 64


class Vocabularies:
    """Reads vocabularies through a cache; a new word serves to correct slips after `LIFETIME` (s).

    Searching for the word itself finds it at once. Of a tenant with more than `MOST_WORDS` the
    first ones by the alphabet are known.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[UUID, tuple[float, tuple[str, ...]]] = OrderedDict()

    async def of(self, session: AsyncSession, tenant_id: UUID) -> tuple[str, ...]:
        """Return a tenant's words, in its session."""
        now = self._clock()
        expires, words = self._known.get(tenant_id, (now, ()))
        if now < expires:
            return words
        found = await highlight_search.vocabulary(session, tenant_id=tenant_id, most=MOST_WORDS)
        words = tuple(word for word in found if not word.startswith("#"))
        self._known[tenant_id] = (now + LIFETIME, words)
        self._known.move_to_end(tenant_id)
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)
        return words
