"""`highlights feed`: read a tenant's feed from a file, standard input or a queue, and send it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
from aio_pika.abc import AbstractIncomingMessage
from pydantic import BaseModel, ValidationError
from rich.console import Console

from app.recordings import ApiAccess
from domain.feed.adapters.betfair import BetfairFeed
from domain.feed.adapters.fields import FeedFormatError
from domain.feed.adapters.match import FeedFormat, FeedReading
from domain.feed.adapters.odds_api import OddsApiFeed
from domain.feed.adapters.sportradar import SportradarFeed
from domain.feed.models import MOST_BATCH_BYTES, MOST_EVENTS, FeedEvent
from infra.errors import SetupError
from infra.feeds.decoding import decode_json, decode_xml
from infra.feeds.queue import open_queue

_TIMEOUT: Final = httpx.Timeout(30.0)
_LINGER: Final = 0.2
_LONGEST_LINE: Final = 4 << 20
_BODY_MARGIN: Final = 64
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 30.0


class TenantFeed(BaseModel):
    """Reader of events as the API takes them; it needs no memory."""

    @classmethod
    def of(cls, match: str | None) -> TenantFeed:
        """Return a reader.

        Raises:
            SetupError: a match was chosen, which such events do not name.
        """
        if match is not None:
            raise SetupError("Events of this format name no match.", remedy="Leave out --match.")
        return cls()

    def read(self, message: bytes) -> FeedReading:
        """Return the event of a message."""
        try:
            return FeedReading((FeedEvent.model_validate_json(message, strict=True),))
        except ValidationError as error:
            return FeedReading(
                (),
                tuple(
                    FeedFormatError(".".join(map(str, each["loc"])) or "message", each["msg"])
                    for each in error.errors()
                ),
            )


Adapter = TenantFeed | SportradarFeed | BetfairFeed | OddsApiFeed
_ADAPTERS: Final[dict[FeedFormat, type[Adapter]]] = {
    FeedFormat.EVENTS: TenantFeed,
    FeedFormat.SPORTRADAR: SportradarFeed,
    FeedFormat.BETFAIR: BetfairFeed,
    FeedFormat.ODDS_API: OddsApiFeed,
}


class FeedPosition(BaseModel):
    """How far a feed was sent, and what its adapter remembers; the content of the state file."""

    stream_id: UUID
    format: FeedFormat
    match: str | None = None
    messages: int = 0
    adapter: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class FeedSource:
    """A feed, and how to read it.

    Attributes:
        stream_id: the stream that its events belong to.
        source: path of a file, `-` for standard input, or URL of a broker.
        format: its format.
        match: id of the match to read; None for the only one.
        queue: name of the queue of a broker.
        state: file with the position; None to start at the beginning.
        skip_invalid: leave out what is wrong, and go on.
        patience: seconds to wait for an API that accepts nothing.
    """

    stream_id: UUID
    source: str
    format: FeedFormat
    match: str | None = None
    queue: str | None = None
    state: Path | None = None
    skip_invalid: bool = False
    patience: float = 600.0

    @property
    def is_queue(self) -> bool:
        """True if it is a queue of a broker."""
        return self.source.startswith(("amqp://", "amqps://"))

    @property
    def name(self) -> str:
        """Its name in messages, without the password of a broker."""
        if self.is_queue:
            return f"queue {self.queue}"
        return "standard input" if self.source == "-" else self.source


@dataclass(frozen=True, kw_only=True)
class FeedMessage:
    """A message of a feed, with its line or its number in the queue, from 1."""

    number: int
    body: bytes
    delivery: AbstractIncomingMessage | None = None


@dataclass(kw_only=True)
class FeedSummary:
    """What became of a feed."""

    messages: int = 0
    events: int = 0
    invalid: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Return it in a line."""
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        invalid = f", {self.invalid} invalid fields left out" if self.invalid else ""
        events = f"{self.events} events" + (f" ({outcomes})" if outcomes else "")
        return f"{self.messages} messages, {events}{invalid}"


async def send_feed(source: FeedSource, access: ApiAccess, *, console: Console) -> FeedSummary:
    """Send the events of a feed until it ends; report what is wrong on the console.

    Raises:
        SetupError: the feed cannot be read or is wrong, or the API refuses its events.
    """
    headers = {"Authorization": f"Bearer {access.key}"}
    async with httpx.AsyncClient(base_url=access.url, headers=headers, timeout=_TIMEOUT) as http:
        sender = EventSender(http, source)
        return await FeedRun(source, sender, console).run()


