"""Search attributes by which an operator finds a stream; plain text, so never personal data."""

from __future__ import annotations

from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from domain.ids import SearchAttribute

TENANT_ID: Final = SearchAttributeKey.for_keyword(SearchAttribute.TENANT_ID)
STREAM_ID: Final = SearchAttributeKey.for_keyword(SearchAttribute.STREAM_ID)
GAME: Final = SearchAttributeKey.for_keyword(SearchAttribute.GAME)
STREAM_STATUS: Final = SearchAttributeKey.for_keyword(SearchAttribute.STREAM_STATUS)
