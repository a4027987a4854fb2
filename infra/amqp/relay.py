"""Publishes lifecycle events from the outbox to the broker (contract: `docs/amqp.md`).

An event counts as published once the broker has confirmed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, NoReturn
from uuid import UUID

import structlog
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import AMQPError, DeliveryError

from domain.webhooks.events import Event
from infra.db.engine import Database
from infra.db.repositories import events
from infra.storage.signed_urls import ClipLinks
from infra.webhooks.sender import message_of

EXCHANGE: Final = "highlights.events"


def routing_key(event: Event) -> str:
    """Return `<type>.<tenant>`, which is three words: `clip.ready.5f0c…`."""
    return f"{event.type.value}.{event.tenant_id}"


def message(event: Event, links: ClipLinks) -> Message:
    """Return a persistent message that carries an event as webhook endpoints get it."""
    return Message(
        message_of(event, links).encode(),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=str(event.id),
        type=event.type.value,
        timestamp=event.created_at,
        app_id="highlights",
        headers={"tenant-id": str(event.tenant_id), "ordering-key": event.ordering_key},
    )


BATCH: Final = 100
"""Events of one tenant at a time, so that nobody's backlog keeps others waiting for long."""


_DECLARE_INTERVAL: Final = 5.0
_log = structlog.get_logger(__name__)


class EventRelay:
    """Publishes what stands in the outbox, at least once and in order.

    Any number of relays may run: for each tenant one of them has the turn. An event whose
    confirmation is lost is published again, under the same message id.

    Args:
        database: with the outbox.
        links: signs the links to clips' files.
        poll_interval: seconds between looks when there was nothing.
        publish_timeout: seconds that the broker has to confirm an event.
    """

    def __init__(
        self,
        database: Database,
        *,
        links: ClipLinks,
        poll_interval: float,
        publish_timeout: float,
    ) -> None:
        self._database = database
        self._links = links
        self._poll_interval = poll_interval
        self._publish_timeout = publish_timeout

    async def run(self, channel: AbstractChannel) -> NoReturn:
        """Publish on a channel until it breaks.

        Raises:
            AMQPError: it broke.
            TimeoutError: the broker did not confirm in time.
            DatabaseUnavailableError: the outbox cannot be read.
        """
        clock = asyncio.get_running_loop().time
        while True:
            # Again and again, since the broker announces its deletion to no publisher.
            exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
            declared = clock()
            while clock() < declared + _DECLARE_INTERVAL:
                if not await self.publish_pending(exchange):
                    await asyncio.sleep(self._poll_interval)

    async def publish_pending(self, exchange: AbstractExchange) -> int:
        """Give each tenant one turn; return how many events were confirmed."""
        confirmed = 0
        for tenant_id in await self._database.tenants_to_publish_for():
            confirmed += await self._publish_for(tenant_id, exchange)
        return confirmed

    async def _publish_for(self, tenant_id: UUID, exchange: AbstractExchange) -> int:
        confirmed: list[UUID] = []
        outage: Exception | None = None
        async with self._database.session(tenant_id) as session:
            if not await events.try_lock_publishing(session, tenant_id=tenant_id):
                return 0
            waiting = await events.unpublished(session, tenant_id=tenant_id, limit=BATCH)
            try:
                await self._publish(waiting, exchange, confirmed)
            except DeliveryError:
                # Of one queue that is full, as a rule: no reason to keep other tenants waiting.
                _log.warning("event_refused", tenant_id=str(tenant_id))
            except (AMQPError, OSError, TimeoutError) as error:
                outage = error  # what was confirmed before it is noted first
            if confirmed:
                await events.mark_published(session, tenant_id=tenant_id, event_ids=confirmed)
        if outage is not None:
            raise outage
        return len(confirmed)

    async def _publish(
        self, waiting: Sequence[Event], exchange: AbstractExchange, confirmed: list[UUID]
    ) -> None:
        """Publish one after the other, each when the one before it is confirmed.

        Were they sent together, one that is refused would come after later ones at its second try.
        """
        for event in waiting:
            # Nobody has to listen: an event without a queue to go to is published all the same.
            await exchange.publish(
                message(event, self._links),
                routing_key(event),
                mandatory=False,
                timeout=self._publish_timeout,
            )
            confirmed.append(event.id)
