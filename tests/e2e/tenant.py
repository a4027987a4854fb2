"""The public API as a tenant's program sees it, with the answers checked against its models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import httpx

from api.highlights.schemas import HighlightModel
from api.streams.schemas import StreamDetail
from domain.streams.status import TERMINAL

_LOOK_INTERVAL: Final = 0.05


class Tenant:
    """A client of one installation with one tenant's key."""

    def __init__(self, api_url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=api_url, headers={"Authorization": f"Bearer {api_key}"}, timeout=30.0
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ask_to_analyze(self, url: str, **options: float) -> httpx.Response:
        """Ask for the analysis of a stream and return whatever is answered."""
        body = {"url": url, "game": "soccer", "options": options}
        return await self._http.post("/v1/streams/analyze", json=body)

    async def analyze(self, url: str, **options: float) -> str:
        """Start the analysis of a stream and return its id."""
        response = await self.ask_to_analyze(url, **options)
        assert response.status_code == httpx.codes.CREATED, response.text
        return str(response.json()["id"])

    async def stream(self, stream_id: str) -> StreamDetail:
        """Read a stream."""
        response = await self._http.get(f"/v1/streams/{stream_id}")
        return StreamDetail.model_validate_json(response.raise_for_status().content)

    async def highlights(self, stream_id: str) -> list[HighlightModel]:
        """Read the first hundred highlights of a stream, in order of their peaks."""
        response = await self._http.get(
            "/v1/highlights/list", params={"stream_id": stream_id, "limit": 100}
        )
        page = response.raise_for_status().json()
        assert page["next_cursor"] is None
        found = [HighlightModel.model_validate(item) for item in page["data"]]
        return sorted(found, key=lambda highlight: highlight.peak)

    async def send_events(
        self, stream_id: str, events: list[dict[str, Any]], *, key: str
    ) -> list[dict[str, Any]]:
        """Send events of a feed until they are answered, as a client does whose API dies."""
        while True:
            with suppress(httpx.TransportError):
                response = await self._http.post(
                    f"/v1/streams/{stream_id}/events",
                    json={"events": events},
                    headers={"Idempotency-Key": key},
                )
                if response.status_code == httpx.codes.ACCEPTED:
                    answered: list[dict[str, Any]] = response.json()["data"]
                    return answered
                # In progress, or away: all else is a failure.
                assert response.status_code in {409, 500, 502, 503}, response.text
            await asyncio.sleep(_LOOK_INTERVAL)

    async def feed_events(self, stream_id: str) -> list[dict[str, Any]]:
        """Read all events of a stream's feed."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": 100} | ({} if cursor is None else {"cursor": cursor})
            response = await self._http.get(f"/v1/streams/{stream_id}/feed-events", params=query)
            page = response.raise_for_status().json()
            found += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def connect(self, **request: object) -> dict[str, Any]:
        """Make a connection for a 100ms workspace; return it with its secrets."""
        response = await self._http.post("/v1/connections", json={"name": "Cup", **request})
        assert response.status_code == httpx.codes.CREATED, response.text
        connection: dict[str, Any] = response.json()
        return connection

    async def connections(self, name: str) -> list[str]:
        """Return the ids of the connections of a name."""
        found = (await self._http.get("/v1/connections")).raise_for_status().json()["data"]
        return [each["id"] for each in found if each["name"] == name]

    async def disconnect(self, connection_id: str) -> None:
        """Delete a connection."""
        (await self._http.delete(f"/v1/connections/{connection_id}")).raise_for_status()

    async def events(self, connection_id: str) -> list[dict[str, Any]]:
        """Read what 100ms told through a connection and what came of it, the newest first."""
        response = await self._http.get(
            f"/v1/connections/{connection_id}/events", params={"limit": 100}
        )
        found: list[dict[str, Any]] = response.raise_for_status().json()["data"]
        return found

    async def outcomes(self, connection_id: str) -> dict[str, list[str | None]]:
        """Return what came of the events of each type; None where that is not known yet."""
        found: dict[str, list[str | None]] = {}
        for each in await self.events(connection_id):
            found.setdefault(each["type"], []).append(each["outcome"])
        return found

    async def export(self, stream_id: str) -> str:
        """Export all clips of a stream as a batch, and return its id."""
        body = {"filter": {"stream_id": stream_id}, "renditions": [{"format": "mp4"}]}
        response = await self._http.post("/v1/export-batches", json=body)
        assert response.status_code == httpx.codes.CREATED, response.text
        return str(response.json()["id"])

    async def export_batch(self, batch_id: str) -> dict[str, Any]:
        """Read a batch of exports."""
        response = await self._http.get(f"/v1/export-batches/{batch_id}")
        found: dict[str, Any] = response.raise_for_status().json()
        return found

    async def resume_export(self, batch_id: str) -> None:
        """Cancel a batch of exports and resume it."""
        for action in ("cancel", "resume"):
            response = await self._http.post(f"/v1/export-batches/{batch_id}/{action}")
            response.raise_for_status()

    async def subscribe(self, url: str) -> str:
        """Have all events sent to a URL; return the secret that they are signed with."""
        response = await self._http.post("/v1/webhooks/subscribe", json={"url": url})
        assert response.status_code == httpx.codes.CREATED, response.text
        return str(response.json()["secret"])

    async def unsubscribe(self) -> None:
        """Delete all webhook endpoints, and with them their deliveries."""
        response = (await self._http.get("/v1/webhooks")).raise_for_status()
        for each in response.json()["data"]:
            (await self._http.delete(f"/v1/webhooks/{each['id']}")).raise_for_status()

    async def deliveries(self, **query: str) -> list[dict[str, Any]]:
        """Read deliveries to the endpoints that there are, the newest hundred of each."""
        found: list[dict[str, Any]] = []
        for each in (await self._http.get("/v1/webhooks")).raise_for_status().json()["data"]:
            response = await self._http.get(
                f"/v1/webhooks/{each['id']}/deliveries", params={"limit": "100", **query}
            )
            found += response.raise_for_status().json()["data"]
        return found

    async def until_a_clip_is_wanted(self, stream_id: str, *, seconds: float) -> None:
        """Wait until the first clip of a stream is being made."""
        async with asyncio.timeout(seconds):
            while True:
                if any(highlight.clip for highlight in await self.highlights(stream_id)):
                    return
                await asyncio.sleep(_LOOK_INTERVAL)

    async def download(self, url: str) -> bytes:
        """Fetch a clip by its signed URL."""
        return (await self._http.get(url)).raise_for_status().content

    async def until_over(self, stream_id: str, *, seconds: float) -> StreamDetail:
        """Wait until a stream has ended."""
        return await self.until(stream_id, lambda stream: stream.status in TERMINAL, seconds)

    async def until(
        self, stream_id: str, true: Callable[[StreamDetail], bool], seconds: float
    ) -> StreamDetail:
        """Wait until something is true of a stream."""
        async with asyncio.timeout(seconds):
            while True:
                stream = await self.stream(stream_id)
                if true(stream):
                    return stream
                await asyncio.sleep(_LOOK_INTERVAL)
