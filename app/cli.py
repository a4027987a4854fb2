"""How a long-running process comes up: load the code quickly, then wait for the others.

The `highlights` command.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer
from filelock import FileLock
from rich.console import Console

from app.commands.keys import keys
from app.commands.tenants import tenants
from app.settings import read_settings, require_database, require_temporal
from infra.errors import InvalidSettingError, SetupError
from infra.redaction import print_exceptions_redacted, redact

_POLL_INTERVAL: Final = 0.02


@contextmanager
def loading() -> Iterator[None]:
    """Import without the garbage collector, and spare it what was imported from then on.

    Modules leave next to no garbage, but their objects start collection after collection: without
    them the worker loads in 1.8 s instead of 2.2 (two cores, warm cache).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def wait_for(gate: Path | None) -> None:
    """Wait until no process locks a file any more; the lock of a dead process does not count."""
    if gate is not None:
        with FileLock(gate, poll_interval=_POLL_INTERVAL):
            pass


_WRONG_USAGE: Final = 2


class DemoMissingError(SetupError):
    """The demo is not installed: it is part of the repository, not of the package."""

    code = "demo_missing"

    def __init__(self) -> None:
        super().__init__(
            "The demo is not part of the installed package.",
            remedy="Clone the repository and run `make demo` there.",
        )


cli = typer.Typer(
    name="highlights",
    help="Live highlights as a service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


After = Annotated[
    Path | None,
    typer.Option(hidden=True, help="Load first, then wait while another process locks this file."),
]


cli.add_typer(keys, name="keys")


cli.add_typer(tenants, name="tenants")


@cli.command()
def dev(
    *,
    state_dir: Annotated[
        Path | None, typer.Option(help="Where data are kept; by default `dev` in the home.")
    ] = None,
    api_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API.")] = None,
    temporal_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Temporal.")
    ] = None,
    temporal_ui_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Temporal's web page.")
    ] = None,
    free_ports: Annotated[
        bool, typer.Option("--free-ports", help="Take any free ports instead.")
    ] = False,
) -> None:
    """Start everything on this machine: Temporal, PostgreSQL, worker and API."""
    with loading():
        from app.dev.run import run_dev

    options = {
        "state_dir": state_dir,
        "api_port": api_port,
        "temporal_port": temporal_port,
        "temporal_ui_port": temporal_ui_port,
    }
    settings = read_settings(**{name: value for name, value in options.items() if value})
    run_dev(settings, choose_ports=free_ports, console=Console())


@cli.command()
def demo(
    *,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Video to play live; else a scripted match.")
    ] = None,
    game: Annotated[str | None, typer.Option(help="Game or sport of the video.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="JSON file of the video's true moments, to compare with.")
    ] = None,
    pace: Annotated[
        float | None, typer.Option(min=0.1, help="How many times as fast to play.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which scripted match.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write what was found to this file.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Play to the API at this URL, on this machine, instead of starting one. It must "
            "run with HIGHLIGHTS_ALLOW_PRIVATE_URLS=true.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="HIGHLIGHTS_KEY", help="API key for --against.")
    ] = None,
) -> None:
    """Play a match as a live stream and watch its highlights appear."""
    try:
        from demo.runner import DemoOptions, run_demo
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("demo", "PIL")):
            raise
        raise DemoMissingError from error

    settings = read_settings()
    options = DemoOptions(
        input=input_file,
        game=game,
        truth=truth,
        pace=pace,
        seed=seed,
        keep=keep,
        report=report,
        home=settings.home_path(),
        against=against,
        key=key,
    )
    raise typer.Exit(asyncio.run(run_demo(options)))


@cli.command()
def serve(*, after: After = None) -> None:
    """Run the API."""
    with loading():
        from app.serve import run_api
        from app.startup import check_database
        from infra import telemetry

    wait_for(after)
    settings = require_database(read_settings())
    telemetry.configure(settings, component="api")
    asyncio.run(check_database(settings))
    run_api(settings)


@cli.command()
def worker(*, after: After = None) -> None:
    """Run a worker of all task queues."""
    with loading():
        from app.startup import check_database
        from app.worker import run_worker
        from infra import telemetry

    wait_for(after)
    settings = require_database(read_settings())
    telemetry.configure(settings, component="worker")
    asyncio.run(check_database(settings))
    asyncio.run(run_worker(settings))


