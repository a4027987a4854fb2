"""Checks that a process runs before it starts work: PostgreSQL and Gemini."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from domain.analysis.gemini.pricing import is_unavailable, model_warning
from infra.db.engine import Database, DatabaseUnavailableError, database_address
from infra.db.migration import compare_schema, summary
from infra.errors import StartFailedError
from infra.gemini import GeminiAccessError, GeminiClient, GeminiError, GeminiOptions
from infra.settings import Settings

_log = structlog.get_logger(__name__)


_PAUSE: Final = 1.0


_REFUSED: Final = ("28", "3D")  # SQLSTATE classes: wrong credentials, no such database


async def check_database(settings: Settings) -> None:
    """Wait until the database answers, and log where it is and what its schema lacks.

    Raises:
        StartFailedError: it refuses the credentials, or does not answer in time.
    """
    if settings.database_url is None:
        return
    url = settings.database_url.get_secret_value()
    _log.info("connecting", database=database_address(url), temporal=settings.temporal_address)
    await wait_for_database(url, within=settings.database_start_timeout)
    found = await compare_schema(url)
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
            remedy="Somebody changed it by hand, or restored a part of it; compare it with "
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


WITHIN: Final = 5.0
"""Seconds that the service has to list its models."""


@dataclass(frozen=True)
class GeminiCheck:
    """What was found.

    Attributes:
        answers: whether the service listed its models.
        works: whether the configured models can be used, as far as is known.
        warnings: what an operator should know, a sentence or two each.
    """

    answers: bool
    works: bool
    warnings: tuple[str, ...] = ()


async def check_gemini(settings: Settings, client: GeminiClient) -> GeminiCheck:
    """Ask Gemini for its models, and compare them with the settings. Raises nothing of Gemini's."""
    listed: frozenset[str] | None = None
    warnings: list[str] = []
    works = True
    try:
        listed = await client.models(within=WITHIN)
    except GeminiAccessError:
        works = False
        warnings.append("Gemini refused the key. Check GEMINI_API_KEY.")
    except GeminiError as error:
        warnings.append(f"Gemini could not be asked for its models: {error}.")
    now, prices = datetime.now(UTC), settings.gemini_price_table()
    for model in settings.gemini_models():
        warning = model_warning(model, listed=listed, at=now, prices=prices)
        if warning is not None:
            warnings.append(warning)
        if listed is not None and is_unavailable(model, listed):
            works = False
    return GeminiCheck(answers=listed is not None, works=works, warnings=tuple(warnings))


async def check_gemini_once(settings: Settings) -> GeminiCheck:
    """Do the same with a client of its own.

    Raises:
        NotConfiguredError: the key is malformed.
    """
    key = settings.gemini_api_key
    client = GeminiClient(
        key.get_secret_value() if key is not None else "",
        GeminiOptions(base_url=settings.gemini_base_url),
    )
    try:
        return await check_gemini(settings, client)
    finally:
        await client.close()


async def log_gemini_check(settings: Settings, client: GeminiClient | None) -> None:
    """Log what is wrong with the configured models; the worker starts meanwhile."""
    if client is None:
        return
    check = await check_gemini(settings, client)
    for warning in check.warnings:
        _log.warning("gemini_model_check", warning=warning)
    if not check.warnings:
        _log.info("gemini_model_check", models=settings.gemini_models())
