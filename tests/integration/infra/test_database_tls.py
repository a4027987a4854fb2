"""TLS to a real PostgreSQL with a certificate: who is trusted, and what a refusal says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.connectivity import examine_remote
from app.doctor import Finding
from app.startup import wait_for_database
from infra.db.engine import Database
from infra.db.inspection import inspect_access
from infra.errors import NotConfiguredError, StartFailedError
from infra.settings import Settings
from tests.conftest import server_directory
from tests.fakes.tls_postgres import Authority, TlsPostgres

CLOSED = "127.0.0.1:1"


@dataclass(frozen=True)
class World:
    """The server, the authority that signed its certificate, and one that did not."""

    server: TlsPostgres
    trusted: Path
    untrusted: Path


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with server_directory() as directory:
        trusted = Authority(directory, "trusted")
        server = TlsPostgres(directory, trusted)
        try:
            yield World(server, trusted.file, Authority(directory, "untrusted").file)
        finally:
            server.stop()


async def database_findings(url: str) -> dict[str, Finding]:
    """Return what `highlights doctor --remote` finds of a database; nothing else is there."""
    settings = Settings(
        database_url=SecretStr(url), temporal_address=CLOSED, hms_api_url=f"http://{CLOSED}"
    )
    found = await examine_remote(settings)
    return {each.component: each for each in found if each.component.startswith("Database")}


async def test_a_verified_server_is_used_over_tls(world: World) -> None:
    url = world.server.url("localhost", sslmode="verify-full", sslrootcert=str(world.trusted))
    database = Database(url, pool_size=1)
    await database.ping()
    await database.close()
    assert (await inspect_access(url)).is_encrypted
    found = (await database_findings(url))["Database: TLS"]
    assert (found.state, found.version) == ("ok", "the certificate is verified")


async def test_doctor_asks_for_verification_where_any_server_would_do(world: World) -> None:
    found = (await database_findings(world.server.url("localhost", sslmode="require")))[
        "Database: TLS"
    ]
    assert found.state == "optional"
    assert "sslmode=verify-full&sslrootcert=FILE" in found.advice


async def test_a_server_of_another_authority_is_refused_at_once(world: World) -> None:
    url = world.server.url("localhost", sslmode="verify-full", sslrootcert=str(world.untrusted))
    await refused(url, problem="cannot be verified", remedy="Set sslrootcert")


async def test_a_certificate_for_another_address_is_refused_at_once(world: World) -> None:
    url = world.server.url("127.0.0.1", sslmode="verify-full", sslrootcert=str(world.trusted))
    await refused(url, problem="is for another host", remedy="Use the host name")


async def test_an_authority_that_is_not_named_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    url = world.server.url("localhost", sslmode="verify-full")
    await refused(url, problem="root.crt", remedy="set sslrootcert")


async def test_a_file_without_certificates_is_refused_at_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing", "utf-8")
    empty = str(tmp_path / "empty.pem")
    url = world.server.url("localhost", sslmode="verify-full", sslrootcert=empty)
    await refused(url, problem="TLS with the server fails", remedy="in PEM")


async def test_a_file_that_does_not_exist_is_named(world: World) -> None:
    url = world.server.url("localhost", sslmode="verify-full", sslrootcert="/no/such.pem")
    with pytest.raises(NotConfiguredError, match=r"/no/such\.pem"):
        Database(url)
    found = await database_findings(url)
    assert "/no/such.pem" in found["Database"].advice


async def test_a_server_without_tls_is_refused_at_once(world: World) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"N")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://u@127.0.0.1:{port}/d?sslmode=require"
        await refused(url, problem="does not offer TLS", remedy="ssl = on")


async def refused(url: str, *, problem: str, remedy: str) -> None:
    """Check that start and doctor both say what is wrong and what to do, without waiting."""
    with pytest.raises(StartFailedError) as failed:
        await wait_for_database(url, within=600)
    assert problem in failed.value.message
    assert remedy in failed.value.remedy
    found = (await database_findings(url))["Database: TLS"]
    assert found.state == "missing"
    assert problem in found.advice
    assert remedy in found.advice
