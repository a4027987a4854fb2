"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import httpx

from tldrtv_highlights.errors import retry_after

_REFUSED_BEFORE_ACTING: Final = 429
_AWAY: Final = frozenset({502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently requests are repeated.

    A request that the API had no part in (429, no connection) is repeated in any case; one whose
    answer was lost, or that was answered with 502, 503 or 504, only if a second one does no more
    than the first.

    Args:
        retries: repetitions after the first request.
        first: seconds before the first repetition; they double with each, and up to half of them
            is left to chance, so that many clients do not come back at once.
        longest: seconds waited at most. A `Retry-After` beyond it is left to the caller.
    """

    retries: int = 3
    first: float = 0.5
    longest: float = 30.0

    def after_answer(
        self, attempt: int, response: httpx.Response, *, repeatable: bool
    ) -> float | None:
        """Return the seconds to wait before sending again, None to take the answer as it is."""
        status = response.status_code
        if status != _REFUSED_BEFORE_ACTING and not (repeatable and status in _AWAY):
            return None
        return self._pause(attempt, retry_after(response))

    def after_failure(
        self, attempt: int, error: httpx.TransportError, *, repeatable: bool
    ) -> float | None:
        """Return the seconds to wait before sending again, None to give up."""
        if not repeatable and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return None
        return self._pause(attempt, None)

    def _pause(self, attempt: int, asked: float | None) -> float | None:
        if attempt >= self.retries or (asked or 0.0) > self.longest:
            return None
        own = min(self.longest, self.first * 2.0**attempt)
        return max(asked or 0.0, own * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
