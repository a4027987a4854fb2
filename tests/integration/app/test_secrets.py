"""With every secret set to a marked value and every server refusing, no mark is ever seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from pathlib import Path
from traceback import format_exception

import pytest
import structlog
from pydantic import SecretStr

from app.doctor import examine
from infra.amqp import stay_connected
from infra.db.engine import Database
from infra.encryption import ManagementKey
from infra.gemini import GeminiClient, GeminiError, GeminiOptions
from infra.hms_api import HmsApi, HmsApiError
from infra.rate_limit import Limit, RateLimitBucket, RateLimiter
from infra.redaction import redact
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.telemetry import logs
from infra.temporal.client import connect
from infra.webhooks.sender import WebhookSender
from tests.fakes.gemini import FakeGemini
from tests.fakes.redis_server import RedisServer

MARK = "mark-7f3a"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


async def test_no_adapter_shows_a_secret(
    redis_server: RedisServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with FakeGemini() as fake_gemini:
        settings = Settings.model_validate(
            {
                "gemini_api_key": f"AIza-{MARK}\n",
                "gemini_base_url": fake_gemini.url,
                "database_url": f"postgresql+asyncpg://u:{MARK}@127.0.0.1:1/d",
                "redis_url": redis_server.url.replace("://", f"://u:{MARK}@"),
                "amqp_url": f"amqp://u:{MARK}@127.0.0.1:1/",
                "temporal_address": "127.0.0.1:1",
                "temporal_api_key": MARK,
                "signing_secret": MARK * 4,
                "segment_store": str(tmp_path),
                "clip_store": str(tmp_path),
                "log_format": "json",
            }
        )
        logs.configure(settings, component="test")
        seen = await asyncio.gather(*_provoke(settings), return_exceptions=True)
        findings = await asyncio.to_thread(examine, settings)
    shown = [redact("".join(format_exception(e))) for e in seen if isinstance(e, BaseException)]
    written = capsys.readouterr().err
    assert len(shown) == 4
    assert "broker_lost" in written
    assert "rate limits are away" in written
    assert MARK not in written
    assert MARK not in str(findings)
    assert MARK not in "".join(shown)
    assert not any(MARK in str(each) for each in seen)


def _provoke(settings: Settings) -> list[Awaitable[object]]:
    return [
        _gemini(settings),
        Database(plain(settings.database_url), pool_size=1).ping(),
        _limits(plain(settings.redis_url)),
        _broker(plain(settings.amqp_url)),
        connect(settings),
        _hms(),
        _webhook(),
    ]


async def _gemini(settings: Settings) -> None:
    client = GeminiClient(
        plain(settings.gemini_api_key), GeminiOptions(base_url=settings.gemini_base_url)
    )
    try:
        await client.models(within=5.0)
    except GeminiError:
        structlog.get_logger().exception("provoked")
        raise
    finally:
        await client.close()


async def _limits(url: str) -> None:
    limiter = RateLimiter(url, timeout=5.0)
    await limiter.take([RateLimitBucket(Limit(name="default", quota=1), "owner")], cost=1)
    await limiter.close()


async def _broker(url: str) -> None:
    async def work(_channel: object) -> None: ...

    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await stay_connected(url, work, name="events")


async def _hms() -> None:
    api = HmsApi("http://127.0.0.1:1")
    try:
        await api.live_streams(ManagementKey(access_key=MARK, secret=MARK.encode() * 4))
    except HmsApiError:
        structlog.get_logger().exception("provoked")
        raise
    finally:
        await api.close()


async def _webhook() -> None:
    guard = UrlGuard(allow_private=True)
    async with WebhookSender(guard, timeout=5.0, max_connections=1) as sender:
        answer = await sender.send(f"http://u:{MARK}@127.0.0.1:1/", "{}", {})
    structlog.get_logger().warning("answered", answer=str(answer))
