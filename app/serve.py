"""`highlights serve`: runs the API in uvicorn, with problem documents for unreadable requests."""

from __future__ import annotations

import gc
import secrets
from http import HTTPStatus
from typing import Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.app import create_app
from api.errors.problems import MEDIA_TYPE, HeadersTooLargeProblem, OtherHttpProblem, Problem
from api.middleware.request_context import HEADER
from app.container import Container
from infra.settings import Settings
from infra.telemetry.metrics import serve_metrics

MAX_HEAD_BYTES: Final = 64 << 10
"""Of a request's line and headers. The application refuses less; this bounds what is kept of a
request whose headers never end."""


class ProblemProtocol(HttpToolsProtocol):
    """Answers unreadable requests as the API answers everything else, then closes."""

    _head = 0
    _reads_head = True
    _ended = False

    def data_received(self, data: bytes) -> None:
        """Parse what has come; refuse headers without an end.

        Data with the end of a request does not count: most of it may be that request's body.
        """
        self._ended = False
        super().data_received(data)
        if self._reads_head and not self._ended and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES:
                self._refuse(HeadersTooLargeProblem())

    def on_message_begin(self) -> None:
        """Count the head of the next request."""
        self._head, self._reads_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting."""
        self._reads_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count whatever follows as the head of the next request."""
        super().on_message_complete()
        self._head, self._reads_head, self._ended = 0, True, True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Refuse what is no HTTP."""
        self._refuse(OtherHttpProblem())

    def _refuse(self, problem: Problem) -> None:
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.close()  # an answer is on its way: a second one would be part of it
            return
        request_id = f"req_{secrets.token_hex(12)}"
        body = problem.document(request_id).model_dump_json(exclude_none=True).encode()
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"{HEADER.lower()}: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


_SHUTDOWN_TIMEOUT: Final = 5


_COLLECT_AFTER: Final = 20_000
"""Objects made and not yet freed, before the collector looks at them."""


def run_api(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; requests under way have 5 seconds to finish."""
    with serve_metrics(settings.metrics_address):
        serve(build_app(settings), host=settings.api_host, port=settings.api_port)


def build_app(settings: Settings) -> FastAPI:
    """Return the API with services built from `settings`, which it closes when it stops.

    Raises:
        NotConfiguredError: no database is set.
        InvalidProfilesError: a game profile is wrong.
    """
    container = Container(settings)
    return create_app(container.services, close=container.close)


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
        proxy_headers=False,  # TRUSTED_PROXIES has the trusted ones (api/auth.py)
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
