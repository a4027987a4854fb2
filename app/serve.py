"""`highlights serve`: the API in uvicorn."""

from __future__ import annotations

from typing import Final

import uvicorn
from fastapi import FastAPI

from api.application import create_app
from infra.settings import Settings

_SHUTDOWN_TIMEOUT: Final = 5


def run_api(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have 5 seconds to finish."""
    serve(create_app(settings), host=settings.api_host, port=settings.api_port)


def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Serve an application until SIGINT or SIGTERM."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # TRUSTED_PROXIES says whom to believe (api/client_address.py)
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )
