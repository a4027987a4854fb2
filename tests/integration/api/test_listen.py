"""`listen`: a tenant's webhooks arrive at a program of this machine, signed, through the API."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import events
from infra.settings import Settings
from tests.factories.rows import new_highlight, new_stream, usage_event
from tests.fakes.tcp_proxy import TcpProxy
from tests.fakes.webhook_receiver import Receiver, answering, receiver
from tests.integration.api.conftest import Account, NewAccount
from tests.integration.api.problems import assert_problem
from tldrtv_highlights import AsyncHighlightsClient, PermissionDeniedError
from tldrtv_highlights.devtools.listener import (
    ForwardedEvent,
    WebhookListener,
    new_session_secret,
)
from tldrtv_highlights.webhooks import verify

SECRET = new_session_secret()
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = 60.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"events_interval": 0.05})


class Listening:
    """A listener that runs, what it reported, and the program that it forwards to."""

    def __init__(self, target: Receiver) -> None:
        self.target = target
        self.reports: list[ForwardedEvent] = []
        self.warnings: list[str] = []


@asynccontextmanager
async def listening(url: str, key: str, target: Receiver) -> AsyncIterator[Listening]:
    """Forward the events of a tenant, from the first one on."""
    state = Listening(target)
    async with AsyncHighlightsClient(url, key) as client:
        listener = WebhookListener(
            client,
            forward_to=target.url,
            secret=SECRET,
            report=state.reports.append,
            warn=state.warnings.append,
        )
        task = asyncio.create_task(listener.run(since=LONG_AGO))
        try:
            yield state
        finally:
            task.cancel()
            await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def append(database: Database, account: Account, percent: int) -> None:
    async with database.session(account.tenant_id) as session:
        await events.append(session, usage_event(account.tenant_id, percent=percent))


def percents(target: Receiver) -> list[int]:
    return [each.data["percent"] for each in target.received]


async def test_a_developer_sees_each_event_verified_by_their_program(
    api_url: str, account: Account, database: Database
) -> None:
    async with receiver() as target:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tldrtv_highlights", "listen", target.url),
            *("--type", "highlight.confirmed", "--since", "2026-01-01T00:00:00+00:00"),
            env={
                "PATH": os.environ["PATH"],
                "HIGHLIGHTS_URL": api_url,
                "HIGHLIGHTS_KEY": account.key,
            },
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                secret = (await process.stdout.readline()).decode().split()[-1]
                assert target.url in (await process.stdout.readline()).decode()
                await append(database, account, 80)  # of a type that was not asked for
                stream = await new_stream(database, account.tenant_id)
                highlight = await new_highlight(database, account.tenant_id, stream)
                (request,) = await target.until(1)
                line = (await process.stdout.readline()).decode()
        finally:
            process.kill()
            await process.wait()
    event = verify(request.body.encode(), request.headers, secret=secret)
    assert (event.type, event.data["highlight_id"]) == ("highlight.confirmed", str(highlight))
    assert event.data["hls_url"].startswith("http")
    assert event.type in line
    assert "204" in line


async def test_a_lost_connection_loses_and_repeats_nothing(
    api_url: str, account: Account, database: Database
) -> None:
    port = urlsplit(api_url).port
    assert port is not None
    async with (
        TcpProxy(port) as proxy,
        receiver() as target,
        listening(proxy.url, account.key, target),
    ):
        await append(database, account, 1)
        await target.until(1)
        async with proxy.refusing():
            await append(database, account, 2)
        await append(database, account, 3)
        await target.until(3)
        await append(database, account, 4)
        await target.until(4)
    assert percents(target) == [1, 2, 3, 4]


async def test_an_event_whose_transaction_ends_late_is_not_missed(
    api_url: str, account: Account, database: Database
) -> None:
    tenant = account.tenant_id
    async with receiver() as target, listening(api_url, account.key, target):
        async with database.session(tenant) as session:
            await events.append(session, usage_event(tenant, percent=1))
            await append(database, account, 2)
            await target.until(1)
        await target.until(2)
    assert percents(target) == [2, 1]


async def test_a_refusal_of_the_program_is_shown_and_the_next_event_still_comes(
    api_url: str, account: Account, database: Database
) -> None:
    async with (
        receiver(answering(500, 204)) as target,
        listening(api_url, account.key, target) as state,
    ):
        await append(database, account, 1)
        await append(database, account, 2)
        await target.until(2)
        await append(database, account, 3)
        await target.until(3)
    assert [each.status for each in state.reports[:2]] == [500, 204]


async def test_events_of_another_tenant_do_not_come(
    api_url: str, account: Account, other_account: Account, database: Database
) -> None:
    async with receiver() as target, listening(api_url, account.key, target):
        await append(database, other_account, 1)
        await append(database, account, 2)
        await target.until(1)
    assert percents(target) == [2]


@pytest.mark.parametrize("scopes", [[Scope.WEBHOOKS], [Scope.READ]])
async def test_the_key_needs_both_scopes(new_account: NewAccount, scopes: list[Scope]) -> None:
    limited = await new_account(*scopes)
    refused = await limited.http.get("/v1/webhooks/events")
    assert_problem(refused, 403, "missing_scope")


async def test_the_listener_ends_with_a_refusal_of_the_key(
    api_url: str, new_account: NewAccount
) -> None:
    limited = await new_account(Scope.READ)
    async with AsyncHighlightsClient(api_url, limited.key) as api:
        listener = WebhookListener(
            api, forward_to="http://localhost", secret=SECRET, report=print, warn=print
        )
        with pytest.raises(PermissionDeniedError, match="webhooks"):
            await listener.run()
