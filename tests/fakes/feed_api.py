"""The operation that takes feed events, over real HTTP; it checks them as the API does."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, Self

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.feed.models import MOST_BATCH_BYTES, FeedBatch, FeedEvent

KEY = "hl_test_feed"


class FakeFeedApi:
    """A server while its block runs.

    Attributes:
        refusals: responses to the next requests, instead of storing.
        lose: how many of the next requests are stored and then answered with 502.
        batches: batches that were stored, in order; a repeated Idempotency-Key stores nothing.
        keys: Idempotency-Keys of all requests, in order.
        url: the base URL.
    """

    def __init__(self) -> None:
        self.refusals: list[Response] = []
        self.lose = 0
        self.batches: list[list[FeedEvent]] = []
        self.keys: list[str] = []
        self._answers: dict[str, list[dict[str, Any]]] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        route = Route("/v1/streams/{stream_id:uuid}/events", self._store, methods=["POST"])
        self._server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=[route]), log_config=None, lifespan="off")
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    @property
    def events(self) -> list[FeedEvent]:
        """All stored events, in order."""
        return [event for batch in self.batches for event in batch]

    async def _store(self, request: Request) -> Response:
        key = request.headers["Idempotency-Key"]
        self.keys.append(key)
        if self.refusals:
            return self.refusals.pop(0)
        if request.headers["Authorization"] != f"Bearer {KEY}":
            return problem(401, "The API key is not valid.")
        body = await request.body()
        if len(body) > MOST_BATCH_BYTES:
            return problem(413, "The body is too large.")
        if key not in self._answers:
            try:
                batch = FeedBatch.model_validate_json(body, strict=True)
            except ValidationError as error:
                return problem(422, "The request is invalid.", json.loads(error.json()))
            self.batches.append(list(batch.events))
            self._answers[key] = [{"id": e.id, "outcome": "waiting"} for e in batch.latest()]
        if self.lose:
            self.lose -= 1
            return problem(502, "The answer was lost.")
        return JSONResponse({"data": self._answers[key]}, status_code=202)


def problem(
    status: int,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    *,
    retry_after: int | None = None,
) -> JSONResponse:
    """Return an error as the API describes it."""
    fields = [
        {"pointer": "/" + "/".join(map(str, each["loc"])), "detail": each["msg"]}
        for each in errors or ()
    ]
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"detail": detail, "errors": fields}, status_code=status, headers=headers)
