"""100ms as it sends: a connection of a tenant, and events posted to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx

from domain.hms.admission import SIGNATURE_HEADER, sign
from domain.hms.effects import beam_stream_id
from domain.ids import stream_workflow_id
from tests.factories.hms import body
from tests.integration.api.conftest import Account

PROCESSING_LIMIT = 60.0
OPEN = {"source": False, "secret_header": True, "signature": False}


@dataclass
class Sender:
    """A 100ms workspace that knows the secrets of its connection; each has a room of its own.

    Attributes:
        has_worker: events are processed by a worker, for which what is read here waits.
    """

    account: Account
    connection: dict[str, Any]
    has_worker: bool = False
    room: str = field(default_factory=lambda: f"room-{uuid4().hex}")
    session: str = field(default_factory=lambda: f"session-{uuid4().hex}")

    @property
    def id(self) -> UUID:
        return UUID(self.connection["id"])

    @property
    def secrets(self) -> dict[str, str]:
        shown: dict[str, str] = self.connection["secrets"]
        return shown

    def event(self, kind: str, beam: str | None = "beam-1", **over: object) -> bytes:
        """An event of this room, with an id of its own unless `over` has one."""
        data = {"room_id": self.room, "session_id": self.session, "beam_id": beam}
        given = over.pop("data", {})
        assert isinstance(given, dict)
        return body(kind, {**data, **given}, **{"id": str(uuid4()), **over})

    def headers(self, raw: bytes, *, signed: bool = False) -> dict[str, str]:
        found = {self.secrets["header_name"]: self.secrets["header_value"]}
        if signed:
            found[SIGNATURE_HEADER] = sign(raw, self.secrets["signing_secret"].encode())
        return found

    async def post(
        self,
        raw: bytes,
        *,
        headers: dict[str, str] | None = None,
        path: str | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> httpx.Response:
        return await (client or self.account.http).post(
            path or f"/v1/webhooks/100ms/{self.id}",
            content=raw,
            headers={
                "Authorization": "",
                "Content-Type": "application/json",
                **(self.headers(raw) if headers is None else headers),
            },
        )

    async def post_until_received(self, raw: bytes) -> httpx.Response:
        """Post like 100ms, which tries an event four times when the answer is not 200."""
        for attempt in range(4):
            answer = await self.post(raw)
            if answer.status_code == httpx.codes.OK:
                break
            await asyncio.sleep(0.1 * 2**attempt)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer

    async def send(self, kind: str, beam: str | None = "beam-1", **over: object) -> httpx.Response:
        answer = await self.post(self.event(kind, beam, **over))
        await self.processed()
        return answer

    async def processed(self) -> None:
        """Wait until every event so far has been processed, if there is a worker."""
        if not self.has_worker:
            return
        async with asyncio.timeout(PROCESSING_LIMIT):
            while True:
                if None not in await self.outcomes_so_far():
                    return
                await asyncio.sleep(0.02)

    def stream_id(self, beam: str = "beam-1") -> UUID:
        return beam_stream_id(
            tenant_id=self.account.tenant_id, connection_id=self.id, key=f"beam:{beam}"
        )

    def workflow_id(self, beam: str = "beam-1") -> str:
        return stream_workflow_id(tenant_id=self.account.tenant_id, stream_id=self.stream_id(beam))

    async def outcomes(self) -> list[str]:
        """The outcomes of all events, oldest first."""
        await self.processed()
        return await self.outcomes_so_far()

    async def outcomes_so_far(self) -> list[str]:
        """The outcomes of all events, oldest first; None for one that is not processed yet."""
        return [each["outcome"] for each in reversed(await self._events())]

    async def events(self) -> list[dict[str, Any]]:
        """All events as the API lists them, newest first."""
        await self.processed()
        return await self._events()

    async def _events(self) -> list[dict[str, Any]]:
        answer = await self.account.http.get(f"/v1/connections/{self.id}/events?limit=100")
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    async def streams(self) -> list[dict[str, Any]]:
        """The tenant's streams, oldest first."""
        await self.processed()
        listed = (await self.account.http.get("/v1/streams?limit=100")).json()["data"]
        return list(reversed(listed))


async def connect(
    account: Account,
    *,
    checks: dict[str, Any] | None = None,
    has_worker: bool = False,
    **over: object,
) -> Sender:
    request = {"name": "Cup", "checks": OPEN if checks is None else checks, **over}
    response = await account.http.post("/v1/connections", json=request)
    assert response.status_code == 201, response.text
    return Sender(account, response.json(), has_worker=has_worker)
