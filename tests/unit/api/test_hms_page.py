"""The guide names every event, every outcome and every check."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.connections.hms_webhooks import MAX_BODY_BYTES
from domain.hms.admission import DEFAULT_HEADER, DEFAULT_TOLERANCE, SIGNATURE_HEADER
from domain.hms.beam import Outcome
from domain.hms.events import KNOWN_TYPES
from infra.hms_api import MAX_PAGES, PAGE_SIZE

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks-100ms.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        *(f"`{kind}`" for kind in sorted(KNOWN_TYPES)),
        *(f"| `{outcome}` |" for outcome in Outcome),
        *("`source`", "`secret_header`", "`signature`", "`timestamp_tolerance`"),
        *("webhook_source_refused", "webhook_secret_refused"),
        *("webhook_signature_refused", "webhook_timestamp_refused"),
        f"{SIGNATURE_HEADER}: sha256=",
        DEFAULT_HEADER,
        f"{DEFAULT_TOLERANCE:.0f} s",
        f"{MAX_BODY_BYTES >> 10} KiB",
        f"{MAX_PAGES * PAGE_SIZE:,} streams",
    ],
)
def test_the_guide_names(name: str) -> None:
    assert name in PAGE
