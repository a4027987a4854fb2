"""`highlights serve`: the API in uvicorn."""

from __future__ import annotations

import gc
from typing import Final

import uvicorn
from fastapi import FastAPI

from api.application import create_app
from app.http_protocol import ProblemProtocol
from infra.settings import Settings

_SHUTDOWN_TIMEOUT: Final = 5
_COLLECT_AFTER: Final = 20_000
"""Objects made and not yet freed, before the collector looks at them."""


def run_api(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have 5 seconds to finish."""
    serve(create_app(settings), host=settings.api_host, port=settings.api_port)


def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Serve an application until SIGINT or SIGTERM."""
    _settle()
    uvicorn.run(
        app,
        host=host,
        port=port,
        http=ProblemProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # TRUSTED_PROXIES says whom to believe (api/client_address.py)
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )


def _settle() -> None:
    """Spare the garbage collector what stays for good: code, routes, models and profiles.

    Requests leave hardly any cycles, but a page makes thousands of objects, and by default each
    700 start a collection, every hundredth of which walks through everything there is.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
