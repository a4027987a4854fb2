"""The embedded stack of `highlights dev`: every part real, none configured, all ours to stop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, Self

import httpx
from pydantic import SecretStr
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from app.supervisor import Service, Supervised
from domain.task_queues import ORCHESTRATION
from infra.bootstrap import TenantKey, ensure_dev_tenant
from infra.database import Database
from infra.embedded.child import ChildProcess
from infra.embedded.home import Running, StateDirectory, signing_secret
from infra.embedded.ports import free_ports, require_free
from infra.embedded.postgres import PostgresServer
from infra.embedded.temporal_binary import TemporalBinary
from infra.embedded.temporal_server import HOST, TemporalServer
from infra.errors import StartFailedError
from infra.migration import migrate
from infra.settings import Settings
from infra.temporal import connect

_READY_TIMEOUT: Final = 90.0
_POLL_INTERVAL: Final = 0.1
_STOP_MARGIN: Final = 5.0

Progress = Callable[[str], None]


def with_ports(settings: Settings, *, choose: bool) -> Settings:
    """Settings whose ports we can listen on.

    Args:
        settings: with the ports wished for.
        choose: take any free ones instead.

    Raises:
        PortTakenError: another program has one of them.
    """
    if choose:
        api, temporal, ui = free_ports(3)
        chosen = {"api_port": api, "temporal_port": temporal, "temporal_ui_port": ui}
        return settings.model_copy(update=chosen)
    require_free(
        settings.api_port,
        host=settings.api_host,
        purpose="the API",
        setting="--api-port, HIGHLIGHTS_API_PORT or --free-ports",
    )
    if settings.temporal_address is None:
        require_free(
            settings.temporal_port,
            purpose="Temporal",
            setting="--temporal-port, HIGHLIGHTS_TEMPORAL_PORT or --free-ports",
        )
        require_free(
            settings.temporal_ui_port,
            purpose="Temporal's web page",
            setting="--temporal-ui-port, HIGHLIGHTS_TEMPORAL_UI_PORT or --free-ports",
        )
    return settings


class Stack:
    """Servers, worker and API; an async context manager whose body runs once all answer.

    On leaving, everything is stopped in the opposite order, and its data stay.
    """

    def __init__(
        self,
        settings: Settings,
        state: StateDirectory,
        *,
        binary: TemporalBinary | None,
        progress: Progress,
    ) -> None:
        """Prepare, without starting anything.

        Args:
            settings: what to start, and on which ports.
            state: the directory, locked by us.
            binary: the Temporal server's program; None when an address is configured.
            progress: told each step.
        """
        self._settings = settings
        self._state = state
        self._binary = binary
        self._progress = progress
        self._services: list[Supervised] = []
        self._exit = AsyncExitStack()
        self._tenant: TenantKey | None = None

    async def __aenter__(self) -> Self:
        """Start everything and wait until it answers.

        Raises:
            SetupError: a part could not be started; all others are stopped again.
        """
        try:
            await self._start()
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        self._progress("stopping")
        await self._exit.aclose()

    async def watch(self) -> None:
        """Keep everything running, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for service in self._services:
                group.create_task(service.keep_running())

    def running(self) -> Running:
        """What is running now, as other programs are told."""
        settings = self._settings
        pids = {service.name: service.pid for service in self._services}
        return Running(
            pid=os.getpid(),
            pids=pids,
            worker_pid=pids["worker"],
            api_url=settings.base_url(),
            docs_url=f"{settings.base_url()}/docs",
            temporal_address=settings.temporal_address or "",
            temporal_namespace=settings.temporal_namespace,
            temporal_ui_url=(
                f"http://{HOST}:{settings.temporal_ui_port}" if self._binary else None
            ),
            clips=settings.clip_location(),
            database_url=_plain(settings.database_url),
            database_owner_url=_plain(settings.database_owner_url) or None,
            tenant_id=str(self._tenant.tenant_id) if self._tenant else None,
            api_key=self._tenant.key.value if self._tenant else None,
        )

    async def _start(self) -> None:
        if self._binary is not None:
            await self._start_temporal(self._binary)
        if self._settings.database_url is None:
            await self._start_postgres()
        if self._settings.database_owner_url is not None:
            self._progress("bringing the tables up to date")
            await migrate(_plain(self._settings.database_owner_url))
        self._tenant = await self._development_tenant()
        self._progress("starting the worker and the API")
        worker = self._supervise("worker", lambda: self._spawn("worker"))
        api = self._supervise("api", lambda: self._spawn("serve"))
        await self._until(self._worker_polls, worker)
        await self._until(self._api_answers, api)
        self._announce()

    async def _start_temporal(self, binary: TemporalBinary) -> None:
        self._progress(f"starting Temporal {binary.version}")
        settings = self._settings

        def start() -> TemporalServer:
            return TemporalServer(
                binary,
                port=settings.temporal_port,
                ui_port=settings.temporal_ui_port,
                database=self._state.path / "temporal.db",
                log=self._state.logs / "temporal.log",
            )

        service = self._supervise("temporal", start)
        self._configure(temporal_address=f"{HOST}:{settings.temporal_port}")
        await self._until(self._temporal_answers, service)

    async def _start_postgres(self) -> None:
        self._progress("starting PostgreSQL")
        started: list[PostgresServer] = []

        def start() -> PostgresServer:
            started[:] = [
                PostgresServer(
                    self._state.path / "pg" / "data", log=self._state.logs / "postgres.log"
                )
            ]
            return started[0]

        self._supervise("postgres", start)
        urls = await started[0].prepare()
        self._configure(
            database_url=SecretStr(urls.application), database_owner_url=SecretStr(urls.owner)
        )

    def _configure(self, **values: object) -> None:
        self._settings = self._settings.model_copy(update=values)

    async def _development_tenant(self) -> TenantKey:
        database = Database(_plain(self._settings.database_url), pool_size=1)
        try:
            return await ensure_dev_tenant(
                database, secret=signing_secret(self._settings), directory=self._state.path
            )
        finally:
            await database.close()

    def _supervise(self, name: str, start: Callable[[], Service]) -> Supervised:
        service = Supervised(name, start, on_restart=self._announce)
        self._services.append(service)
        self._exit.push_async_callback(service.stop)
        return service

    def _announce(self) -> None:
        self._state.announce(self.running())

    def _spawn(self, command: str) -> Service:
        settings = self._settings
        environment = {
            **os.environ,
            "HIGHLIGHTS_HOME": str(settings.home_path()),
            "HIGHLIGHTS_STATE_DIR": str(self._state.path),
            "HIGHLIGHTS_API_HOST": settings.api_host,
            "HIGHLIGHTS_API_PORT": str(settings.api_port),
            "HIGHLIGHTS_ALLOW_PRIVATE_URLS": str(settings.allow_private_urls),
            "TEMPORAL_ADDRESS": settings.temporal_address or "",
            "DATABASE_URL": _plain(settings.database_url),
        }
        # Worker and API live without the power to change tables.
        environment.pop("DATABASE_OWNER_URL", None)
        return ChildProcess(
            [sys.executable, "-m", "app.cli", command],
            log=self._state.logs / f"{command}.log",
            env=environment,
            grace=settings.graceful_shutdown_timeout + _STOP_MARGIN,
        )

    async def _until(self, answers: Callable[[], Awaitable[bool]], service: Supervised) -> None:
        try:
            async with asyncio.timeout(_READY_TIMEOUT):
                while not await answers():
                    service.require_running()
                    await asyncio.sleep(_POLL_INTERVAL)
        except TimeoutError:
            raise StartFailedError(
                f"The {service.name} does not answer after {_READY_TIMEOUT:.0f} s.",
                remedy=f"See the logs in {self._state.logs}.",
            ) from None

    async def _temporal_answers(self) -> bool:
        try:
            await connect(self._settings)
        except StartFailedError:
            return False
        return True

    async def _worker_polls(self) -> bool:
        client = await connect(self._settings)
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._settings.temporal_namespace,
                task_queue=TaskQueue(name=ORCHESTRATION),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        return len(answer.pollers) > 0

    async def _api_answers(self) -> bool:
        async with httpx.AsyncClient() as client:
            try:
                response = await client.get(f"{self._local_api()}/readyz")
            except httpx.TransportError:
                return False
        return response.status_code == httpx.codes.OK

    def _local_api(self) -> str:
        return f"http://{self._settings.api_host}:{self._settings.api_port}"


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
