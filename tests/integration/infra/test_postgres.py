"""The embedded PostgreSQL: roles without power, data that stay, and locks that do not."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import psutil
import pytest

from app.dev.postgres import APPLICATION, DatabaseUrls, PostgresServer
from infra.errors import AlreadyRunningError
from tests.conftest import run_apart


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def test_neither_role_is_a_superuser_or_escapes_row_level_security(
    postgres: DatabaseUrls,
) -> None:
    for url in postgres:
        connection = await connect(url)
        power = await connection.fetchrow(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS any_power"
            " FROM pg_roles WHERE rolname = current_user"
        )
        await connection.close()
        assert power["any_power"] is False


async def test_the_application_cannot_make_tables(empty_database: DatabaseUrls) -> None:
    connection = await connect(empty_database.application)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE mine (id int)")
    await connection.close()


async def test_the_owner_can_make_tables(empty_database: DatabaseUrls) -> None:
    connection = await connect(empty_database.owner)
    await connection.execute("CREATE TABLE mine (id int)")
    assert await connection.fetchval("SELECT count(*) FROM mine") == 0
    await connection.close()


def test_a_second_start_finds_the_data_of_the_first(server_path: Path) -> None:
    async def write(url: str) -> None:
        connection = await connect(url)
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
        await connection.close()

    async def read(url: str) -> object:
        connection = await connect(url)
        value = await connection.fetchval("SELECT value FROM kept")
        await connection.close()
        return value

    first = PostgresServer(server_path / "data", log=server_path / "log")
    run_apart(write(run_apart(first.prepare()).owner))
    first.stop()
    second = PostgresServer(server_path / "data", log=server_path / "log")
    value = run_apart(read(run_apart(second.prepare()).owner))
    second.stop()
    assert value == 7


def test_paths_longer_than_a_socket_address_work(server_path: Path) -> None:
    data = server_path / ("long" * 40) / "with space" / "data"
    server = PostgresServer(data, log=server_path / "log", durable=False)
    urls = run_apart(server.prepare())
    server.stop()
    assert APPLICATION in urls.application


def test_a_lock_left_by_a_process_that_is_no_server_is_removed(server_path: Path) -> None:
    first = PostgresServer(server_path / "data", log=server_path / "log", durable=False)
    run_apart(first.prepare())
    first.stop()
    (server_path / "data" / "postmaster.pid").write_text(f"{psutil.Process().pid}\n")
    second = PostgresServer(server_path / "data", log=server_path / "log", durable=False)
    run_apart(second.prepare())
    second.stop()


def test_data_in_use_by_another_server_are_left_alone_with_its_pid_named(server_path: Path) -> None:
    first = PostgresServer(server_path / "data", log=server_path / "log", durable=False)
    run_apart(first.prepare())
    try:
        with pytest.raises(AlreadyRunningError, match=str(first.pid)):
            PostgresServer(server_path / "data", log=server_path / "log", patience=0.1)
        assert first.running()
    finally:
        first.stop()
