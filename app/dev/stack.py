"""The embedded stack of `highlights dev`: starts, watches and stops every part of it.

All processes start at once. The worker and the API load their code while the servers start, and
wait for the gate file's lock until the database is migrated.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, NoReturn, Self

import httpx
from alembic.util import CommandError
from filelock import FileLock
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from app.dev.postgres import PostgresServer
from app.dev.supervisor import Service, Supervised, free_ports, require_free
from app.dev.temporal import HOST, Progress, TemporalBinary, TemporalServer, obtain_binary
from app.services.api_keys import TenantKey, ensure_dev_tenant
from domain.task_queues import ORCHESTRATION
from infra.child_process import ChildProcess
from infra.db.engine import Database
from infra.db.migration import migrate
from infra.errors import StartFailedError
from infra.settings import Settings
from infra.state_directory import Running, StateDirectory, signing_secret, usable
from infra.telemetry import logs
from infra.temporal.client import connect

_LINE_INTERVAL: Final = 10.0


_WIDTH: Final = 88


class Steps:
    """The current step, with the time since the first."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = ProgressBar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._last_line = -_LINE_INTERVAL
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Show no more."""
        self.done()

    def done(self) -> None:
        """Show no more; what was shown on a terminal disappears."""
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, step: str) -> None:
        """Show the current step; without a terminal, at most one line in ten seconds of a build."""
        if self._console.is_terminal:
            self._progress.update(self._task, description=step[:_WIDTH])
            return
        elapsed = time.monotonic() - self._started
        is_package = " " not in step
        if not is_package or elapsed - self._last_line >= _LINE_INTERVAL:
            self._last_line = elapsed
            self._console.print(f"[{elapsed:5.1f} s] {step}", markup=False, highlight=False)


class ReadinessProbe:
    """Checks whether the parts of one stack are ready.

    Args:
        settings: where the parts are.
        directory: the state directory.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._client: Client | None = None

    async def prepare_database(self) -> TenantKey:
        """Migrate the database and return the development tenant's key.

        Raises:
            StartFailedError: the database cannot be migrated.
        """
        owner = self._settings.database_owner_url
        try:
            if owner is not None:
                await migrate(owner.get_secret_value())
            return await self._development_tenant()
        except (CommandError, SQLAlchemyError) as error:
            raise StartFailedError(
                f"The database could not be migrated: {_first_line(error)}",
                remedy="Run the version of this program that wrote the database, or restore the "
                f"database from a backup. The logs are in {self._directory / 'logs'}.",
            ) from error

    async def _development_tenant(self) -> TenantKey:
        database = Database(_plain(self._settings.database_url), pool_size=1)
        try:
            with usable(self._directory):
                return await ensure_dev_tenant(
                    database, secret=signing_secret(self._settings), directory=self._directory
                )
        finally:
            await database.close()

    async def temporal_answers(self) -> bool:
        """Return True once Temporal can be connected to."""
        try:
            self._client = await connect(self._settings)
        except StartFailedError:
            return False
        return True

    async def worker_polls(self) -> bool:
        """Return True once a worker waits for workflow tasks."""
        if self._client is None:
            self._client = await connect(self._settings)
        answer = await self._client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._settings.temporal_namespace,
                task_queue=TaskQueue(name=ORCHESTRATION),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        return len(answer.pollers) > 0

    async def api_answers(self) -> bool:
        """Return True once the API is ready."""
        url = f"http://{self._settings.api_host}:{self._settings.api_port}/readyz"
        async with httpx.AsyncClient() as client:
            try:
                response = await client.get(url)
            except httpx.TransportError:
                return False
        return response.status_code == httpx.codes.OK


def _plain(secret: SecretStr | None) -> str:
    """Return a secret's text; an empty one for None."""
    return secret.get_secret_value() if secret is not None else ""


def _next_port(address: str | None) -> str:
    """Return `host:port` with the next port; an empty text for None."""
    if address is None:
        return ""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + 1}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


_READY_TIMEOUT: Final = 90.0


_POLL_INTERVAL: Final = 0.05


_STOP_MARGIN: Final = 5.0


