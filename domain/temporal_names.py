"""Names of the search attributes by which an operator finds a stream's workflow."""

from __future__ import annotations

from typing import Final

TENANT_ID: Final = "TenantId"
STREAM_ID: Final = "StreamId"
GAME: Final = "Game"
STREAM_STATUS: Final = "StreamStatus"
STREAM_TITLE: Final = "StreamTitle"
"""Tenant, room and title in one line. Optional: a server that does not know it is used without."""
