"""Activities that record batches of exports and read what is next of them."""

from __future__ import annotations

from temporalio import activity

from activities.interfaces import ExportBatches
from app.services.webhooks import WebhookDispatcher
from domain.exports.batches import BatchRef, NextExports, NextExportsInput
from infra.db.engine import Database
from infra.db.repositories import exports


class ExportBatchActivities(ExportBatches):
    """Records batches.

    Args:
        database: holds the batches.
        dispatcher: sends events at once; without it, the outbox relay does.
    """

    def __init__(self, database: Database, dispatcher: WebhookDispatcher | None = None) -> None:
        self._database = database
        self._dispatcher = dispatcher

    @activity.defn(name="start_export_batch")
    async def start_export_batch(self, batch: BatchRef) -> None:
        async with self._database.session(batch.tenant_id) as session:
            await exports.start_batch(session, batch)

    @activity.defn(name="next_exports")
    async def next_exports(self, request: NextExportsInput) -> NextExports:
        async with self._database.session(request.batch.tenant_id) as session:
            return await exports.next_exports(session, request)

    @activity.defn(name="finish_export_batch")
    async def finish_export_batch(self, batch: BatchRef) -> None:
        async with self._database.session(batch.tenant_id) as session:
            is_event = await exports.finish_batch(session, batch)
        if is_event and self._dispatcher is not None:
            await self._dispatcher.try_dispatch(batch.tenant_id)