# A restart has to be over before a live playlist of ten seconds forgets; what a worker does not
# finish in this time is retried by the next.
_WORKER_GRACE: Final = 2.0


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

    On leaving, worker and API are stopped first, together, since they need the servers to hand over
    their work; then the servers. Their data stay.
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
            progress: called with each step.
        """
        self._settings = settings
        self._state = state
        self._binary = binary
        self._progress = progress
        self._servers: list[Supervised] = []
        self._clients: list[Supervised] = []
        self._tenant: TenantKey | None = None

    async def __aenter__(self) -> Self:
        """Start everything and wait until it answers.

        Raises:
            SetupError: a part could not be started; all others are stopped again.
        """
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop everything."""
        self._progress("stopping")
        await self._stop()

    async def watch(self) -> None:
        """Keep everything running, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for service in (*self._servers, *self._clients):
                group.create_task(service.keep_running())

    def running(self) -> Running:
        """Return what is running now, for other programs."""
        settings = self._settings
        pids = {service.name: service.pid for service in (*self._servers, *self._clients)}
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
            clips=str(settings.clip_location()),
            database_url=_plain(settings.database_url),
            database_owner_url=_plain(settings.database_owner_url) or None,
            tenant_id=str(self._tenant.tenant_id) if self._tenant else None,
            api_key=self._tenant.key.value if self._tenant else None,
        )

    async def _start(self) -> None:
        with FileLock(self._state.gate):
            temporal = self._start_temporal(self._binary) if self._binary is not None else None
            postgres = self._start_postgres() if self._settings.database_url is None else None
            self._progress("loading the worker and the API")
            worker = self._supervise(self._clients, "worker", lambda: self._spawn("worker"))
            api = self._supervise(self._clients, "api", lambda: self._spawn("serve"))

            logs.configure(self._settings, component="dev")
            ready = ReadinessProbe(self._settings, self._state.path)
            if postgres is not None:
                await postgres.prepare()
            self._progress("bringing the tables up to date")
            self._tenant = await ready.prepare_database()
            if temporal is not None:
                await self._until(ready.temporal_answers, temporal)
        self._progress("starting the worker and the API")
        await self._until(ready.worker_polls, worker)
        await self._until(ready.api_answers, api)
        self._announce()

    async def _stop(self) -> None:
        for services in (self._clients, self._servers):
            await asyncio.gather(*(service.stop() for service in services))

    def _start_temporal(self, binary: TemporalBinary) -> Supervised:
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

        service = self._supervise(self._servers, "temporal", start)
        self._configure(temporal_address=f"{HOST}:{settings.temporal_port}")
        return service

    def _start_postgres(self) -> PostgresServer:
        data = self._state.path / "pg" / "data"
        self._progress("starting PostgreSQL" if data.exists() else "creating the database")

        def start() -> PostgresServer:
            return PostgresServer(data, log=self._state.logs / "postgres.log")

        first = start()
        incarnations = iter((first,))
        self._supervise(self._servers, "postgres", lambda: next(incarnations, None) or start())
        urls = first.urls()
        self._configure(
            database_url=SecretStr(urls.application), database_owner_url=SecretStr(urls.owner)
        )
        return first

    def _configure(self, **values: object) -> None:
        self._settings = self._settings.model_copy(update=values)

    def _supervise(
        self, services: list[Supervised], name: str, start: Callable[[], Service]
    ) -> Supervised:
        service = Supervised(name, start, on_restart=self._announce)
        services.append(service)
        return service

    def _announce(self) -> None:
        self._state.announce(self.running())

    def _namespace_page(self) -> str:
        """Return the address of the namespace in the embedded server's UI."""
        settings = self._settings
        return f"http://{HOST}:{settings.temporal_ui_port}/namespaces/{settings.temporal_namespace}"

    def _spawn(self, command: str) -> Service:
        settings = self._settings
        grace = settings.graceful_shutdown_timeout
        if "graceful_shutdown_timeout" not in settings.model_fields_set:
            grace = min(grace, _WORKER_GRACE)
        environment = {
            **os.environ,
            "HIGHLIGHTS_HOME": str(settings.home_path()),
            "HIGHLIGHTS_STATE_DIR": str(self._state.path),
            "HIGHLIGHTS_API_HOST": settings.api_host,
            "HIGHLIGHTS_API_PORT": str(settings.api_port),
            "HIGHLIGHTS_ALLOW_PRIVATE_URLS": str(settings.allow_private_urls),
            "HIGHLIGHTS_GRACEFUL_SHUTDOWN_TIMEOUT": str(grace),
            "TEMPORAL_ADDRESS": settings.temporal_address or "",
            "DATABASE_URL": _plain(settings.database_url),
        }
        if command == "serve":  # two processes cannot share a port
            environment["HIGHLIGHTS_METRICS_ADDRESS"] = _next_port(settings.metrics_address)
            environment["HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS"] = ""
            if self._binary is not None:
                environment.setdefault("HIGHLIGHTS_CONSOLE_TEMPORAL_URL", self._namespace_page())
        # Worker and API live without the power to change tables.
        environment.pop("DATABASE_OWNER_URL", None)
        return ChildProcess(
            [sys.executable, "-m", "app.cli", command, "--after", str(self._state.gate)],
            log=self._state.logs / f"{command}.log",
            env=environment,
            grace=2 * grace + _STOP_MARGIN,
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


def run_dev(settings: Settings, *, choose_ports: bool, console: Console) -> None:
    """Start everything, say where it is, and run until SIGINT or SIGTERM.

    Args:
        settings: what to start; configured parts are used, the others started.
        choose_ports: take free ports instead of those of the settings.
        console: where to write.

    Raises:
        SetupError: something is missing, taken or does not start.
    """
    signal.signal(signal.SIGTERM, _exit_on_signal)
    path = settings.state_path()
    with usable(path), StateDirectory(path) as state, Steps(console) as steps:
        settings = with_ports(settings, choose=choose_ports)
        binary = None
        if settings.temporal_address is None:
            binary = obtain_binary(
                settings.home_path(),
                offline=settings.offline,
                progress=steps.show,
                configured=settings.temporal_binary_path,
            )
        stack = Stack(settings, state, binary=binary, progress=steps.show)
        asyncio.run(_run(stack, steps, console))


async def _run(stack: Stack, steps: Steps, console: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_run_stack(stack, steps, console))
    await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        console.print("stopped; the data are kept")


async def _run_stack(stack: Stack, steps: Steps, console: Console) -> None:
    async with stack:
        steps.done()
        console.print(_addresses(stack.running()))
        console.print("Ctrl-C stops everything.")
        await stack.watch()


def _addresses(running: Running) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in (
        ("API", running.api_url),
        ("API docs", running.docs_url),
        ("Console", f"{running.api_url}/console"),
        ("API key", running.api_key),
        ("Temporal UI", running.temporal_ui_url or running.temporal_address),
        ("Clips", running.clips),
    ):
        table.add_row(f"[bold]{name}[/bold]", value, style=None)
    return table


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
