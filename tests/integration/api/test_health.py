"""Health tells of this process; readiness of what it needs."""

from __future__ import annotations

import httpx
from pydantic import SecretStr
from sqlalchemy import text

from infra.db.engine import Database
from infra.settings import Settings
from tests.integration.api.conftest import Account, OpenClient

CLOSE_OTHERS = text("""
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
""")


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


async def test_requests_do_not_feel_that_the_database_closed_its_connections(
    account: Account, database: Database
) -> None:
    for path in ("/v1/highlights/list", "/readyz"):
        assert (await account.http.get(path)).status_code == 200
        async with database.session(account.tenant_id) as session:
            assert await session.scalar(CLOSE_OTHERS)
        assert (await account.http.get(path)).status_code == 200


async def test_the_documentation_needs_no_internet(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/assets/{asset}" in page.text
        assert (await anonymous.get(f"/docs/assets/{asset}")).status_code == 200
