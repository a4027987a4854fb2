"""An endpoint that receives the simulator's webhooks, and answers as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from demo.origin.server import bind, serving


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def type(self) -> str:
        return str(self.event["type"])


@dataclass
class Endpoint:
    """Answers each event type with the statuses given for it in turn, then with 200."""

    url: str = ""
    answers: dict[str, list[int]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        return [each.type for each in self.received]

    def of_type(self, kind: str) -> list[Received]:
        return [each for each in self.received if each.type == kind]

    def data(self, kind: str) -> dict[str, Any]:
        (only,) = self.of_type(kind)
        content: dict[str, Any] = only.event["data"]
        return content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        each = Received(headers=dict(request.headers), body=await request.body())
        self.received.append(each)
        await asyncio.sleep(0)
        statuses = self.answers.get(each.type, [])
        status = statuses.pop(0) if statuses else 200
        await Response(status_code=status)(scope, receive, send)


@asynccontextmanager
async def listening(answers: dict[str, list[int]] | None = None) -> AsyncIterator[Endpoint]:
    listener = bind("127.0.0.1", 0)
    endpoint = Endpoint(
        url=f"http://127.0.0.1:{listener.getsockname()[1]}/hooks", answers=answers or {}
    )
    async with serving(endpoint, listener):
        yield endpoint
