"""Whether Gemini answers, and whether it offers the configured models: for doctor and worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from domain.analysis.gemini.pricing import is_unavailable, model_warning
from infra.gemini import GeminiAccessError, GeminiClient, GeminiError, GeminiOptions
from infra.settings import Settings

WITHIN: Final = 5.0
"""Seconds that the service has to list its models."""

_log = structlog.get_logger(__name__)


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
