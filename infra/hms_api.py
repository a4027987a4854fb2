"""Client of 100ms's server-side API: the live streams of a workspace."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.hms.events import Identifier
from domain.hms.reconciliation import RemoteStream
from infra.encryption import ManagementKey
from infra.ssrf import no_cookies

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 20
"""Pages of the list that are read; it begins with the newest streams."""

_TOKEN_LIFE: Final = timedelta(minutes=10)
_CLOCK_SKEW: Final = timedelta(seconds=30)
_TIMEOUT: Final = httpx.Timeout(10.0)
_LONGEST_WAIT: Final = timedelta(minutes=5)


class HmsApiError(Exception):
    """The list of live streams could not be read.

    Attributes:
        retryable: whether a retry may help; not with wrong credentials.
        retry_after: how long 100ms asks to wait; None if it states none.
    """

    def __init__(
        self, message: str, *, retryable: bool, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class _Page(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: list[dict[str, Any]] = Field(default=[])
    last: Identifier = None


class HmsApi:
    """A client of 100ms's server-side API; close it after use.

    Args:
        base_url: `https://api.100ms.live`, or the simulator's.
        clock: the time in UTC.
    """

    def __init__(
        self, base_url: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock = clock
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=_TIMEOUT,
            follow_redirects=False,
            cookies=no_cookies(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def live_streams(self, key: ManagementKey) -> list[RemoteStream]:
        """Return the workspace's live streams, the newest first, over all pages of the list.

        Raises:
            HmsApiError: 100ms does not answer, refuses, or returns something else.
        """
        found: list[RemoteStream] = []
        start: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(key, start)
            found += [RemoteStream.model_validate(each) for each in page.data]
            if len(page.data) < PAGE_SIZE or page.last is None or page.last == start:
                break
            start = page.last
        return found

    async def _page(self, key: ManagementKey, start: str | None) -> _Page:
        query = {"limit": str(PAGE_SIZE)} | ({} if start is None else {"start": start})
        try:
            response = await self._http.get(
                "/v2/live-streams",
                params=query,
                headers={"Authorization": f"Bearer {management_token(key, now=self._clock())}"},
            )
        except httpx.HTTPError as error:
            message = f"100ms does not answer: {type(error).__name__}"
            raise HmsApiError(message, retryable=True) from error
        if response.status_code != httpx.codes.OK:
            raise self._refusal(response)
        try:
            return _Page.model_validate_json(response.content)
        except ValidationError as error:
            raise HmsApiError("100ms answered something else", retryable=True) from error

    def _refusal(self, response: httpx.Response) -> HmsApiError:
        status = response.status_code
        return HmsApiError(
            f"100ms answered with status {status}",
            retryable=status == httpx.codes.TOO_MANY_REQUESTS or status >= 500,  # noqa: PLR2004
            retry_after=_retry_after(response.headers.get("Retry-After"), self._clock()),
        )


def management_token(key: ManagementKey, *, now: datetime) -> str:
    """Return a management token of 100ms (JWT, HS256), good for ten minutes."""
    issued = now - _CLOCK_SKEW
    claims = {
        "access_key": key.access_key,
        "type": "management",
        "version": 2,
        "jti": str(uuid4()),
        "iat": int(issued.timestamp()),
        "nbf": int(issued.timestamp()),
        "exp": int((now + _TOKEN_LIFE).timestamp()),
    }
    return jwt.encode(claims, key.secret, algorithm="HS256")


def _retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Return the wait that the header asks for, in seconds or until a date; five minutes at most.

    Raises nothing: a header that cannot be read asks for nothing.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004
        return min(timedelta(seconds=int(value)), _LONGEST_WAIT)
    try:
        until = email.utils.parsedate_to_datetime(value)
        return min(max(until.astimezone(UTC) - now, timedelta(0)), _LONGEST_WAIT)
    except (ValueError, OverflowError):
        return None
