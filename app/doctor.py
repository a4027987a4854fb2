"""`highlights doctor`: which components are present, which are missing, and how to fix it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import av
import structlog
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from app.dev import postgres
from app.dev import temporal as temporal_binary
from app.startup import examine_stores
from domain.analysis.gemini.pricing import is_unavailable, model_warning
from infra.db.engine import Database, DatabaseUnavailableError, database_address
from infra.db.migration import compare_schema, newest_revision, summary
from infra.errors import ComponentMissingError, InvalidSettingError, SetupError
from infra.gemini import GeminiAccessError, GeminiClient, GeminiError, GeminiOptions
from infra.media.ffmpeg import FfmpegError, check_ffmpeg, find_ffmpeg
from infra.redaction import redact
from infra.settings import Settings
from infra.temporal.client import connect

_log = structlog.get_logger(__name__)

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


_PLAYWRIGHT_BROWSERS: Final = "~/.cache/ms-playwright"


def chromium_path() -> str | None:
    """A Chromium or Chrome: on PATH, else one that Playwright installed."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    browsers = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", _PLAYWRIGHT_BROWSERS)).expanduser()
    return next((str(path) for path in browsers.glob("chromium-*/chrome-*/chrome")), None)


_MINIMUM_PYTHON: Final = (3, 11)


_PROBE_TIMEOUT: Final = 10.0


_CONNECT_TIMEOUT: Final = 2.0


_COLOURS: Final = {"ok": "green", "optional": "yellow", "missing": "red"}


@dataclass(frozen=True)
class Finding:
    """One component.

    Attributes:
        component: its name.
        state: `ok`, or `optional` when its absence only costs something, or `missing` when
            nothing works without it.
        where: a path, an address or how it is configured.
        version: the version that it reports.
        advice: what to do; empty when there is nothing to do.
    """

    component: str
    state: Literal["ok", "optional", "missing"]
    where: str = ""
    version: str = ""
    advice: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the product cannot work like this."""
        return self.state == "missing"


def examine(settings: Settings) -> list[Finding]:
    """Look for every component; nothing is downloaded or built."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python,
        _uv,
        _temporal,
        _go,
        _postgresql,
        _ffmpeg,
        _libav,
        _chromium,
        examine_gemini,
        _redis,
        _amqp,
    )
    found = [*(check(settings) for check in checks), *_stores(settings)]
    return [without_secrets(each) for each in found]


def without_secrets(finding: Finding) -> Finding:
    """Return a finding whose texts can be shown."""
    return replace(
        finding,
        where=redact(finding.where),
        version=redact(finding.version),
        advice=redact(finding.advice),
    )


def wrong_settings(error: InvalidSettingError) -> list[Finding]:
    """Return a finding for each wrong setting; with one of them nothing else can be looked for."""
    problems = error.message.splitlines()
    return [
        Finding("Settings", "missing", each.partition(" ")[0], advice=each) for each in problems
    ]


