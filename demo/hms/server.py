"""The HTTP side of the simulator: the management API, recordings, and every beam's HLS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.hms.beam import Beam, StreamState
from demo.hms.management import Keys, TokenRefusedError, verify
from demo.hms.recording import Presigner, Recording
from demo.hms.webhooks import WebhookSender

_DEFAULT_LIMIT: Final = 10
_MOST: Final = 100
_NOT_FOUND: Final = PlainTextResponse("404\n", status_code=404)
#: The replay API does not cover them, which is why one has to reconcile.
_NEVER_REPLAYED: Final = frozenset({"hls.started.success", "hls.stopped.success", "hls.failure"})


class World(Protocol):
    """What is served."""

    keys: Keys
    presigner: Presigner
    sender: WebhookSender

    @property
    def beams(self) -> Sequence[Beam]:
        """All beams there ever were, oldest first."""

    def recording(self, beam_id: str) -> Recording | None:
        """The recording of a beam, if there is one."""

    def playing_at(self, path: str) -> tuple[ASGIApp, str] | None:
        """The application that serves an HLS path, and the path as that application knows it."""


class Server:
    """An ASGI application of all that 100ms and its CDN would serve."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._api = Starlette(
            routes=[
                Route("/v2/live-streams", self._live_streams),
                Route("/v2/analytics/webhooks/replay", self._replay, methods=["POST"]),
                Route("/recordings/{beam_id}/{path:path}", self._recording),
            ],
            exception_handlers={TokenRefusedError: _refused, ValueError: _unreadable},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"].startswith(("/v2/", "/recordings/")):
            await self._api(scope, receive, send)
            return
        found = self._world.playing_at(scope["path"])
        if found is None:
            await _NOT_FOUND(scope, receive, send)
            return
        app, path = found
        await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    async def _live_streams(self, request: Request) -> Response:
        verify(request.headers.get("authorization"), self._world.keys)
        query = request.query_params
        limit = min(max(int(query.get("limit", _DEFAULT_LIMIT)), 1), _MOST)
        if "status" in query:
            StreamState(query["status"])
        found = [beam.as_live_stream() for beam in reversed(self._world.beams)]
        for name in ("room_id", "session_id", "status"):
            found = [stream for stream in found if query.get(name, stream[name]) == stream[name]]
        ids = [stream["id"] for stream in found]
        first = ids.index(query["start"]) + 1 if "start" in query else 0
        page = found[first : first + limit]
        last = page[-1]["id"] if page else query.get("start", "")
        return JSONResponse({"limit": limit, "data": page, "last": last})

    async def _replay(self, request: Request) -> Response:
        verify(request.headers.get("authorization"), self._world.keys)
        wanted: dict[str, Any] = await request.json()
        now = datetime.now(UTC)
        since = _time(wanted.get("start_time"), default=now - timedelta(days=1))
        until = _time(wanted.get("end_time"), default=now)
        names = set(wanted.get("event_names", ()))
        status = wanted.get("status", "failed")
        sender = self._world.sender
        sender.replay(
            [
                event
                for event in sender.events
                if since <= event.at <= until
                and event.type not in _NEVER_REPLAYED
                and (not names or event.type in names)
                and wanted.get("room_id", event.room_id) == event.room_id
                and (status == "all" or sender.succeeded(event) == (status == "success"))
            ]
        )
        return JSONResponse({"workflow_id": "webhook-replay", "status": "started"})

    async def _recording(self, request: Request) -> Response:
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


def _time(text: str | None, *, default: datetime) -> datetime:
    return default if text is None else datetime.fromisoformat(text)


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"code": 401, "message": str(error)}, status_code=401)


async def _unreadable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"code": 400, "message": str(error)}, status_code=400)
