"""How the API is served."""

from __future__ import annotations

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from app.serve import run_api
from infra.settings import Settings


def test_the_server_ignores_forwarded_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    believing: list[bool] = []

    def run(_app: FastAPI, *, proxy_headers: bool, **_others: object) -> None:
        believing.append(proxy_headers)

    monkeypatch.setattr(uvicorn, "run", run)
    run_api(
        Settings(
            database_url=SecretStr("postgresql://a@/b?host=/none"),
            signing_secret=SecretStr("s" * 32),
        )
    )
    assert believing == [False]