def show(findings: list[Finding], *, console: Console, as_json: bool) -> None:
    """Print findings as a table, or as a JSON array."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))  # noqa: T201
        return
    table = Table("Component", "State")
    for heading in ("Where", "Version", "What to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        colour = _COLOURS[finding.state]
        table.add_row(
            finding.component,
            f"[{colour}]{finding.state}[/{colour}]",
            finding.where,
            finding.version,
            finding.advice,
        )
    console.print(table)


def _python(_settings: Settings) -> Finding:
    good = sys.version_info >= _MINIMUM_PYTHON
    return Finding(
        "Python",
        "ok" if good else "missing",
        sys.executable,
        platform.python_version(),
        "" if good else "install Python 3.11 or later",
    )


def _uv(settings: Settings) -> Finding:
    own = settings.home_path() / "tools" / "uv" / "bin" / "uv"
    path = shutil.which("uv") or (str(own) if own.is_file() else None)
    if path is None:
        return Finding("uv", "optional", advice="`make setup` installs it; only needed to set up")
    return Finding("uv", "ok", path, _first_line(path, "--version").removeprefix("uv "))


def _temporal(settings: Settings) -> Finding:
    if settings.temporal_address is not None:
        try:
            asyncio.run(connect(settings))
        except SetupError as error:
            return Finding("Temporal", "missing", settings.temporal_address, advice=str(error))
        return Finding("Temporal", "ok", settings.temporal_address, "configured, answers")
    try:
        binary = temporal_binary.find_binary(
            settings.home_path(), configured=settings.temporal_binary_path
        )
    except ComponentMissingError as error:
        return Finding("Temporal", "missing", str(settings.temporal_binary_path), advice=str(error))
    if binary is not None:
        return Finding("Temporal", "ok", f"{binary.path} ({binary.source})", binary.version)
    can_build = shutil.which("go") is not None and not settings.offline
    return Finding(
        "Temporal",
        "optional" if can_build else "missing",
        advice="`highlights setup` downloads or builds it, once"
        if can_build
        else "put `temporal` on PATH, install Go, or set TEMPORAL_ADDRESS",
    )


def _go(_settings: Settings) -> Finding:
    path = shutil.which("go")
    if path is None:
        return Finding("Go", "optional", advice="only needed to build the Temporal server")
    return Finding("Go", "ok", path, _first_line(path, "version").removeprefix("go version "))


def _postgresql(settings: Settings) -> Finding:
    if settings.database_url is not None:
        return _configured_database(settings.database_url)
    try:
        return Finding("PostgreSQL", "ok", str(postgres.binaries()), postgres.server_version())
    except (ComponentMissingError, OSError, subprocess.SubprocessError) as error:
        return Finding("PostgreSQL", "missing", advice=str(error))


def _configured_database(url: SecretStr) -> Finding:
    async def ping() -> None:
        database = Database(url.get_secret_value(), pool_size=1)
        try:
            await database.ping()
        finally:
            await database.close()

    where = database_address(url.get_secret_value())
    try:
        asyncio.run(ping())
        found = asyncio.run(compare_schema(url.get_secret_value()))
    except DatabaseUnavailableError as error:
        advice = f"{error}: check DATABASE_URL and the server"
        return Finding("PostgreSQL", "missing", where, advice=advice)
    if not found.matches:
        advice = f"run `highlights migrate`: the schema lacks {summary(found.missing)}"
        return Finding("PostgreSQL", "missing", where, "answers", advice)
    return Finding("PostgreSQL", "ok", where, f"answers, schema {newest_revision()}")


def _ffmpeg(settings: Settings) -> Finding:
    try:
        path = find_ffmpeg(settings.ffmpeg_path)
        return Finding("ffmpeg", "ok", str(path), check_ffmpeg(path))
    except FfmpegError as error:
        where = str(settings.ffmpeg_path or "")
        return Finding("ffmpeg", "missing", where, advice=str(error))


def _libav(_settings: Settings) -> Finding:
    codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    where = str(Path(av.__file__).parent)
    return Finding("PyAV", "ok", where, f"{av.__version__} (libavcodec {codec})")


def _chromium(_settings: Settings) -> Finding:
    path = chromium_path()
    if path is None:
        return Finding("Chromium", "optional", advice="only the browser tests need it")
    return Finding("Chromium", "ok", path, _first_line(path, "--version"))


def examine_gemini(settings: Settings) -> Finding:
    """Ask Gemini for its models, where there is a key."""
    if settings.gemini_api_key is None:
        advice = "set GEMINI_API_KEY for the multimodal analyzer; the local one works without"
        return Finding("Gemini", "optional", advice=advice)
    models = ", ".join(settings.gemini_models())
    try:
        check = asyncio.run(check_gemini_once(settings))
    except SetupError as error:
        return Finding("Gemini", "missing", "GEMINI_API_KEY", models, str(error))
    advice = " ".join(check.warnings)
    if not check.works:
        return Finding("Gemini", "missing", "GEMINI_API_KEY", models, advice)
    state: Literal["ok", "optional"] = "ok" if check.answers else "optional"
    return Finding("Gemini", state, "GEMINI_API_KEY", models, advice)


def _redis(settings: Settings) -> Finding:
    return _server("Redis", "REDIS_URL", settings.redis_url, 6379, "shared rate limits")


def _amqp(settings: Settings) -> Finding:
    return _server("AMQP", "AMQP_URL", settings.amqp_url, 5672, "lifecycle events and jobs")


def _server(name: str, setting: str, url: SecretStr | None, port: int, use: str) -> Finding:
    if url is None:
        return Finding(name, "optional", advice=f"set {setting} for {use}")
    parts = urlsplit(url.get_secret_value())
    where = f"{parts.hostname}:{parts.port or port}"
    try:
        address = (parts.hostname or "", parts.port or port)
        socket.create_connection(address, timeout=_CONNECT_TIMEOUT).close()
    except OSError as error:
        return Finding(name, "missing", where, advice=f"{error.strerror or error}: check {setting}")
    return Finding(name, "ok", where, "configured, accepts connections")


def _stores(settings: Settings) -> list[Finding]:
    reports = asyncio.run(examine_stores(settings))
    return [
        Finding(
            _STORES[report.setting],
            "missing" if report.problem else "ok",
            report.where,
            report.found,
            f"{report.setting} cannot be used: {report.problem} {report.remedy}"
            if report.problem
            else "",
        )
        for report in reports
    ]


_STORES: Final = {"SEGMENT_STORE": "Segment store", "CLIP_STORE": "Clip store"}


def _first_line(*argv: str) -> str:
    try:
        answer = subprocess.run(
            argv, capture_output=True, text=True, timeout=_PROBE_TIMEOUT, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {type(error).__name__}"
    return (answer.stdout or answer.stderr).partition("\n")[0].strip()


_GEMINI_TIMEOUT: Final = 5.0
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
        listed = await client.models(within=_GEMINI_TIMEOUT)
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
    """Do the same with a temporary client.

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
