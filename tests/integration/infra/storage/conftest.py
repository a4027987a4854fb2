"""What tests of stores in S3 share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.storage.s3 import S3Connection


@pytest.fixture
async def connection() -> AsyncIterator[S3Connection]:
    """A connection of this test."""
    connection = S3Connection()
    yield connection
    await connection.close()
