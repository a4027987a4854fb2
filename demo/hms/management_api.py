"""100ms's server API, as far as it is about live streams: list, look, stop, mark, replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.hms.beam import Beam, StreamState
from demo.hms.management import Keys, TokenRefusedError, verify
from demo.hms.webhooks import WebhookSender

#: Whose id a listed stream has. 100ms's documents called it the job's before they called it the
#: stream's; that it is the beam's is what some clients take it for.
ListedId = Literal["job", "beam"]

_DEFAULT_LIMIT: Final = 10
_MOST: Final = 100
_LONGEST_PAYLOAD: Final = 100
#: The replay API does not cover them, which is why one has to reconcile.
_NEVER_REPLAYED: Final = frozenset({"hls.started.success", "hls.stopped.success", "hls.failure"})

_Handler = Callable[[Request], Awaitable[Response]]


class Workspace(Protocol):
    """What the API is about."""

    keys: Keys
    sender: WebhookSender

    @property
    def listed_id(self) -> ListedId:
        """Whose id a listed stream has."""

    @property
    def beams(self) -> Sequence[Beam]:
        """All beams there ever were, oldest first."""


def management_api(workspace: Workspace) -> Starlette:
    """Return the API as an application; every request needs a management token."""
    api = _Api(workspace)
    streams = "/v2/live-streams"

    def route(path: str, handler: _Handler, method: str = "GET") -> Route:
        async def verified(request: Request) -> Response:
            verify(request.headers.get("authorization"), workspace.keys)
            return await handler(request)

        return Route(path, verified, methods=[method])

    return Starlette(
        routes=[
            route(streams, api.list_streams),
            route(f"{streams}/{{id}}", api.get_stream),
            route(f"{streams}/{{id}}/stop", api.stop_stream, "POST"),
            route(f"{streams}/{{id}}/timed-metadata", api.send_metadata, "POST"),
            route(f"{streams}/room/{{room_id}}/stop", api.stop_room, "POST"),
            route("/v2/analytics/webhooks/replay", api.replay, "POST"),
        ],
        exception_handlers={
            TokenRefusedError: _answering(401),
            LookupError: _answering(404),
            ValueError: _answering(400),
        },
    )


class _Api:
    """The request handlers.

    Raises (all of them):
        LookupError: there is no such stream.
        ValueError: the request cannot be read.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def list_streams(self, request: Request) -> Response:
        query = request.query_params
        limit = min(max(int(query.get("limit", _DEFAULT_LIMIT)), 1), _MOST)
        if "status" in query:
            StreamState(query["status"])
        found = [self._described(beam) for beam in reversed(self._workspace.beams)]
        for name in ("room_id", "session_id", "status"):
            found = [stream for stream in found if query.get(name, stream[name]) == stream[name]]
        ids = [stream["id"] for stream in found]
        first = ids.index(query["start"]) + 1 if "start" in query else 0
        page = found[first : first + limit]
        last = page[-1]["id"] if page else query.get("start", "")
        return JSONResponse({"limit": limit, "data": page, "last": last})

    async def get_stream(self, request: Request) -> Response:
        return JSONResponse(self._described(self._beam(request)))

    async def stop_stream(self, request: Request) -> Response:
        beam = self._beam(request)
        await beam.stop()
        return JSONResponse(self._described(beam))

    async def stop_room(self, request: Request) -> Response:
        room = request.path_params["room_id"]
        running = [
            beam
            for beam in self._workspace.beams
            if beam.room_id == room and beam.state is StreamState.RUNNING
        ]
        for beam in running:
            await beam.stop()
        stopped = [self._described(beam) for beam in running]
        last = stopped[-1]["id"] if stopped else ""
        return JSONResponse({"limit": _DEFAULT_LIMIT, "data": stopped, "last": last})

    async def send_metadata(self, request: Request) -> Response:
        beam = self._beam(request)
        wanted = await request.json()
        payload, duration = str(wanted.get("payload", "")), float(wanted.get("duration", 0))
        if not 0 < len(payload) <= _LONGEST_PAYLOAD:
            raise ValueError(f"A payload has 1 to {_LONGEST_PAYLOAD} characters.")
        if beam.state is not StreamState.RUNNING:
            raise ValueError("The live stream is not running.")
        beam.mark(payload, duration=duration)
        return JSONResponse(self._described(beam))

    async def replay(self, request: Request) -> Response:
        wanted: dict[str, Any] = await request.json()
        now = datetime.now(UTC)
        since = _time(wanted.get("start_time"), default=now - timedelta(days=1))
        until = _time(wanted.get("end_time"), default=now)
        names = set(wanted.get("event_names", ()))
        status = wanted.get("status", "failed")
        sender = self._workspace.sender
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

    def _beam(self, request: Request) -> Beam:
        identity = request.path_params["id"]
        for beam in self._workspace.beams:
            if self._id(beam) == identity:
                return beam
        raise LookupError(f"There is no live stream {identity}.")

    def _id(self, beam: Beam) -> str:
        return beam.job_id if self._workspace.listed_id == "job" else beam.id

    def _described(self, beam: Beam) -> dict[str, Any]:
        return beam.as_live_stream(self._id(beam))


def _time(text: str | None, *, default: datetime) -> datetime:
    return default if text is None else datetime.fromisoformat(text)


def _answering(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_request: Request, error: Exception) -> Response:
        return JSONResponse({"code": status, "message": str(error)}, status_code=status)

    return answer
