"""`highlights tenants`: what each tenant's plan is."""

from __future__ import annotations

from typing import Annotated, Final, NoReturn

import typer

from app.settings import read_settings
from domain.tenants.audit import OPERATOR
from domain.tenants.usage import PLANS, PlanName

Tenant = Annotated[str, typer.Option(help="Short name of the tenant.")]
_DEFAULT: Final = "default"

tenants = typer.Typer(help="Tenants and their plans.", no_args_is_help=True)


@tenants.command()
def show(*, tenant: Tenant) -> None:
    """Show a tenant's plan and what it allows."""
    from app.commands.session import with_database
    from app.services.bootstrap import tenant_id_of
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
    """Give a tenant a plan; running APIs know it within half a minute."""
    from app.commands.session import with_database
    from app.services.bootstrap import tenant_id_of
    from app.services.plans import change_plan
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
