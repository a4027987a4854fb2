"""The sender of webhooks: first attempts in order, retries on anything but 200, and its faults."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from demo.hms.event import Event
from demo.model import Model

SIGNATURE_HEADER: Final = "X-100ms-Signature"

#: Seconds before each retry, counted from the attempt before it (100ms, "Webhooks").
RETRIES: Final = (1.0, 3.0, 10.0)
_OK: Final = 200


class Webhook(Model):
    """Where events go.

    Attributes:
        url: of the endpoint.
        headers: sent along as they are; 100ms's own way to prove where an event comes from.
        signature_secret: sign the body as a relay in front of the endpoint would do.
        retries: seconds before each further attempt.
        timeout: seconds to wait for an answer.
    """

    url: str
    headers: Mapping[str, str] = Field(default_factory=dict)
    signature_secret: str | None = None
    retries: tuple[PositiveFloat, ...] = RETRIES
    timeout: PositiveFloat = 5.0


class EventFault(Model):
    """What is to go wrong with events of one type.

    Attributes:
        type: of the event.
        nth: only the so-manieth of that type, from 1; all by default.
        drop: it is never sent.
        copies: it is sent so often.
        delay: seconds by which it comes late, while others pass it.
        after: it is held back until an event of this type has been sent.
    """

    type: str
    nth: PositiveInt | None = None
    drop: bool = False
    copies: PositiveInt = 1
    delay: NonNegativeFloat = 0.0
    after: str | None = None


class Delivery(Model):
    """One attempt; `status` is None when there was no answer. `number` counts from 1."""

    event_id: str
    type: str
    number: int
    status: int | None
    at: datetime


class WebhookSender:
    """Sends events while the context lasts.

    The first attempts are made one after the other, in the order of the events. An event that
    failed is tried again while others go on, so that it can arrive after later ones.

    Args:
        webhook: where to; None keeps the events to ourselves.
        faults: what goes wrong on the way.
        pace: divides all waiting.
    """

    def __init__(
        self, webhook: Webhook | None, *, faults: Sequence[EventFault] = (), pace: float = 1.0
    ) -> None:
        self.events: list[Event] = []
        self.deliveries: list[Delivery] = []
        self._webhook = webhook
        self._faults = faults
        self._pace = pace
        self._seen: Counter[str] = Counter()
        self._queue: asyncio.Queue[tuple[Event, EventFault]] = asyncio.Queue()
        self._held: list[tuple[str, Event]] = []
        self._later: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient()
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pump = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks = [*self._later, *filter(None, [self._pump])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._http.aclose()

    def send(self, event: Event) -> None:
        """Send an event, in its turn."""
        self.events.append(event)
        self._seen[event.type] += 1
        self._queue.put_nowait((event, self._fault_of(event)))

    def replay(self, events: Iterable[Event]) -> None:
        """Send events once more, as the replay API does; nothing goes wrong with these."""
        for event in events:
            self._queue.put_nowait((event.replayed(), EventFault(type=event.type)))

    def succeeded(self, event: Event) -> bool:
        """Tell whether an event has been answered with 200."""
        return any(d.event_id == event.id and d.status == _OK for d in self.deliveries)

    async def settled(self) -> None:
        """Wait until nothing is under way any more; what is still held back is sent now."""
        await self._queue.join()
        while self._held:
            await self._attempt(self._held.pop(0)[1], number=1)
        while self._later:
            await asyncio.gather(*self._later)

    def _fault_of(self, event: Event) -> EventFault:
        number = self._seen[event.type]
        for fault in self._faults:
            if fault.type == event.type and fault.nth in {None, number}:
                return fault
        return EventFault(type=event.type)

    async def _run(self) -> None:
        while True:
            event, fault = await self._queue.get()
            try:
                await self._dispatch(event, fault)
            finally:
                self._queue.task_done()

    async def _dispatch(self, event: Event, fault: EventFault) -> None:
        if fault.drop:
            return
        if fault.after is not None:
            self._held.append((fault.after, event))
        elif fault.delay:
            self._attempt_later(event, number=1, delay=fault.delay)
        else:
            for _ in range(fault.copies):
                await self._attempt(event, number=1)
        released = [held for held in self._held if held[0] == event.type]
        self._held = [held for held in self._held if held[0] != event.type]
        for _, each in released:
            await self._attempt(each, number=1)

    def _attempt_later(self, event: Event, *, number: int, delay: float) -> None:
        async def attempt() -> None:
            await asyncio.sleep(delay / self._pace)
            await self._attempt(event, number=number)

        task = asyncio.create_task(attempt())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _attempt(self, event: Event, *, number: int) -> None:
        webhook = self._webhook
        if webhook is None:
            return
        status = await self._post(webhook, event)
        self.deliveries.append(
            Delivery(
                event_id=event.id,
                type=event.type,
                number=number,
                status=status,
                at=datetime.now(UTC),
            )
        )
        if status != _OK and number <= len(webhook.retries):
            self._attempt_later(event, number=number + 1, delay=webhook.retries[number - 1])

    async def _post(self, webhook: Webhook, event: Event) -> int | None:
        body = event.body.encode()
        headers = {"Content-Type": "application/json", **webhook.headers}
        if webhook.signature_secret is not None:
            headers[SIGNATURE_HEADER] = sign(body, webhook.signature_secret)
        try:
            response = await self._http.post(
                webhook.url, content=body, headers=headers, timeout=webhook.timeout
            )
        except httpx.HTTPError:
            return None
        return response.status_code


def sign(body: bytes, secret: str) -> str:
    """Return the relay's signature of a body."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
