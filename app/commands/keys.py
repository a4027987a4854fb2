"""`highlights keys`: make, list, rotate and revoke API keys, as the installation's operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from textwrap import fill
from typing import Annotated, Final
from uuid import UUID

import typer

from app.settings import read_settings, require_database
from domain.tenants.addresses import network
from domain.tenants.keys import DEFAULT_OVERLAP, LONGEST_OVERLAP, KeyChangeRefusedError, Scope
from infra.api_keys import KeyMode
from infra.db.errors import RecordMissingError
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
    """Make a key, and the tenant if it is new; the key is shown this once."""
    from app.commands.session import with_database
    from app.services.bootstrap import create_key

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
    from app.commands.session import with_database
    from app.services.api_keys import life_of
    from app.services.bootstrap import list_keys

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
    """Replace a key by a new one, shown this once; the old one works for a while yet."""
    from app.commands.session import with_database
    from app.services.bootstrap import rotate_key

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
    """Revoke a key at once, be it the tenant's last."""
    from app.commands.session import with_database
    from app.services.bootstrap import revoke_key

    if not with_database(lambda database: revoke_key(database, slug=tenant, key_id=key_id)):
        raise _no_such_key(tenant, key_id)


def _no_such_key(tenant: str, key_id: UUID) -> typer.Exit:
    typer.echo(f"{tenant} has no key {key_id}", err=True)
    return typer.Exit(1)


def _date(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"
