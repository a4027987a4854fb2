"""Forwards a tenant's webhooks to a program on this machine, signed as endpoints receive them."""

from __future__ import annotations

import asyncio
import base64
import secrets
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

import httpx
from standardwebhooks import Webhook

from tldrtv_highlights.client import AsyncHighlightsClient
from tldrtv_highlights.errors import ConnectionFailedError, ServerError
from tldrtv_highlights.models import TenantEvent
from tldrtv_highlights.webhooks import WebhookEvent

_TIMEOUT: Final = httpx.Timeout(30.0)
_REMEMBERED: Final = 10_000
_RECONNECT_DELAY: Final = 2.0
_OPEN: Final = "open"
_SECRET_BYTES: Final = 32


def new_session_secret() -> str:
    """Return a secret for one run: `whsec_` and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


@dataclass(frozen=True, kw_only=True)
class ForwardedEvent:
    """An event, and what the program answered to it: a status, or why there is none."""

    event: WebhookEvent
    duration: float
    status: int | None = None
    error: str | None = None

    def __str__(self) -> str:
        """Return it in a line."""
        at = f"{self.event.timestamp.astimezone():%H:%M:%S}"
        answer = str(self.status) if self.error is None else self.error
        return (
            f"{at}  {self.event.type}  {self.event.id}  → {answer} ({self.duration * 1e3:.0f} ms)"
        )


class WebhookListener:
    """Receives a tenant's events from the API and posts each to one URL, in order.

    An event that comes twice, as after a lost connection, is forwarded once. One that the program
    does not take is reported and not sent again: run the listener with `since` to repeat it.

    Args:
        client: with a key that has the scopes `webhooks` and `read`.
        forward_to: URL of the program.
        secret: that requests are signed with, `whsec_…`.
        report: called with each forwarded event.
        warn: called with a sentence when the API cannot be reached.
    """

    def __init__(
        self,
        client: AsyncHighlightsClient,
        *,
        forward_to: str,
        secret: str,
        report: Callable[[ForwardedEvent], None],
        warn: Callable[[str], None],
    ) -> None:
        self._client = client
        self._forward_to = forward_to
        self._webhook = Webhook(secret)
        self._report = report
        self._warn = warn
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def run(
        self, *, types: Sequence[str] | None = None, since: datetime | None = None
    ) -> None:
        """Forward events until canceled.

        Args:
            types: such as `clip.ready`; None for all.
            since: begin with the events of this time; None for those from now on.

        Raises:
            HighlightsError: the API refuses the key or the request.
        """
        async with httpx.AsyncClient(timeout=_TIMEOUT) as http:
            async for received in self._events(types, since):
                event = WebhookEvent.model_validate_json(received.body)
                if self._is_new(event.id):
                    self._report(await self._forward(http, event, received.body))

    async def _events(
        self, types: Sequence[str] | None, since: datetime | None
    ) -> AsyncIterator[TenantEvent]:
        last: str | None = None
        while True:
            try:
                async for event in self._client.webhooks.follow(
                    types=types, since=since, last_event_id=last
                ):
                    last = event.id or last
                    if event.type != _OPEN:
                        yield event
            except (ConnectionFailedError, ServerError) as error:
                self._warn(f"{error} Trying again in {_RECONNECT_DELAY:g} s.")
            await asyncio.sleep(_RECONNECT_DELAY)

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True

    async def _forward(
        self, http: httpx.AsyncClient, event: WebhookEvent, body: str
    ) -> ForwardedEvent:
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(msg_id=event.id, timestamp=now, data=body),
        }
        began = perf_counter()
        try:
            answer = await http.post(self._forward_to, content=body.encode(), headers=headers)
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            return ForwardedEvent(event=event, duration=perf_counter() - began, error=words)
        return ForwardedEvent(
            event=event, duration=perf_counter() - began, status=answer.status_code
        )


async def listen(
    *,
    url: str,
    key: str,
    forward_to: str,
    types: Sequence[str] | None = None,
    since: datetime | None = None,
    secret: str | None = None,
) -> None:
    """Forward a tenant's webhooks and print each with its answer, until canceled.

    Args:
        url: where the API is.
        key: the tenant's, with the scopes `webhooks` and `read`.
        forward_to: URL of the program.
        types: such as `clip.ready`; None for all.
        since: begin with the events of this time; None for those from now on.
        secret: that requests are signed with; None makes one and prints it.

    Raises:
        HighlightsError: the API refuses the key or the request.
        ValueError: the secret or an address is malformed.
    """
    if httpx.URL(forward_to).scheme not in {"http", "https"}:
        raise ValueError("the address to forward to must begin with http:// or https://")
    chosen = secret or new_session_secret()
    async with AsyncHighlightsClient(url, key) as client:
        listener = WebhookListener(
            client,
            forward_to=forward_to,
            secret=chosen,
            report=lambda forwarded: _print(str(forwarded)),
            warn=lambda words: _print(words, to_errors=True),
        )
        if secret is None:
            _print(f"Signing secret of this session: {chosen}")
        _print(f"Forwarding to {forward_to}. Stop with Ctrl-C.")
        await listener.run(types=types, since=since)


def _print(line: str, *, to_errors: bool = False) -> None:
    print(line, file=sys.stderr if to_errors else sys.stdout, flush=True)
