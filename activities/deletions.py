"""The activity that deletes a stream."""

from __future__ import annotations

from temporalio import activity

from activities.heartbeat import heartbeating
from activities.interfaces import Deletions
from app.services.deletions import StreamDeletion
from domain.streams.deletion import DeletionInput, DeletionProof


class DeletionActivities(Deletions):
    """Deletes streams.

    Args:
        deletion: does it.
    """

    def __init__(self, deletion: StreamDeletion) -> None:
        self._deletion = deletion

    @activity.defn(name="delete_stream")
    async def delete_stream(self, request: DeletionInput) -> DeletionProof:
        async with heartbeating():
            return await self._deletion.run(
                tenant_id=request.tenant_id, stream_id=request.stream_id
            )
