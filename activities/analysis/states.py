"""What an analyzer remembers from window to window, in the segment store."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from infra.storage.segments import SegmentStore

_NAME: Final = re.compile(r"\d{8}\.json")


def state_key(*, tenant_id: UUID, stream_id: UUID, analyzer: str, window: int) -> str:
    """Return the key of the state after a window."""
    return f"{_prefix(tenant_id, stream_id)}{analyzer}/{window:08d}.json"


async def delete_states(store: SegmentStore, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Delete the states of a stream that is over; answers that were paid for stay."""
    for key in await store.list(_prefix(tenant_id, stream_id)):
        analyzer, _, name = key.removeprefix(_prefix(tenant_id, stream_id)).partition("/")
        if analyzer and _NAME.fullmatch(name):
            await store.delete(key)


def _prefix(tenant_id: UUID, stream_id: UUID) -> str:
    return f"{tenant_id}/{stream_id}/analysis/"
