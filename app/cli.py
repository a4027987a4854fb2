"""The `highlights` command.

Commands import what they need when they run, so that `--help` stays fast.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import fill
from typing import Annotated, Final, NoReturn
from uuid import UUID

import typer
from filelock import FileLock
from rich.console import Console

from app.devtools import devtools
from app.settings import read_settings, require_database, require_temporal
from domain.feed.adapters.match import FeedFormat
from domain.tenants.addresses import network
from domain.tenants.audit import OPERATOR
from domain.tenants.keys import DEFAULT_OVERLAP, LONGEST_OVERLAP, KeyChangeRefusedError, Scope
from domain.tenants.usage import PLANS, PlanName
from infra.api_keys import KeyMode
from infra.db.errors import RecordMissingError
from infra.errors import InvalidSettingError, SetupError
from infra.redaction import print_exceptions_redacted, redact
from infra.state_directory import signing_secret

_WIDTH: Final = 80


Tenant = Annotated[str, typer.Option(help="Short name of the tenant.")]


KeyId = Annotated[UUID, typer.Argument(help="Its id.")]


keys = typer.Typer(help="API keys of a tenant.", no_args_is_help=True)


def _in_cidr(text: str) -> str:
    return str(network(text))


@keys.command()
def create(
    *,
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; repeat for several. Default: all.")
    ] = None,
    mode: Annotated[KeyMode, typer.Option(help="Live or test.")] = KeyMode.LIVE,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
    allow_ip: Annotated[
        list[str] | None,
        typer.Option(
            parser=_in_cidr,
            metavar="CIDR",
            help="Address or network that it works from; repeat for several. Default: anywhere.",
        ),
    ] = None,
) -> None:
    """Create a key, and the tenant if it is new. The key is shown only once."""
    from app.services.api_keys import create_key
    from app.startup import with_database

    secret = signing_secret(require_database(read_settings()))
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    created = with_database(
        lambda database: create_key(
            database,
            secret=secret,
            slug=tenant,
            name=name,
            scopes=scope or tuple(Scope),
            mode=mode,
            allowed_ips=allow_ip or (),
            expires_at=expires_at,
        )
    )
    typer.echo(created.key.value)
    typer.echo(f"tenant {created.tenant_id}, key {created.key_id}; not shown again", err=True)


@keys.command("list")
def list_(*, tenant: Tenant) -> None:
    """List a tenant's keys, without their secret parts; a few lines a key, for 80 columns."""
    from app.services.api_keys import life_of, list_keys
    from app.startup import with_database

    now = datetime.now(UTC)
    for key in with_database(lambda database: list_keys(database, slug=tenant)):
        typer.echo(f"{key.id}  {life_of(key).status(now)}  {key.hint}")
        dates = (
            f"{what} {_date(moment)}"
            for what, moment in (
                ("created", key.created_at),
                ("expires", key.expires_at),
                ("last used", key.last_used_at),
            )
        )
        for line in (
            f"name: {key.name}",
            f"scopes: {' '.join(key.scopes)}",
            f"addresses: {' '.join(key.allowed_ips) or 'any'}",
            ", ".join(dates),
        ):
            typer.echo(fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    "))


@keys.command()
def rotate(
    *,
    tenant: Tenant,
    key_id: KeyId,
    overlap: Annotated[
        int,
        typer.Option(
            min=0,
            max=int(LONGEST_OVERLAP.total_seconds()),
            help="Seconds that the old key still works.",
        ),
    ] = int(DEFAULT_OVERLAP.total_seconds()),
) -> None:
    """Replace a key by a new one, shown only once. The old one works until the overlap ends."""
    from app.services.api_keys import rotate_key
    from app.startup import with_database

    secret = signing_secret(require_database(read_settings()))
    try:
        made = with_database(
            lambda database: rotate_key(
                database,
                secret=secret,
                slug=tenant,
                key_id=key_id,
                overlap=timedelta(seconds=overlap),
            )
        )
    except RecordMissingError as error:
        raise _no_such_key(tenant, key_id) from error
    except KeyChangeRefusedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(made.key.value)
    typer.echo(f"key {made.key_id}; not shown again", err=True)


@keys.command()
def revoke(*, tenant: Tenant, key_id: KeyId) -> None:
    """Revoke a key immediately, even the last key of the tenant."""
    from app.services.api_keys import revoke_key
    from app.startup import with_database

    if not with_database(lambda database: revoke_key(database, slug=tenant, key_id=key_id)):
        raise _no_such_key(tenant, key_id)


def _no_such_key(tenant: str, key_id: UUID) -> typer.Exit:
    typer.echo(f"{tenant} has no key {key_id}", err=True)
    return typer.Exit(1)


def _date(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"


_DEFAULT: Final = "default"


tenants = typer.Typer(help="Tenants and their plans.", no_args_is_help=True)


@tenants.command()
def show(*, tenant: Tenant) -> None:
    """Show a tenant's plan and what it allows."""
    from app.services.tenants import tenant_id_of
    from app.startup import with_database
    from infra.db.engine import Database
    from infra.db.repositories import tenants as stored
    from infra.db.tables import Tenant as Row

    async def read(database: Database) -> Row | None:
        tenant_id = tenant_id_of(tenant)
        async with database.session(tenant_id) as session:
            return await stored.get(session, tenant_id=tenant_id)

    row = with_database(read)
    if row is None:
        _give_up(tenant)
    plan = PLANS[PlanName(row.plan) if row.plan else read_settings().default_plan]
    typer.echo(f"tenant {row.id}")
    typer.echo(f"plan {plan.name}{'' if row.plan else ' (the default)'}")
    typer.echo(f"requests per minute {plan.requests_per_minute}")
    typer.echo(f"requests per minute of one key {plan.key_requests_per_minute}")
    typer.echo(f"streams at a time {plan.concurrent_streams}")


@tenants.command("set-plan")
def set_plan(
    *,
    tenant: Tenant,
    plan: Annotated[
        str, typer.Argument(help=f"{', '.join(PlanName)}, or `{_DEFAULT}` for the installation's.")
    ],
) -> None:
    """Set a tenant's plan. It takes effect within 30 seconds."""
    from app.services.tenants import change_plan, tenant_id_of
    from app.startup import with_database
    from infra.db.engine import Database

    if plan != _DEFAULT and plan not in set(PlanName):
        raise typer.BadParameter(f"there is no plan {plan!r}", param_hint="PLAN")
    own = None if plan == _DEFAULT else PlanName(plan)

    async def write(database: Database) -> bool:
        tenant_id = tenant_id_of(tenant)
        async with database.session(tenant_id) as session:
            return await change_plan(session, tenant_id=tenant_id, plan=own, actor=OPERATOR)

    if not with_database(write):
        _give_up(tenant)
    typer.echo(f"{tenant} has the plan {plan}")


def _give_up(tenant: str) -> NoReturn:
    typer.echo(f"there is no tenant {tenant}", err=True)
    raise typer.Exit(1)


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
_DIVERGES: Final = 3


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


cli.add_typer(devtools)


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
        from app.dev.stack import run_dev

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
    film: Annotated[
        str | None,
        typer.Option(help="Real game to film and play, such as arena; the film is made once."),
    ] = None,
    game: Annotated[str | None, typer.Option(help="Game or sport of the video.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="JSON file of the video's true moments, to compare with.")
    ] = None,
    pace: Annotated[
        float | None, typer.Option(min=0.1, help="How many times as fast to play.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Which scripted match, or which film.")] = None,
    feed: Annotated[
        float | None,
        typer.Option(
            min=-20,
            max=20,
            help="Send a feed of the moments, late by so many seconds.",
        ),
    ] = None,
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
        film=film,
        game=game,
        truth=truth,
        pace=pace,
        seed=seed,
        feed=feed,
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
        from app.startup import check_database, check_stores
        from infra.telemetry import logs

    wait_for(after)
    settings = require_database(read_settings())
    logs.configure(settings, component="api")
    asyncio.run(check_database(settings))
    asyncio.run(check_stores(settings))
    run_api(settings)


@cli.command()
def worker(*, after: After = None) -> None:
    """Run a worker of the task queues that HIGHLIGHTS_WORKER_QUEUES names, by default of all."""
    with loading():
        from app.startup import check_database, check_stores
        from app.worker import run_worker
        from infra.telemetry import logs

    wait_for(after)
    settings = require_database(read_settings())
    logs.configure(settings, component="worker")
    asyncio.run(check_database(settings))
    asyncio.run(check_stores(settings))
    asyncio.run(run_worker(settings))


@cli.command("codec-server")
def codec_server() -> None:
    """Decrypt what Temporal stores for its UI and CLI (HIGHLIGHTS_TEMPORAL_KEYS)."""
    from app.codec_server import run_codec_server
    from infra.telemetry import logs

    settings = read_settings()
    logs.configure(settings, component="codec-server")
    run_codec_server(settings)


@cli.command()
def migrate() -> None:
    """Migrate the database, as the owner of its tables."""
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
    """Explain why a highlight was chosen, retracted or rejected."""
    from app.commands import choose_tenant, explain_highlight, with_services

    tenant_id = choose_tenant(read_settings(), tenant)
    lines = with_services(
        lambda services: explain_highlight(services, tenant_id=tenant_id, highlight_id=highlight_id)
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
        typer.Option(help="URL of its VOD playlist. Default: the one announced by its source."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Short name of the tenant; else that of the running `dev`.")
    ] = None,
) -> None:
    """Analyze a finished stream again from its recording, with the workers' current analyzer.

    Existing highlights stay unchanged; new ones are added.
    """
    from app.commands import choose_tenant, with_services
    from app.commands import reanalyze as start

    tenant_id = choose_tenant(require_database(read_settings()), tenant)
    workflow_id = with_services(
        lambda services: start(
            services, tenant_id=tenant_id, stream_id=stream_id, recording=recording
        )
    )
    if workflow_id is None:
        typer.echo(f"{tenant or 'the tenant'} has no stream {stream_id}", err=True)
        raise typer.Exit(1)
    typer.echo(f"started {workflow_id}")


@cli.command()
def process(
    recording: Annotated[str, typer.Argument(help="Media file of this machine, or a URL.")],
    *,
    game: Annotated[str | None, typer.Option(help="Game, sport or league.")] = None,
    title: Annotated[str | None, typer.Option(help="For people.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Language of titles and tags (BCP 47); repeatable.")
    ] = None,
    criteria: Annotated[
        str | None, typer.Option(help='What to show: "goals and cards, no replays".')
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="HIGHLIGHTS_URL", help="API; else that of the running `dev`."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="HIGHLIGHTS_KEY", help="Key of the API.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Find the highlights of a finished video, and show them with their clips."""
    from app import recordings

    access = recordings.api_access(read_settings(), url=url, key=key)
    done = asyncio.run(
        recordings.process(
            recordings.Recording(
                source=recording,
                game=game,
                title=title,
                languages=tuple(language or ()),
                criteria=criteria,
            ),
            access,
            console=Console(stderr=as_json),
            as_json=as_json,
        )
    )
    raise typer.Exit(0 if done else 1)


@cli.command()
def feed(
    stream_id: Annotated[UUID, typer.Argument(help="Stream that the events belong to.")],
    source: Annotated[
        str,
        typer.Argument(
            help="File with a message on each line, - for standard input, or URL of a broker."
        ),
    ],
    *,
    feed_format: Annotated[FeedFormat, typer.Option("--format", help="Format of the messages.")],
    match: Annotated[
        str | None, typer.Option(help="Id of the match in the feed. Default: the only one.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Queue of the broker.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="File that remembers how far the feed was sent.")
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Report what is wrong, and go on without it.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(envvar="HIGHLIGHTS_URL", help="API; else that of the running `dev`."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="HIGHLIGHTS_KEY", help="Key of the API.")
    ] = None,
) -> None:
    """Send scores, odds and settlements of a feed to a stream."""
    from app.feed import FeedSource, send_feed
    from app.recordings import api_access

    access = api_access(read_settings(), url=url, key=key)
    summary = asyncio.run(
        send_feed(
            FeedSource(
                stream_id=stream_id,
                source=source,
                format=feed_format,
                match=match,
                queue=queue,
                state=state,
                skip_invalid=skip_invalid,
            ),
            access,
            console=Console(stderr=True),
        )
    )
    typer.echo(str(summary))


@cli.command()
def reconcile() -> None:
    """Compare streams, clips, exports and deliveries with their workflows, and repair them now.

    Workers do so every few seconds anyway (HIGHLIGHTS_EXECUTION_RECONCILE_INTERVAL).
    """
    from app.commands import reconcile_now

    report = asyncio.run(reconcile_now(require_temporal(read_settings())))
    typer.echo(report.summary())


@cli.command()
def audit(
    stream_id: Annotated[
        UUID | None, typer.Argument(metavar="[STREAM]", help="Its id. Default: all streams.")
    ] = None,
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Short name of the tenant; else that of the running `dev`.")
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Compare the streams of every tenant.")
    ] = False,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Read each clip and compare its SHA-256.")
    ] = False,
    grace: Annotated[
        float,
        typer.Option(min=0, help="Seconds for which a new row or object is left alone."),
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Compare rows, stored objects, workflows and usage of streams; docs/audit.md says more.

    It changes nothing. Ends with 1 if something does not agree.
    """
    from app.audit import AuditScope, run_audit
    from app.commands import choose_tenant, with_services
    from app.services.consistency.stream_audit import AuditOptions

    if all_tenants and (stream_id or tenant):
        raise typer.BadParameter("it goes with no stream and no tenant", param_hint="--all-tenants")
    settings = read_settings()
    scope = AuditScope(
        tenant_id=None if all_tenants else choose_tenant(settings, tenant), stream_id=stream_id
    )
    options = AuditOptions(grace=grace, checksums=checksums)
    is_clean = with_services(
        lambda services: run_audit(services, scope, options=options, as_json=as_json)
    )
    raise typer.Exit(0 if is_clean else 1)


@cli.command()
def replay(
    target: Annotated[
        str, typer.Argument(metavar="WORKFLOW_ID|FILE", help="A workflow, or its history as JSON.")
    ],
    *,
    run_id: Annotated[
        str | None, typer.Option(help="Run of the workflow. Default: the latest.")
    ] = None,
) -> None:
    """Replay a workflow's history against this code.

    Ends with 0 if it replays and with 3 if it does not; docs/debugging.md explains the output.
    """
    from app.replay import fetch_history, read_history
    from app.replay import replay as replay_history

    settings = read_settings()
    if Path(target).is_file():
        history = read_history(Path(target))
    else:
        settings = require_temporal(settings)
        history = asyncio.run(fetch_history(settings, target, run_id=run_id))
    report = asyncio.run(replay_history(settings, history))
    typer.echo(report.text())
    if report.divergence is not None:
        raise typer.Exit(_DIVERGES)


@cli.command()
def doctor(
    *,
    remote: Annotated[
        bool,
        typer.Option("--remote", help="Try each configured server instead: connect, write, read."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show each component: where it was found, its version, what to do when it is missing.

    Ends with 1 if something is missing.
    """
    from app.doctor import examine, show, wrong_settings

    try:
        settings = read_settings()
        if remote:
            from app.connectivity import examine_remote

            findings = asyncio.run(examine_remote(settings))
        else:
            findings = examine(settings)
    except InvalidSettingError as error:
        findings = wrong_settings(error)
    show(findings, console=Console(), as_json=as_json)
    raise typer.Exit(1 if any(finding.blocks for finding in findings) else 0)


@cli.command()
def setup() -> None:
    """Install what `dev` needs and this machine lacks: the Temporal server."""
    from app.dev import temporal as temporal_binary
    from app.dev.stack import Steps

    settings = read_settings()
    console = Console(stderr=True)
    with Steps(console) as steps:
        binary = temporal_binary.obtain_binary(
            settings.home_path(),
            offline=settings.offline,
            progress=steps.show,
            configured=settings.temporal_binary_path,
        )
    console.print(f"Temporal {binary.version} ({binary.source}: {binary.path})", soft_wrap=True)


def main() -> None:
    """Run the command. Print an error and its remedy, one sentence each."""
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
