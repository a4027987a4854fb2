"""A segment store that counts the requests that the same calls would make to S3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from domain.media.segments import StoredObject
from infra.storage.segments import SegmentStore

LISTED_AT_ONCE: Final = 1000
"""Keys in one response to ListObjectsV2."""

DOLLARS_PER_1000: Final = {
    "PUT": 0.005,
    "LIST": 0.005,
    "GET": 0.0004,
    "HEAD": 0.0004,
    "DELETE": 0.0,
}
"""S3 Standard, us-east-1: https://aws.amazon.com/s3/pricing, "Requests & data retrievals"."""


def price(requests: Counter[str]) -> float:
    """Return the price of requests, in dollars."""
    return sum(DOLLARS_PER_1000[name] * number / 1000 for name, number in requests.items())


class CountingStore:
    """Passes every call on to another store.

    Args:
        store: the other store.

    Attributes:
        requests: how many S3 would have received, by kind. A `path` counts as a GET, as on a
            worker that does not have the media in its cache.
    """

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self.requests: Counter[str] = Counter()

    async def put(self, key: str, data: bytes) -> None:
        self.requests["PUT"] += 1
        await self._store.put(key, data)

    async def adopt(self, key: str, file: Path) -> None:
        self.requests["PUT"] += 1
        await self._store.adopt(key, file)

    async def scratch(self) -> Path:
        return await self._store.scratch()

    async def path(self, key: str) -> Path:
        self.requests["GET"] += 1
        return await self._store.path(key)

    async def locate(self, key: str, *, expires: int) -> Path | str:
        return await self._store.locate(key, expires=expires)

    async def read(self, key: str) -> bytes:
        self.requests["GET"] += 1
        return await self._store.read(key)

    async def exists(self, key: str) -> bool:
        self.requests["HEAD"] += 1
        return await self._store.exists(key)

    async def list(self, prefix: str) -> Sequence[str]:
        keys = await self._store.list(prefix)
        self.requests["LIST"] += 1 + len(keys) // LISTED_AT_ONCE
        return keys

    async def objects(self, *, tenant_id: UUID, stream_id: UUID) -> Sequence[StoredObject]:
        self.requests["LIST"] += 1
        return await self._store.objects(tenant_id=tenant_id, stream_id=stream_id)

    async def stream_names(self, tenant_id: UUID) -> Sequence[str]:
        self.requests["LIST"] += 1
        return await self._store.stream_names(tenant_id)

    async def delete(self, *keys: str) -> None:
        self.requests["DELETE"] += 1
        await self._store.delete(*keys)

    async def delete_prefix(self, prefix: str) -> int:
        keys = await self.list(prefix)
        self.requests["DELETE"] += 1 + len(keys) // LISTED_AT_ONCE
        return await self._store.delete_prefix(prefix)

    async def sweep(self, *, older_than: float) -> None:
        await self._store.sweep(older_than=older_than)

    async def shed(self) -> int:
        return await self._store.shed()
