"""`highlights tenants`: a plan is shown and changed."""

from __future__ import annotations

from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.dev.postgres import DatabaseUrls
from app.services.tenants import tenant_id_of
from infra.db.engine import Database
from infra.db.repositories import api_keys, audit
from infra.db.repositories.audit import AuditFilter
from infra.db.tables import AuditEntry
from tests.conftest import run_apart


@pytest.fixture
def slug(postgres: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tenant, in the database that commands find configured."""
    monkeypatch.setenv("DATABASE_URL", postgres.application)
    slug = f"tenant-{uuid4().hex}"

    async def make() -> None:
        database = Database(postgres.application, pool_size=1)
        tenant_id = tenant_id_of(slug)
        async with database.session(tenant_id) as session:
            await api_keys.ensure_tenant(session, tenant_id=tenant_id, slug=slug, name=slug)
        await database.close()

    run_apart(make())
    return slug


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["tenants", *arguments])


def test_a_new_tenant_has_the_default_plan(slug: str) -> None:
    shown = run("show", "--tenant", slug).stdout
    assert "plan pro (the default)" in shown
    assert "streams at a time 50" in shown


def test_a_plan_is_given_and_taken_back(slug: str) -> None:
    assert run("set-plan", "--tenant", slug, "enterprise").exit_code == 0
    assert "plan enterprise\n" in run("show", "--tenant", slug).stdout
    assert run("set-plan", "--tenant", slug, "default").exit_code == 0
    assert "(the default)" in run("show", "--tenant", slug).stdout


def test_each_change_of_a_plan_is_in_the_tenants_audit_log(
    slug: str, postgres: DatabaseUrls
) -> None:
    for plan in ("enterprise", "enterprise", "default"):
        run("set-plan", "--tenant", slug, plan)

    async def read() -> list[AuditEntry]:
        database = Database(postgres.application, pool_size=1)
        tenant_id = tenant_id_of(slug)
        async with database.session(tenant_id) as session:
            rows = await audit.list_page(session, tenant_id=tenant_id, criteria=AuditFilter())
        await database.close()
        return rows

    back, given = run_apart(read())
    assert (given.action, given.actor_kind) == ("tenant.plan_set", "operator")
    assert given.details == {"before": None, "after": "enterprise"}
    assert back.details == {"before": "enterprise", "after": None}


def test_a_plan_that_there_is_none_of_is_refused(slug: str) -> None:
    result = run("set-plan", "--tenant", slug, "gold")
    assert result.exit_code == 2
    assert "gold" in result.stderr


@pytest.mark.parametrize("arguments", [["show"], ["set-plan", "free"]])
def test_a_tenant_that_there_is_none_of_is_said_to_be(slug: str, arguments: list[str]) -> None:
    command, *rest = arguments
    result = run(command, "--tenant", "nobody", *rest)
    assert result.exit_code == 1
    assert "there is no tenant nobody" in result.stderr
