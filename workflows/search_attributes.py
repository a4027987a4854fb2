"""Search attributes by which an operator finds a stream; plain text, so never personal data."""

from __future__ import annotations

from typing import Final

from temporalio.common import SearchAttributeKey

TENANT_ID: Final = SearchAttributeKey.for_keyword("TenantId")
STREAM_ID: Final = SearchAttributeKey.for_keyword("StreamId")
GAME: Final = SearchAttributeKey.for_keyword("Game")
STREAM_STATUS: Final = SearchAttributeKey.for_keyword("StreamStatus")
