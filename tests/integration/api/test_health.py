"""Health tells of this process; readiness of what it needs."""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from infra.settings import Settings
from tests.integration.api.conftest import OpenClient


async def test_ready_when_everything_answers(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/readyz")
    assert response.status_code == 200
    assert response.json()["ready"] is True


async def test_alive_but_not_ready_without_database_and_temporal(
    settings_without_temporal: Settings, open_client: OpenClient
) -> None:
    away = settings_without_temporal.model_copy(
        update={"database_url": SecretStr("postgresql://a@/b?host=/none")}
    )
    async with open_client(away) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        response = await client.get("/readyz")
    assert response.status_code == 503
    checks = response.json()["checks"]
    assert (checks["database"]["ok"], checks["temporal"]["ok"]) == (False, False)


async def test_the_documentation_needs_no_internet(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/assets/{asset}" in page.text
        assert (await anonymous.get(f"/docs/assets/{asset}")).status_code == 200