class FeedRun:
    """One run over a feed: read, send, remember the position, acknowledge."""

    def __init__(self, source: FeedSource, sender: EventSender, console: Console) -> None:
        self._source = source
        self._sender = sender
        self._console = console
        self._position = _stored_position(source)
        self._adapter = _adapter(source, self._position)
        self.summary = FeedSummary()

    async def run(self) -> FeedSummary:
        """Send the feed until it ends."""
        begin = 0 if self._source.is_queue else self._position.messages
        async with _messages(self._source, begin) as batches:
            async for batch in batches:
                await self._send(batch)
        return self.summary

    async def _send(self, batch: Sequence[FeedMessage]) -> None:
        events: list[tuple[FeedEvent, FeedMessage]] = []
        refused: set[int] = set()
        for message in batch:
            reading = self._read(message)
            for problem in reading.problems:
                where = f"{self._source.name}, message {message.number}: {problem}"
                if not (self._source.skip_invalid or self._source.is_queue):
                    await self._deliver(events)
                    raise SetupError(
                        f"{where}.",
                        remedy="Correct it, or pass --skip-invalid to leave such fields out.",
                    )
                self.summary.invalid += 1
                self._console.print(where, soft_wrap=True, markup=False, highlight=False)
            if reading.problems and not reading.events:
                refused.add(message.number)
            events += [(event, message) for event in reading.events]
        await self._deliver(events)
        self.summary.messages += len(batch)
        self._position.messages = batch[-1].number
        self._position.adapter = self._adapter.model_dump(mode="json")
        if self._source.state is not None:
            await asyncio.to_thread(_store, self._source.state, self._position)
        for message in batch:
            if message.delivery is not None and message.number in refused:
                await message.delivery.reject(requeue=False)
            elif message.delivery is not None:
                await message.delivery.ack()

    def _read(self, message: FeedMessage) -> FeedReading:
        try:
            match self._adapter:
                case TenantFeed():
                    return self._adapter.read(message.body)
                case SportradarFeed():
                    return self._adapter.read(decode_xml(message.body))
                case _:
                    return self._adapter.read(decode_json(message.body))
        except FeedFormatError as problem:
            return FeedReading((), (problem,))

    async def _deliver(self, events: Sequence[tuple[FeedEvent, FeedMessage]]) -> None:
        for batch in _batches(events):
            results = await self._sender.send(batch)
            self.summary.events += len(batch)
            self.summary.outcomes.update(str(each.get("outcome")) for each in results)


class EventSender:
    """Sends batches of events to the API, and waits while it takes none."""

    def __init__(self, http: httpx.AsyncClient, source: FeedSource) -> None:
        self._http = http
        self._source = source

    async def send(self, batch: Sequence[tuple[FeedEvent, FeedMessage]]) -> list[dict[str, Any]]:
        """Send a batch, and return what became of its events.

        The key of the request is a digest of the batch: a batch that is sent again after a crash
        or a lost answer is applied once.

        Raises:
            SetupError: the API refuses the batch, or took none for too long.
        """
        body = json.dumps({"events": [_wire(event) for event, _ in batch]}).encode()
        digest = sha256(f"{self._source.stream_id}:".encode() + body).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"feed-{digest}"}
        path = f"/v1/streams/{self._source.stream_id}/events"
        clock = asyncio.get_running_loop().time
        give_up_at = clock() + self._source.patience
        delay = _FIRST_DELAY
        while True:
            wait = delay
            try:
                answer = await self._http.post(path, content=body, headers=headers)
            except httpx.TransportError as error:
                reason = f"it does not answer ({type(error).__name__})"
            else:
                if answer.is_success:
                    found: list[dict[str, Any]] = answer.json()["data"]
                    return found
                reason = _reason(answer)
                if not _is_temporary(answer):
                    raise self._refusal(answer, reason, batch)
                wait = _retry_after(answer, delay)
            if clock() + wait > give_up_at:
                raise SetupError(
                    f"The API took no events for {self._source.patience:g} s: {reason}.",
                    remedy=f"Run the command again: it goes on at message {batch[0][1].number}."
                    if self._source.state is not None
                    else "Run the command again, with --state to go on where it stopped.",
                )
            await asyncio.sleep(wait)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _refusal(
        self,
        answer: httpx.Response,
        reason: str,
        batch: Sequence[tuple[FeedEvent, FeedMessage]],
    ) -> SetupError:
        fields = []
        with suppress(ValueError, TypeError, AttributeError):
            for each in answer.json().get("errors") or ():
                place = str(each["pointer"]).split("/")
                if place[1:2] == ["events"] and place[2:3] and place[2].isdigit():
                    event, message = batch[int(place[2])]
                    where = f"message {message.number}, event {event.id}"
                    fields.append(f"{where}: {'.'.join(place[3:])}: {each['detail']}")
        return SetupError(
            f"The API refuses events of {self._source.name}: {'; '.join(fields) or reason}.",
            remedy="See its /errors page.",
        )


def _wire(event: FeedEvent) -> dict[str, Any]:
    return event.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _batches(
    events: Sequence[tuple[FeedEvent, FeedMessage]],
) -> list[list[tuple[FeedEvent, FeedMessage]]]:
    """Return the events in batches that the API takes."""
    batches: list[list[tuple[FeedEvent, FeedMessage]]] = []
    size = 0
    for each in events:
        length = len(json.dumps(_wire(each[0]))) + 2
        full = not batches or len(batches[-1]) == MOST_EVENTS
        if full or size + length > MOST_BATCH_BYTES - _BODY_MARGIN:
            batches.append([])
            size = 0
        batches[-1].append(each)
        size += length
    return batches


