"""Timestamps as requests may carry them: with a zone, and in years that every store takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]
