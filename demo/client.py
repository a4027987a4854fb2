"""The Highlight API as a tenant's program uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from demo.errors import ApiError

_TERMINAL = frozenset({"completed", "failed", "cancelled"})
_SETTLED = frozenset({"ready", "failed", "deleted"})
_PAGE = 100


class _Answer(BaseModel):
    """Part of a response; fields that we do not need are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StreamEnd(_Answer):
    """Why a stream ended."""

    reason: str
    message: str = ""


class Stream(_Answer):
    """A stream's state; positions in seconds of media time."""

    id: str
    status: str
    position: float = 0.0
    analyzed: float = 0.0
    segments: int = 0
    missed: int = 0
    end: StreamEnd | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in _TERMINAL


class Clip(_Answer):
    """A clip's state; bounds in seconds of media time."""

    id: str
    status: str
    start: float
    end: float
    url: str | None = None
    ready_at: AwareDatetime | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _SETTLED


class Reason(_Answer):
    """Why it was chosen."""

    code: str
    words: str = ""


class Evidence(_Answer):
    """A signal that speaks for the moment; `strength` in deviations from the stream's usual."""

    words: str
    strength: float = 0.0


class Highlight(_Answer):
    """A moment; times in seconds of media time."""

    id: str
    status: str
    start: float
    peak: float
    end: float
    score: float
    tier: str = ""
    dimensions: dict[str, float] = Field(default_factory=dict)
    title: str = ""
    tags: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    clip: Clip | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it stands (a pending one may still be retracted)."""
        return self.status in {"pending", "confirmed"}


class HighlightsApi:
    """A client of one installation.

    Args:
        base_url: where the API is.
        api_key: the tenant's key.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=30.0,
            transport=httpx.AsyncHTTPTransport(retries=2),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def analyze(self, url: str, *, game: str | None, title: str) -> str:
        """Start the analysis of a live stream and return the stream's id."""
        body = {"url": url, "title": title} | ({"game": game} if game else {})
        response = await self._http.post(
            "/v1/streams/analyze", json=body, headers={"Idempotency-Key": str(uuid4())}
        )
        return str(_checked(response)["id"])

    async def stream(self, stream_id: str) -> Stream:
        """Read a stream's state."""
        return Stream.model_validate(_checked(await self._http.get(f"/v1/streams/{stream_id}")))

    async def highlights(self, stream_id: str) -> list[Highlight]:
        """Read all highlights of a stream, in order of their peaks."""
        found: list[Highlight] = []
        parameters: dict[str, str | int] = {"stream_id": stream_id, "limit": _PAGE}
        while True:
            response = await self._http.get("/v1/highlights/list", params=parameters)
            page = _checked(response)
            found += [Highlight.model_validate(item) for item in page["data"]]
            cursor = page.get("next_cursor")
            if not cursor:
                return sorted(found, key=lambda highlight: highlight.peak)
            parameters["cursor"] = cursor

    async def download(self, url: str, path: Path) -> None:
        """Fetch a clip by its signed address, whole or not at all."""
        unfinished = path.with_suffix(".part")
        async with self._http.stream("GET", url) as response:
            if response.is_error:
                await response.aread()
                _checked(response)
            with unfinished.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
        unfinished.replace(path)


def _checked(response: httpx.Response) -> dict[str, Any]:
    if response.is_success:
        content: dict[str, Any] = response.json()
        return content
    try:
        problem = response.json()
        detail = problem.get("detail") or problem.get("title")
    except ValueError:
        detail = response.text[:300]
    request = response.request
    raise ApiError(f"{request.method} {request.url.path} answered {response.status_code}: {detail}")
