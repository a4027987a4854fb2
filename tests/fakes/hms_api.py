"""The live-streams list of 100ms's management API, over real HTTP."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.factories.hms import URL

MANAGEMENT_ACCESS_KEY = "access"
MANAGEMENT_SECRET = "m" * 40


class FakeHmsApi:
    """A server while its block runs.

    Attributes:
        streams: the live streams that it lists.
        refusals: responses to the next requests, instead of the list.
        url: the base URL.
    """

    def __init__(self) -> None:
        self.streams: list[dict[str, Any]] = []
        self.refusals: list[Response] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app = Starlette(routes=[Route("/v2/live-streams", self._list_streams)])
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def add(self, beam: str, status: str, **over: object) -> None:
        """List one more stream, started five minutes ago unless `over` says otherwise."""
        self.streams.append(
            {
                "id": beam,
                "room_id": "room",
                "session_id": f"session-{beam}",
                "status": status,
                "playback": {"url": URL},
                "started_at": (datetime.now(UTC) - timedelta(minutes=5)).isoformat(),
                "stopped_at": None,
                **over,
            }
        )

    async def _list_streams(self, request: Request) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            return Response(status_code=401)
        claims = jwt.decode(token, MANAGEMENT_SECRET, ["HS256"])
        if claims["type"] != "management" or claims["access_key"] != MANAGEMENT_ACCESS_KEY:
            return Response(status_code=401)
        if self.refusals:
            return self.refusals.pop(0)
        return JSONResponse({"limit": 100, "data": self.streams, "last": None})
