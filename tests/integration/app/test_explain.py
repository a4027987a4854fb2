"""`highlights explain`: a decision in words, from the database."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.dev.postgres import DatabaseUrls
from app.services.tenants import tenant_id_of
from infra.db.engine import Database
from infra.db.repositories import api_keys, highlights, profiles, streams
from infra.errors import NotConfiguredError
from infra.profiles.store import load_shipped_catalog
from infra.settings import Settings
from infra.state_directory import Running, StateDirectory
from tests.conftest import run_apart
from tests.factories.rows import URL, candidate, decision


@pytest.fixture
def highlight(postgres: DatabaseUrls, slug: str) -> UUID:
    return run_apart(make_highlight(postgres.application, slug))


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StateDirectory:
    """The state directory of commands in this test."""
    monkeypatch.setenv("HIGHLIGHTS_HOME", str(tmp_path))
    path = Settings().state_path()
    path.mkdir(parents=True)
    return StateDirectory(path)


async def make_highlight(url: str, slug: str) -> UUID:
    tenant, stream = tenant_id_of(slug), uuid4()
    soccer = load_shipped_catalog().get("soccer")
    about = candidate(tenant, stream)
    database = Database(url, pool_size=1)
    async with database.session(tenant) as session:
        await api_keys.ensure_tenant(session, tenant_id=tenant, slug=slug, name=slug)
        await profiles.pin(session, tenant_id=tenant, profile=soccer)
        await streams.create(
            session,
            tenant_id=tenant,
            stream_id=stream,
            playlist_url=URL,
            game="soccer",
            profile_id="soccer",
            profile_version=soccer.version,
        )
        await highlights.record_decisions(
            session,
            tenant_id=tenant,
            stream_id=stream,
            profile=soccer,
            candidates=[about],
            decisions=[decision(about)],
        )
    await database.close()
    return about.id


def test_a_highlight_of_a_tenant_is_explained(
    highlight: UUID,
    slug: str,
    postgres: DatabaseUrls,
    state: StateDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.application)
    result = CliRunner().invoke(cli, ["explain", str(highlight), "--tenant", slug])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "“Crowd roar” at 1:00 is a highlight, for good."
    assert "over 0.7" in lines
    assert "Combined score 0.800 by profile Soccer (standard), from local, 90% sure:" in lines
    assert "Evidence: the crowd is loud (loudness +4.2)." in lines


def test_a_highlight_of_the_running_stack_needs_no_tenant(
    highlight: UUID, slug: str, postgres: DatabaseUrls, state: StateDirectory
) -> None:
    state.announce(
        Running(
            pid=os.getpid(),
            pids={},
            api_url="http://127.0.0.1:1",
            docs_url="http://127.0.0.1:1/docs",
            temporal_address="127.0.0.1:2",
            temporal_namespace="default",
            clips="/clips",
            database_url=postgres.application,
            tenant_id=str(tenant_id_of(slug)),
        )
    )
    result = CliRunner().invoke(cli, ["explain", str(highlight)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("“Crowd roar”")


def test_another_tenants_highlight_does_not_exist(
    highlight: UUID,
    postgres: DatabaseUrls,
    state: StateDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres.application)
    result = CliRunner().invoke(cli, ["explain", str(highlight), "--tenant", "someone-else"])
    assert result.exit_code == 1
    assert f"someone-else has no highlight {highlight}" in result.stderr
    assert result.stdout == ""


def test_whose_it_is_must_be_known(state: StateDirectory) -> None:
    result = CliRunner().invoke(cli, ["explain", str(uuid4())])
    assert isinstance(result.exception, NotConfiguredError)
    assert "--tenant" in result.exception.remedy
