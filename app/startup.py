"""Opens the database of a process, and checks database and stores before it starts work."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import structlog

from app.settings import read_settings, require_database
from infra.db.engine import Database, DatabaseUnavailableError, database_address
from infra.db.migration import compare_schema, summary
from infra.db.tls import tls_problem
from infra.errors import NotConfiguredError, StartFailedError
from infra.settings import Settings
from infra.storage.s3 import S3Bucket, S3Connection, S3Error, S3Location, S3Options

T = TypeVar("T")

_log = structlog.get_logger(__name__)


_PAUSE: Final = 1.0


_REFUSED: Final = ("28", "3D")  # SQLSTATE classes: wrong credentials, no such database


async def check_database(settings: Settings) -> None:
    """Wait until the database answers, and compare its schema with the expected one.

    Of two releases that run at once, the older one finds changed constraints on the newer schema;
    that is logged only. A table or column that does not exist means an older schema.

    Raises:
        StartFailedError: it refuses the credentials, does not answer in time, or was not migrated.
    """
    if settings.database_url is None:
        return
    url = settings.database_url.get_secret_value()
    _log.info("connecting", database=database_address(url), temporal=settings.temporal_address)
    await wait_for_database(url, within=settings.database_start_timeout)
    found = await compare_schema(url)
    if found.absent:
        raise StartFailedError(
            f"The database's schema is older than this version: it lacks {summary(found.absent)}.",
            remedy="Run `highlights migrate` with this version, before it starts.",
        )
    if not found.matches:
        _log.error(
            "schema_incomplete", missing=summary(found.missing), remedy="run `highlights migrate`"
        )


async def wait_for_database(
    url: str,
    *,
    within: float,
    variable: str = "DATABASE_URL",
) -> None:
    """Wait until the database answers.

    Args:
        url: with credentials.
        within: seconds after which to give up.
        variable: the setting that names the database, for the message.

    Raises:
        StartFailedError: it refuses the credentials, or does not answer `within` that time.
    """
    where = database_address(url)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    database = Database(url, pool_size=1, max_overflow=0)
    try:
        while True:
            try:
                await database.ping()
                break
            except DatabaseUnavailableError as error:
                if (problem := tls_problem(error)) is not None:
                    raise StartFailedError(
                        f"PostgreSQL at {where} cannot be used: {problem.problem}.",
                        remedy=f"{variable}: {problem.remedy}",
                    ) from error
                if _is_refusal(error) or loop.time() + _PAUSE > deadline:
                    raise StartFailedError(
                        f"PostgreSQL at {where} cannot be used: {_reason(error)}.",
                        remedy=f"Check {variable} and that the server runs.",
                    ) from error
                _log.warning("database_does_not_answer", database=where, reason=_reason(error))
            await asyncio.sleep(_PAUSE)
    finally:
        await database.close()


async def require_schema(url: str) -> None:
    """Check that nothing of the expected schema is missing.

    Raises:
        StartFailedError: something is; the message names it.
    """
    found = await compare_schema(url)
    if not found.matches:
        raise StartFailedError(
            f"The schema is at the newest revision but lacks: {summary(found.missing)}.",
            remedy="It was changed by hand or restored in part; compare it with "
            "migrations/schema.txt.",
        )


def _is_refusal(error: BaseException) -> bool:
    return any(str(getattr(each, "sqlstate", "")).startswith(_REFUSED) for each in _chain(error))


def _reason(error: BaseException) -> str:
    innermost = list(_chain(error))[-1]
    return str(innermost).strip().rstrip(".") or type(innermost).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


@dataclass(frozen=True)
class StoreReport:
    """What is found of a store.

    Attributes:
        setting: the variable that names it.
        where: directory or URL.
        found: kind and state of the store; empty if it cannot be used.
        problem: why it cannot be used, in a sentence; else empty.
        remedy: what to do about it.
        is_transient: True if the problem may pass by itself.
    """

    setting: str
    where: str
    found: str = ""
    problem: str = ""
    remedy: str = ""
    is_transient: bool = False


async def examine_stores(settings: Settings) -> Sequence[StoreReport]:
    """Look at the segment store and the clip store; every process reports what this returns.

    In S3 a probe object is written and deleted, which proves that the store can be used. Of a
    directory nothing is changed.
    """
    connection = S3Connection()
    try:
        return [
            await _examine_store(connection, setting, location, settings.s3_options())
            for setting, location in (
                ("SEGMENT_STORE", settings.segment_location()),
                ("CLIP_STORE", settings.clip_location()),
            )
        ]
    finally:
        await connection.close()


async def check_stores(settings: Settings) -> None:
    """Log what is found of each store.

    A store that is only unreachable does not stop a process: what needs the store is retried.

    Raises:
        StartFailedError: a store cannot be used until somebody changes something.
    """
    for report in await examine_stores(settings):
        if not report.problem:
            _log.info("store", setting=report.setting, where=report.where, found=report.found)
        elif report.is_transient:
            _log.error("store", setting=report.setting, where=report.where, problem=report.problem)
        else:
            raise StartFailedError(
                f"{report.setting} cannot be used: {report.problem}", remedy=report.remedy
            )


async def _examine_store(
    connection: S3Connection, setting: str, location: Path | S3Location, options: S3Options
) -> StoreReport:
    where = str(location)
    if isinstance(location, S3Location):
        try:
            found = await S3Bucket(connection, location, options).examine()
        except S3Error as error:
            return StoreReport(
                setting,
                where,
                problem=error.message,
                remedy=error.remedy,
                is_transient=error.is_transient,
            )
        return StoreReport(setting, where, found)
    existing = location
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        return StoreReport(
            setting,
            where,
            problem=f"{existing} cannot be written to.",
            remedy=f"Change its owner or its mode, or set {setting} to another directory.",
        )
    free = shutil.disk_usage(existing).free / (1 << 30)
    return StoreReport(setting, where, f"local disk, {free:.0f} GiB free")


def open_database(settings: Settings, *, pool_size: int | None = None) -> Database:
    """Return the configured database; it connects on first use.

    Args:
        settings: of the process.
        pool_size: connections, in place of the settings' number.

    Raises:
        NotConfiguredError: no database is set.
    """
    if settings.database_url is None:
        raise NotConfiguredError(
            "No database is configured.",
            remedy="Set DATABASE_URL, or start everything with `highlights dev`.",
        )
    return Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size if pool_size is None else pool_size,
        max_overflow=settings.database_max_overflow,
        pool_timeout=settings.database_pool_timeout,
        transaction_pooler=settings.database_transaction_pooler,
    )


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` with the configured database, or that of the running `highlights dev`.

    Raises:
        NotConfiguredError: neither is there.
    """
    settings = require_database(read_settings())

    async def run() -> T:
        database = open_database(settings, pool_size=1)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