def _is_temporary(answer: httpx.Response) -> bool:
    in_progress = answer.status_code == httpx.codes.CONFLICT and "Retry-After" in answer.headers
    return (
        answer.status_code in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
        or answer.is_server_error
        or in_progress
    )


def _retry_after(answer: httpx.Response, delay: float) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else delay


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {answer.status_code}"


def _stored_position(source: FeedSource) -> FeedPosition:
    fresh = FeedPosition(stream_id=source.stream_id, format=source.format, match=source.match)
    if source.state is None or not source.state.exists():
        return fresh
    try:
        stored = FeedPosition.model_validate_json(source.state.read_bytes())
    except (OSError, ValidationError) as error:
        raise SetupError(
            f"The state file {source.state} cannot be read.",
            remedy="Name another one, or delete it to send the feed from its beginning.",
        ) from error
    if (stored.stream_id, stored.format, stored.match) != (
        *(source.stream_id, source.format, source.match),
    ):
        raise SetupError(
            f"The state file {source.state} belongs to stream {stored.stream_id}, the format "
            f"{stored.format} and the match {stored.match or 'that comes first'}.",
            remedy="Use a separate state file for each stream and feed.",
        )
    return stored


def _adapter(source: FeedSource, position: FeedPosition) -> Adapter:
    kind = _ADAPTERS[source.format]
    if position.adapter is None:
        return kind.of(source.match)
    return kind.model_validate(position.adapter)


def _store(file: Path, position: FeedPosition) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(position.model_dump_json())
    part.replace(file)


@asynccontextmanager
async def _messages(
    source: FeedSource, begin: int
) -> AsyncIterator[AsyncIterator[list[FeedMessage]]]:
    """Read messages after the first `begin` ones, together with those that come within 0.2 s."""
    waiting: asyncio.Queue[FeedMessage | None] = asyncio.Queue(maxsize=MOST_EVENTS)
    reader = asyncio.create_task(_read_all(source, begin, waiting))
    try:
        yield _gathered(waiting, reader)
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError, SetupError):
            await reader


async def _gathered(
    waiting: asyncio.Queue[FeedMessage | None], reader: asyncio.Task[None]
) -> AsyncIterator[list[FeedMessage]]:
    message = await waiting.get()
    while message is not None:
        batch = [message]
        with suppress(TimeoutError):
            while len(batch) < MOST_EVENTS:
                message = await asyncio.wait_for(waiting.get(), _LINGER)
                if message is None:
                    break
                batch.append(message)
        yield batch
        if message is not None:
            message = await waiting.get()
    await reader  # raises what ended it


async def _read_all(
    source: FeedSource, begin: int, waiting: asyncio.Queue[FeedMessage | None]
) -> None:
    try:
        if source.is_queue:
            await _read_queue(source, waiting)
        else:
            await _read_lines(source, begin, waiting)
    except Exception:
        await waiting.put(None)
        raise
    await waiting.put(None)


async def _read_queue(source: FeedSource, waiting: asyncio.Queue[FeedMessage | None]) -> None:
    if source.queue is None:
        raise SetupError("The name of the queue is missing.", remedy="Pass --queue.")
    number = 0
    async with open_queue(source.source, source.queue, prefetch=2 * MOST_EVENTS) as deliveries:
        async for delivery in deliveries:
            number += 1
            await waiting.put(FeedMessage(number=number, body=delivery.body, delivery=delivery))


async def _read_lines(
    source: FeedSource, begin: int, waiting: asyncio.Queue[FeedMessage | None]
) -> None:
    number = 0
    async for line in _lines(source):
        number += 1
        if len(line) >= _LONGEST_LINE:
            raise SetupError(
                f"{source.name}, line {number}: it is longer than {_LONGEST_LINE >> 20} MiB.",
                remedy="Write each message on a separate line.",
            )
        if number > begin and line.strip():
            await waiting.put(FeedMessage(number=number, body=line.strip()))


async def _lines(source: FeedSource) -> AsyncIterator[bytes]:
    """Read lines in a thread that is abandoned at the end: nothing interrupts a read of a pipe."""
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[bytes | OSError] = asyncio.Queue(maxsize=MOST_EVENTS)

    def pump() -> None:
        def put(item: bytes | OSError) -> None:
            asyncio.run_coroutine_threadsafe(read.put(item), loop).result()

        with suppress(RuntimeError):  # the command has ended
            try:
                # Not sys.stdin, whose lock the interpreter needs at its end.
                with (
                    open(0, "rb", closefd=False)
                    if source.source == "-"
                    else Path(source.source).open("rb")
                ) as file:
                    while line := file.readline(_LONGEST_LINE):
                        put(line)
                put(b"")
            except OSError as error:
                put(error)

    threading.Thread(target=pump, name="feed", daemon=True).start()
    while item := await read.get():
        if isinstance(item, OSError):
            raise SetupError(
                f"{source.name} cannot be read: {item.strerror}.", remedy="Check its path."
            ) from item
        yield item
