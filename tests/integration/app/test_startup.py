"""What a process checks before it works: that its database is there, and whole."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from app.dev.postgres import DatabaseUrls, PostgresServer
from app.dev.supervisor import free_ports
from app.doctor import examine
from app.startup import check_database, require_schema, wait_for_database
from infra.db.engine import asyncpg_url, database_address
from infra.db.migration import migrate
from infra.errors import StartFailedError
from infra.settings import Settings


async def test_a_process_says_what_it_connects_to_without_the_password(
    postgres: DatabaseUrls,
) -> None:
    url = asyncpg_url(postgres.application).set(password="hush-hush")
    shown = url.render_as_string(hide_password=False)
    with capture_logs() as logs:
        await check_database(Settings(database_url=SecretStr(shown), temporal_address="h:7233"))
    (connecting,) = [each for each in logs if each["event"] == "connecting"]
    assert connecting["database"].endswith(f"/{url.database}")
    assert connecting["temporal"] == "h:7233"
    assert "hush" not in str(logs)


async def test_a_database_that_is_away_ends_the_start_in_a_sentence() -> None:
    (port,) = free_ports(1)
    url = f"postgresql://someone:hush@127.0.0.1:{port}/d"
    with capture_logs() as logs, pytest.raises(StartFailedError) as failed:
        await wait_for_database(url, within=1.5)
    assert failed.value.message.startswith(f"PostgreSQL at 127.0.0.1:{port}/d cannot be used: ")
    assert "DATABASE_URL" in failed.value.remedy
    assert [each["event"] for each in logs] == ["database_does_not_answer"]
    assert "hush" not in str(logs) + str(failed.value)


async def test_a_database_that_comes_late_is_waited_for(
    postgres_server: PostgresServer, postgres: DatabaseUrls
) -> None:
    url = asyncpg_url(postgres.application)
    (port,) = free_ports(1)
    late = f"postgresql://{url.username}@127.0.0.1:{port}/{url.database}"

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, upstream_port = url.query.get("host"), url.port or 5432
        if host:
            socket = f"{host}/.s.PGSQL.{upstream_port}"
            to_reader, to_writer = await asyncio.open_unix_connection(socket)
        else:
            to_reader, to_writer = await asyncio.open_connection(url.host, upstream_port)
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    waiting = asyncio.create_task(wait_for_database(late, within=60))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    server = await asyncio.start_server(relay, "127.0.0.1", port)
    try:
        await waiting
    finally:
        server.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_a_database_that_there_is_not_ends_the_start_at_once(postgres: DatabaseUrls) -> None:
    url = asyncpg_url(postgres.application).set(database="no_such_database")
    with pytest.raises(StartFailedError, match="no_such_database"):
        await asyncio.wait_for(
            wait_for_database(url.render_as_string(hide_password=False), within=600), 30
        )


async def test_what_the_schema_lacks_is_said_at_start_by_migrate_and_by_doctor(
    empty_database: DatabaseUrls,
) -> None:
    await migrate(empty_database.owner)
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE streams DROP COLUMN notice"))
    await engine.dispose()
    settings = Settings(database_url=SecretStr(empty_database.application))
    with pytest.raises(
        StartFailedError, match=r"older than this version: it lacks column"
    ) as failed:
        await check_database(settings)
    assert "column streams.notice" in failed.value.message
    assert "highlights migrate" in failed.value.remedy
    with pytest.raises(StartFailedError, match=r"lacks: column streams\.notice"):
        await require_schema(empty_database.owner)
    findings = await asyncio.to_thread(examine, settings)
    (found,) = [each for each in findings if each.component == "PostgreSQL"]
    assert found.blocks
    assert "column streams.notice" in found.advice


async def test_a_changed_constraint_does_not_end_the_start(empty_database: DatabaseUrls) -> None:
    """As the next release's migration leaves it, beside which this release still runs."""
    await migrate(empty_database.owner)
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE tenants DROP CONSTRAINT ck_tenants_plan"))
        await connection.execute(text("ALTER TABLE streams ADD COLUMN newer text"))
    await engine.dispose()
    with capture_logs() as logs:
        await check_database(Settings(database_url=SecretStr(empty_database.application)))
    (problem,) = [each for each in logs if each["event"] == "schema_incomplete"]
    assert problem["missing"] == "constraint tenants.ck_tenants_plan"


async def test_a_version_refuses_the_schema_of_the_one_before(empty_database: DatabaseUrls) -> None:
    await migrate(empty_database.owner, "0027")
    with pytest.raises(StartFailedError, match=r"it lacks column connections\.policy, "):
        await check_database(Settings(database_url=SecretStr(empty_database.application)))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u:hush@h:5433/d", "h:5433/d"),
        ("postgresql://u@/d?host=/run/pg", "/run/pg/d"),
        ("postgresql+asyncpg://h/d", "h/d"),
    ],
)
def test_an_address_holds_no_credentials(url: str, address: str) -> None:
    assert database_address(url) == address
