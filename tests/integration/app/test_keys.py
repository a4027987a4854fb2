"""`highlights keys`: the first administrator's key, and what an operator may do with keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.dev.postgres import DatabaseUrls
from app.services.api_keys import life_of, list_keys
from app.services.tenants import tenant_id_of
from domain.tenants.keys import KeyStatus
from infra import api_keys
from infra.db.engine import Database
from infra.db.repositories import audit
from infra.db.repositories.audit import AuditFilter
from infra.db.tables import ApiKey, AuditEntry
from tests.conftest import run_apart


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch, postgres: DatabaseUrls) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.application)
    monkeypatch.setenv("HIGHLIGHTS_SIGNING_SECRET", "s" * 32)
    monkeypatch.setenv("COLUMNS", "250")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments])


def created(slug: str, *options: str) -> str:
    result = run("create", "--tenant", slug, *options)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


@pytest.fixture
def stored(postgres: DatabaseUrls, slug: str) -> Stored:
    return Stored(postgres.application, slug)


class Stored:
    """What the database has of a tenant."""

    def __init__(self, url: str, slug: str) -> None:
        self._url = url
        self._slug = slug

    def made(self) -> list[ApiKey]:
        async def read() -> list[ApiKey]:
            database = Database(self._url, pool_size=1)
            found = await list_keys(database, slug=self._slug)
            await database.close()
            return found

        return run_apart(read())

    def log(self) -> list[AuditEntry]:
        async def read() -> list[AuditEntry]:
            database = Database(self._url, pool_size=1)
            tenant = tenant_id_of(self._slug)
            async with database.session(tenant) as session:
                found = await audit.list_page(session, tenant_id=tenant, criteria=AuditFilter())
            await database.close()
            return found

        return run_apart(read())


def statuses(stored: Stored) -> list[KeyStatus]:
    return [life_of(key).status(datetime.now(UTC)) for key in stored.made()]


def test_the_first_key_may_do_everything_and_is_shown_alone(slug: str, stored: Stored) -> None:
    plain = created(slug)
    assert api_keys.parse(plain) is not None
    (key,) = stored.made()
    assert key.scopes == ["admin", "read", "webhooks", "write"]
    assert (key.mode, key.allowed_ips, key.expires_at) == ("live", [], None)


def test_all_that_a_key_can_be_given(slug: str, stored: Stored) -> None:
    plain = created(
        slug,
        *("--name", "hall", "--mode", "test", "--days", "90"),
        *("--scope", "read", "--scope", "write"),
        *("--allow-ip", "203.0.113.0/24", "--allow-ip", "2001:db8::1"),
    )
    (key,) = stored.made()
    assert plain.startswith("hl_test_")
    assert (key.name, key.scopes) == ("hall", ["read", "write"])
    assert key.allowed_ips == ["203.0.113.0/24", "2001:db8::1/128"]
    assert key.expires_at is not None
    assert key.expires_at - key.created_at > timedelta(days=89)


def test_what_is_no_network_is_refused(slug: str, stored: Stored) -> None:
    result = run("create", "--tenant", slug, "--allow-ip", "203.0.113.9/24")
    assert result.exit_code == 2
    assert stored.made() == []


def test_a_list_shows_what_became_of_each_key_and_none_of_them(slug: str, stored: Stored) -> None:
    plain = created(slug, "--name", "[hall]", "--allow-ip", "203.0.113.0/24")
    result = run("list", "--tenant", slug)
    assert result.exit_code == 0, result.output
    first, name, _, addresses, dates = result.stdout.splitlines()
    (key,) = stored.made()
    assert first.split() == [str(key.id), "active", key.hint]
    assert name == "  name: [hall]"
    assert addresses == "  addresses: 203.0.113.0/24"
    assert "expires never" in dates
    assert plain not in result.stdout


def test_a_list_can_be_read_at_80_columns(slug: str, stored: Stored) -> None:
    networks = [f"2001:db8:{number}::/48" for number in range(1, 10)]
    created(
        slug,
        *("--name", "the key of the machine in the hall beside the pitch, made in spring"),
        *(argument for network in networks for argument in ("--allow-ip", network)),
    )
    created(slug)
    lines = run("list", "--tenant", slug).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(network in " ".join(lines) for network in networks)
    ids = {line.split()[0] for line in lines if not line.startswith(" ")}
    assert ids == {str(key.id) for key in stored.made()}


def test_a_key_is_rotated_with_an_overlap(slug: str, stored: Stored) -> None:
    plain = created(slug)
    (old,) = stored.made()
    result = run("rotate", "--tenant", slug, str(old.id), "--overlap", "60")
    assert result.exit_code == 0, result.output
    assert api_keys.parse(result.stdout.strip()) is not None
    assert result.stdout.strip() != plain
    assert statuses(stored) == [KeyStatus.REPLACED, KeyStatus.ACTIVE]
    again = run("rotate", "--tenant", slug, str(old.id))
    assert again.exit_code == 1
    assert f"The key was replaced by {stored.made()[1].id}." in again.stderr


def test_an_operator_may_revoke_the_last_key_of_a_tenant(slug: str, stored: Stored) -> None:
    created(slug)
    (key,) = stored.made()
    assert run("revoke", "--tenant", slug, str(key.id)).exit_code == 0
    assert statuses(stored) == [KeyStatus.REVOKED]


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_another_tenants_key_does_not_exist(slug: str, stored: Stored, command: str) -> None:
    created(slug)
    (key,) = stored.made()
    result = run(command, "--tenant", "someone-else", str(key.id))
    assert result.exit_code == 1
    assert f"someone-else has no key {key.id}" in result.stderr
    assert statuses(stored) == [KeyStatus.ACTIVE]


def test_an_operators_changes_are_in_the_audit_log(slug: str, stored: Stored) -> None:
    created(slug)
    (key,) = stored.made()
    run("rotate", "--tenant", slug, str(key.id))
    run("revoke", "--tenant", slug, str(key.id))
    log = stored.log()
    actions = ["key.revoked", "key.rotated", "key.created", "key.created"]
    assert [entry.action for entry in log] == actions
    assert {(entry.actor_kind, entry.actor_id) for entry in log} == {("operator", None)}
    assert UUID(log[0].target_id) == key.id
