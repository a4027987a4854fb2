"""What an operation of the API is, and what one call of it sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pydantic_core
from pydantic import TypeAdapter, ValidationError

from tldrtv_highlights.errors import UnexpectedAnswerError, error_of

T = TypeVar("T")
_PART: Final = 1 << 20
SUCCESSFUL: Final = frozenset({200, 201, 202, 204})
Identity = str | UUID


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""What is not to be changed, where `None` would mean to clear it."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What one call sends; values of `query` that are None are left out.

    The body is JSON, or the bytes of `file`.
    """

    path: Mapping[str, Identity] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Endpoint(Generic[T]):
    """An operation of the API.

    Args:
        route: its method and path, such as `GET /v1/streams/{stream_id}`.
        answer: the type of the answer's body; `None` where it has none, `bytes` of a file.
        creates: whether it takes an `Idempotency-Key`, so that it can be repeated.
        repeatable: whether a second request does nothing that the first has not done.
        statuses: those that carry an answer.
    """

    route: str
    answer: type[T]
    _: KW_ONLY
    creates: bool = False
    repeatable: bool = True
    statuses: frozenset[int] = SUCCESSFUL

    @property
    def method(self) -> str:
        """HTTP's method."""
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        """A template such as `/v1/streams/{stream_id}`."""
        return self.route.partition(" ")[2]

    def request(self, http: httpx.Client | httpx.AsyncClient, sent: Sent) -> httpx.Request:
        """Return the request of one call, the same for all its repetitions."""
        names = {name: quote(str(value), safe="") for name, value in sent.path.items()}
        headers = {"Accept": "application/json", **sent.headers}
        if self.creates:
            headers.setdefault("Idempotency-Key", str(uuid4()))
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None
        if sent.file is not None:
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Length"] = str(sent.file.stat().st_size)
            is_async = isinstance(http, httpx.AsyncClient)
            content = AsyncFileBody(sent.file) if is_async else FileBody(sent.file)
        if sent.body is not None:
            content = pydantic_core.to_json(dict(sent.body))
            headers["Content-Type"] = "application/json"
        return http.build_request(
            self.method,
            self.path.format_map(names),
            params={
                name: _as_query(value) for name, value in sent.query.items() if value is not None
            },
            content=content,
            headers=headers,
        )

    def parse(self, response: httpx.Response) -> T:
        """Return what the answer says.

        Raises:
            ApiError: it is a refusal.
            UnexpectedAnswerError: it is neither that nor what the document promises.
        """
        if response.status_code not in self.statuses:
            raise error_of(response)
        if self.answer is type(None):
            return None
        if self.answer is bytes:
            return cast("T", response.content)
        try:
            return self._adapter.validate_json(response.content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "body"
            # Without what stood there, and without the cause, which tells it: it may be a secret.
            raise UnexpectedAnswerError(
                f"{self.method} {response.url.path} was answered with {response.status_code} and a "
                f"body that is no {self.answer.__name__} ({place}: {first['msg']}); check the "
                "API's address and whether a newer version of this package is to be had."
            ) from None

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.answer)


@dataclass(frozen=True)
class FileBody:
    """The bytes of a file, which is opened again for each repetition of a request."""

    path: Path

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while part := file.read(_PART):
                yield part


@dataclass(frozen=True)
class AsyncFileBody:
    """The same for asyncio; the file is read in threads."""

    path: Path

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with await asyncio.to_thread(self.path.open, "rb") as file:
            while part := await asyncio.to_thread(file.read, _PART):
                yield part


def given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def changed(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the fields that are set, those set to None included."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def keyed(idempotency_key: str | None) -> dict[str, str]:
    """Return the header of the caller's own idempotency key, if there is one."""
    return {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}


def _as_query(value: Any) -> Any:  # noqa: ANN401 - whatever httpx takes
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_as_query(each) for each in value]
    return str(value) if isinstance(value, UUID) else value
