"""The HTTP side of the simulator: the management API, recordings, and every beam's HLS."""

from __future__ import annotations

from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.hms.management_api import Workspace, management_api
from demo.hms.recording import Presigner, Recording

_NOT_FOUND: Final = PlainTextResponse("404\n", status_code=404)


class World(Workspace, Protocol):
    """What is served."""

    presigner: Presigner

    def recording(self, beam_id: str) -> Recording | None:
        """The recording of a beam, if there is one."""

    def playing_at(self, path: str) -> tuple[ASGIApp, str] | None:
        """The application that serves an HLS path, and the path as that application knows it."""


class Server:
    """An ASGI application of all that 100ms and its CDN would serve."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._management = management_api(world)
        self._storage = Starlette(routes=[Route("/recordings/{beam_id}/{path:path}", self._read)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"].startswith("/v2/"):
            await self._management(scope, receive, send)
            return
        if scope["path"].startswith("/recordings/"):
            await self._storage(scope, receive, send)
            return
        found = self._world.playing_at(scope["path"])
        if found is None:
            await _NOT_FOUND(scope, receive, send)
            return
        app, path = found
        await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    async def _read(self, request: Request) -> Response:
        recording = self._world.recording(request.path_params["beam_id"])
        path = request.path_params["path"]
        if recording is None:
            return _NOT_FOUND
        if path == recording.entrance and not self._world.presigner.opens(
            request.url.path, dict(request.query_params)
        ):
            return PlainTextResponse("Request has expired\n", status_code=403)
        found = recording.read(path)
        return _NOT_FOUND if found is None else Response(found[0], media_type=found[1])
