"""`highlights keys`: make, list and revoke API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from app.process_settings import read_settings, require_database
from domain.access import Scope
from infra.api_keys import KeyMode
from infra.embedded.home import signing_secret

Tenant = Annotated[str, typer.Option(help="Short name of the tenant.")]

keys = typer.Typer(help="API keys of a tenant.", no_args_is_help=True)


@keys.command()
def create(
    *,
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "command line",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; repeat for several.")
    ] = None,
    mode: Annotated[KeyMode, typer.Option(help="Live or test.")] = KeyMode.LIVE,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
) -> None:
    """Make a key, and the tenant if it is new; the key is shown this once."""
    from app.one_shot import with_database
    from infra.bootstrap import create_key

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
            expires_at=expires_at,
        )
    )
    typer.echo(created.key.value)
    typer.echo(f"tenant {created.tenant_id}, key {created.key_id}; not shown again", err=True)


@keys.command("list")
def list_(*, tenant: Tenant) -> None:
    """List a tenant's keys, without their secret parts."""
    from app.one_shot import with_database
    from infra.bootstrap import list_keys

    table = Table("Id", "Name", "Key", "Scopes", "Made", "Expires", "Revoked", box=None)
    for key in with_database(lambda database: list_keys(database, slug=tenant)):
        table.add_row(
            str(key.id),
            key.name,
            key.hint,
            " ".join(key.scopes),
            *(_date(moment) for moment in (key.created_at, key.expires_at, key.revoked_at)),
        )
    Console().print(table)


@keys.command()
def revoke(*, tenant: Tenant, key_id: Annotated[UUID, typer.Argument(help="Its id.")]) -> None:
    """Revoke a key at once."""
    from app.one_shot import with_database
    from infra.bootstrap import revoke_key

    if not with_database(lambda database: revoke_key(database, slug=tenant, key_id=key_id)):
        typer.echo(f"{tenant} has no key {key_id}", err=True)
        raise typer.Exit(1)


def _date(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"
