"""Temporal as something that may be away: a client made when first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from temporalio.client import Client

from infra.errors import SetupError
from infra.settings import Settings
from infra.telemetry import temporal_interceptors
from infra.temporal import connect

_CONNECT_TIMEOUT: Final = timedelta(seconds=3)


class TemporalUnavailableError(Exception):
    """The workflow service does not answer, or none is configured; trying again may help."""


class TemporalRefusedError(TemporalUnavailableError):
    """The workflow service answers that it will not take this; trying again does not help."""


class TemporalConnection:
    """A client of Temporal that is made when first needed, so that the API starts without it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def client(self) -> Client:
        """Return the client; once connected it reconnects by itself.

        Raises:
            TemporalUnavailableError: Temporal does not answer, or none is configured.
        """
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await connect(
                        self._settings,
                        interceptors=temporal_interceptors(self._settings),
                        patience=_CONNECT_TIMEOUT,
                    )
                except SetupError as error:
                    raise TemporalUnavailableError(str(error)) from error
            return self._client


def connected(client: Client) -> Callable[[], Awaitable[Client]]:
    """Return a client that is there already, for those who can wait for one."""

    async def given() -> Client:
        return client

    return given
