"""Every file that the embedded stack reads at start, damaged in every way a power cut or a person
can: it is put in order, or refused with a sentence that names it and says what to do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.dev import temporal as temporal_binary
from app.dev.postgres import PostgresServer
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from app.services.api_keys import ensure_dev_tenant
from infra.db.engine import Database
from infra.db.migration import migrate
from infra.errors import SetupError
from infra.state_directory import Running, StateDirectory
from tests.conftest import run_apart, server_directory

LONGEST_MESSAGE = 700  # with two long paths of a test in it
SECRET = b"0" * 32


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def garbled(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00garbage\n\x80" * 200)


def removed(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("")


DAMAGES = [emptied, truncated, garbled, removed, directory]
Damage = Callable[[Path], None]


def refused(start: Callable[[], object], *, naming: Path) -> bool:
    """Whether a start was refused; then it was by one clear sentence."""
    try:
        start()
    except SetupError as error:
        said = str(error)
    else:
        return False
    assert str(naming) in said
    assert len(said) < LONGEST_MESSAGE
    assert "Traceback" not in said
    return True


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory whose owner was killed: all its files are still there."""
    path = tmp_path / "state"
    with StateDirectory(path) as state:
        state.secret("signing")
        state.gate.write_text("")
    (path / "owner.pid").write_text("1")
    running = Running(
        pid=1,
        pids={"worker": 1},
        api_url="http://127.0.0.1:1",
        docs_url="http://127.0.0.1:1/docs",
        temporal_address="127.0.0.1:2",
        temporal_namespace="default",
        clips="/clips",
        database_url="postgresql://h/d",
    )
    (path / "ready.json").write_text(running.model_dump_json())
    os.utime(path / "ready.json", (1, 1))  # before this machine's process 1 was started
    return path


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["ready.json", "owner.pid", "lock", "starting.lock"])
def test_files_that_can_be_recreated_do_not_block_the_start(
    state: Path, name: str, damage: Damage
) -> None:
    damage(state / name)
    with StateDirectory(state) as taken:
        assert taken.running() is None
    assert not (state / "ready.json").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_secret_is_neither_used_nor_replaced(state: Path, damage: Damage) -> None:
    path = state / "secrets" / "signing"
    before = path.read_text()
    damage(path)
    left = path.read_bytes() if path.is_file() else None
    was_refused = refused(lambda: StateDirectory(state).secret("signing"), naming=path)
    assert was_refused == (damage is not removed)
    if was_refused:
        assert (path.read_bytes() if path.is_file() else None) == left
    else:
        assert path.read_text() != before


@pytest.mark.parametrize("name", ["logs", "pg", "secrets", "segments", "clips"])
def test_a_file_in_place_of_a_directory_is_named(state: Path, name: str) -> None:
    path = state / name
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("")
    assert refused(StateDirectory(state).__enter__, naming=path)
    path.unlink()
    with StateDirectory(state):  # the refusal has kept no lock
        pass


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """A PostgreSQL cluster with our tables that was shut down cleanly."""
    with server_directory() as root:
        server = PostgresServer(root / "cluster", log=root / "log", durable=False)
        run_apart(migrate(run_apart(server.prepare()).owner))
        server.stop()
        (root / "cluster" / "postmaster.pid").write_text(f"{2**22 - 3}\n{root}\n")
        yield root / "cluster"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["postmaster.pid", "PG_VERSION", "global/pg_control"])
def test_a_damaged_file_of_postgres_is_healed_or_named(
    cluster: Path, server_path: Path, name: str, damage: Damage
) -> None:
    data = server_path / "data"
    shutil.copytree(cluster, data, copy_function=shutil.copy2)
    _give_to_owner_of(cluster, data)
    damage(data / name)

    def start() -> None:
        server = PostgresServer(data, log=server_path / "log", durable=False)
        try:
            run_apart(server.prepare())
        finally:
            server.stop()

    # Half of pg_control is padding.
    heals = name == "postmaster.pid" or (name, damage) == ("global/pg_control", truncated)
    assert refused(start, naming=data) == (not heals)


@pytest.mark.parametrize("damage", [emptied, garbled, directory])
def test_stale_sockets_and_their_locks_are_no_obstacle(
    cluster: Path, server_path: Path, damage: Damage
) -> None:
    data = server_path / "data"
    shutil.copytree(cluster, data)
    _give_to_owner_of(cluster, data)
    sockets = PostgresServer(data, log=server_path / "log", durable=False)
    place = Path(sockets.urls().owner.partition("host=")[2].partition("&")[0].replace("%2F", "/"))
    sockets.stop()
    place.mkdir(exist_ok=True)
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (place / name).unlink(missing_ok=True)  # of a server that was too busy to stop by itself
        (place / name).write_text("1\n")
        damage(place / name)
    server = PostgresServer(data, log=server_path / "log", durable=False)
    run_apart(server.prepare())
    server.stop()


def _give_to_owner_of(model: Path, data: Path) -> None:
    owner = model.stat()
    for path in (data, *data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


@pytest.fixture(scope="module")
def workflows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that a Temporal server has written and closed."""
    path = tmp_path_factory.mktemp("temporal") / "temporal.db"
    server = temporal(path)
    server.wait_ready()
    server.stop()
    return path


def temporal(database: Path) -> TemporalServer:
    binary = temporal_binary.find_binary(database.parent)
    assert binary is not None
    (port,) = free_ports(1)
    return TemporalServer(
        binary, port=port, ui_port=None, database=database, log=database.parent / "temporal.log"
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_of_temporal_is_healed_or_named(
    workflows: Path, tmp_path: Path, damage: Damage
) -> None:
    database = tmp_path / "temporal.db"
    shutil.copy(workflows, database)
    damage(database)

    def start() -> None:
        server = temporal(database)
        try:
            server.wait_ready()
        finally:
            server.stop()

    assert refused(start, naming=database) == (damage not in {emptied, removed})


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_of_the_development_key_is_replaced(
    postgres: tuple[str, str], tmp_path: Path, damage: Damage
) -> None:
    database = Database(postgres[1])
    try:
        first = await ensure_dev_tenant(database, secret=SECRET, directory=tmp_path)
        damage(tmp_path / "api-key")
        second = await ensure_dev_tenant(database, secret=SECRET, directory=tmp_path)
    finally:
        await database.close()
    assert second.tenant_id == first.tenant_id
    assert (tmp_path / "api-key").read_text().strip() == second.key.value
