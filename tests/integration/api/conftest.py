"""The API over real PostgreSQL and real Temporal, called as a client calls it."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from temporalio.client import Client

from app.dev.postgres import DatabaseUrls
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from app.serve import build_app
from app.services.api_keys import create_key
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.settings import Settings
from tests.fakes.hms_worker import inbound_activities, processing

SECRET = "s" * 32
BASE_URL = "http://api.test"


@dataclass(frozen=True)
class Account:
    """A tenant and a client with its key."""

    tenant_id: UUID
    key: str
    http: httpx.AsyncClient


NewAccount = Callable[..., Awaitable[Account]]
OpenClient = Callable[[Settings], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def clip_root(tmp_path: Path) -> Path:
    return tmp_path / "clips"


@pytest.fixture
def segment_root(tmp_path: Path) -> Path:
    return tmp_path / "segments"


@pytest.fixture
def settings(
    postgres: DatabaseUrls, temporal_server: TemporalServer, clip_root: Path, segment_root: Path
) -> Settings:
    return api_settings(postgres, temporal_server, clips=clip_root, segments=segment_root)


def api_settings(
    postgres: DatabaseUrls, temporal_server: TemporalServer, *, clips: Path, segments: Path
) -> Settings:
    """Return the settings of an API over the servers of this process."""
    return Settings(
        temporal_address=temporal_server.address,
        database_url=SecretStr(postgres.application),
        database_pool_size=2,
        clip_store=str(clips),
        segment_store=str(segments),
        signing_secret=SecretStr(SECRET),
        public_base_url=BASE_URL,
        usage_flush_interval=300.0,  # so that requests of a test are metered as it closes the API
        inbound_ack_timeout=120.0,  # on a loaded machine too, what can be done is done at once
    )


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Serve the API by uvicorn in a thread; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(build_app(settings), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def settings_without_temporal(settings: Settings) -> Settings:
    (port,) = free_ports(1)
    return settings.model_copy(update={"temporal_address": f"127.0.0.1:{port}"})


@pytest.fixture
def open_client() -> OpenClient:
    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        app = build_app(settings)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url=BASE_URL, timeout=20.0
            ) as client,
        ):
            yield client

    return opened


@pytest.fixture
async def anonymous(
    settings: Settings, open_client: OpenClient
) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(settings) as client:
        yield client


@pytest.fixture
async def new_account(
    anonymous: httpx.AsyncClient, database: Database
) -> AsyncIterator[NewAccount]:
    clients: list[httpx.AsyncClient] = []

    async def make(*scopes: Scope) -> Account:
        made = await create_key(
            database,
            secret=SECRET.encode(),
            slug=f"tenant-{uuid4().hex}",
            name="test",
            scopes=scopes or (Scope.ADMIN,),
        )
        client = httpx.AsyncClient(
            transport=anonymous._transport,
            base_url=BASE_URL,
            headers={"Authorization": f"Bearer {made.key.value}"},
            timeout=20.0,
        )
        clients.append(client)
        return Account(tenant_id=made.tenant_id, key=made.key.value, http=client)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def account(new_account: NewAccount) -> Account:
    return await new_account()


@pytest.fixture
async def other_account(new_account: NewAccount) -> Account:
    return await new_account()


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """The API on a port of this machine, for programs that are no part of this process."""
    with serving(settings) as url:
        yield url


@pytest.fixture
async def workflows(
    temporal_client: Client, database: Database, settings: Settings
) -> AsyncIterator[Client]:
    """A worker that processes inbound events, and whose stream workflow waits to be stopped."""
    activities = inbound_activities(temporal_client, database, settings)
    async with processing(temporal_client, activities):
        yield temporal_client