@cli.command()
def migrate() -> None:
    """Bring the database's tables up to date, as their owner."""
    from app.startup import require_schema, wait_for_database
    from infra.db.migration import migrate as run_migrations

    async def run(url: str, variable: str) -> None:
        await wait_for_database(url, within=settings.database_start_timeout, variable=variable)
        await run_migrations(url)
        await require_schema(url)

    settings = read_settings()
    configured = settings if settings.database_owner_url else require_database(settings)
    owner = configured.database_owner_url
    url = owner or configured.database_url
    if url is not None:
        variable = "DATABASE_OWNER_URL" if owner else "DATABASE_URL"
        asyncio.run(run(url.get_secret_value(), variable))
        typer.echo("the tables are up to date")


@cli.command()
def explain(
    highlight_id: Annotated[UUID, typer.Argument(help="Its id.")],
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Short name of the tenant; else that of the running `dev`.")
    ] = None,
) -> None:
    """Say in words why a highlight was chosen, retracted or rejected."""
    from app.commands.session import with_database
    from app.commands.streams import choose_tenant, explain_highlight

    tenant_id = choose_tenant(read_settings(), tenant)
    lines = with_database(
        lambda database: explain_highlight(database, tenant_id=tenant_id, highlight_id=highlight_id)
    )
    if lines is None:
        typer.echo(f"{tenant or 'the tenant'} has no highlight {highlight_id}", err=True)
        raise typer.Exit(1)
    typer.echo("\n".join(lines))


@cli.command()
def reanalyze(
    stream_id: Annotated[UUID, typer.Argument(help="Its id; it must be over.")],
    *,
    recording: Annotated[
        str | None,
        typer.Option(help="Address of its VOD playlist; else the one that its source told."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Short name of the tenant; else that of the running `dev`.")
    ] = None,
) -> None:
    """Analyse a stream once more from its recording, with whatever analyzer the workers have now.

    What it has stays as it is; moments that are new join it.
    """
    from app.commands.session import with_database
    from app.commands.streams import choose_tenant
    from app.commands.streams import reanalyze as start
    from app.services.streams import StreamStarter
    from infra.temporal.client import TemporalConnection

    settings = require_database(read_settings())
    tenant_id = choose_tenant(settings, tenant)
    starter = StreamStarter(TemporalConnection(settings).client, limits=settings.ingest_limits())
    workflow_id = with_database(
        lambda database: start(
            database, starter, tenant_id=tenant_id, stream_id=stream_id, recording=recording
        )
    )
    if workflow_id is None:
        typer.echo(f"{tenant or 'the tenant'} has no stream {stream_id}", err=True)
        raise typer.Exit(1)
    typer.echo(f"started {workflow_id}")


@cli.command()
def reconcile() -> None:
    """Compare streams, clips, deliveries and backfills with their workflows, and repair them now.

    Workers do so every few seconds anyway (HIGHLIGHTS_EXECUTION_RECONCILE_INTERVAL).
    """
    from app.commands.streams import reconcile_now

    report = asyncio.run(reconcile_now(require_temporal(read_settings())))
    typer.echo(report.summary())


@cli.command()
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each component: where it was found, its version, what to do when it is missing."""
    from app.doctor import examine, show, wrong_settings

    try:
        findings = examine(read_settings())
    except InvalidSettingError as error:
        findings = wrong_settings(error)
    show(findings, console=Console(), as_json=as_json)
    raise typer.Exit(1 if any(finding.blocks for finding in findings) else 0)


@cli.command()
def setup() -> None:
    """Get what `dev` needs and does not find here (the Temporal server), once."""
    from app.dev import temporal_binary
    from app.dev.progress import Steps

    settings = read_settings()
    console = Console(stderr=True)
    with Steps(console) as steps:
        binary = temporal_binary.obtain(
            settings.home_path(),
            offline=settings.offline,
            progress=steps.show,
            configured=settings.temporal_binary_path,
        )
    console.print(f"Temporal {binary.version} ({binary.source}: {binary.path})", soft_wrap=True)


def main() -> None:
    """Run the command; say what is wrong, and what to do, in a sentence each."""
    print_exceptions_redacted()
    try:
        cli()
    except SetupError as error:
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"[bold red]error[/bold red] {error.code}", highlight=False)
        console.print(redact(error.message), markup=False, highlight=False)
        console.print(redact(error.remedy), markup=False, highlight=False)
        sys.exit(_WRONG_USAGE if isinstance(error, InvalidSettingError) else 1)


if __name__ == "__main__":
    main()
