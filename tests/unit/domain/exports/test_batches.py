"""A batch is ready when all of its exports are."""

from __future__ import annotations

import pytest

from domain.exports.batches import BatchCounts
from domain.exports.models import ExportStatus


@pytest.mark.parametrize(
    ("counts", "status", "message"),
    [
        ({"ready": 3}, ExportStatus.READY, ""),
        (
            {"ready": 1, "failed": 2},
            ExportStatus.FAILED,
            "Of the exports, 2 failed; 1 are ready.",
        ),
        (
            {"failed": 1, "cancelled": 2, "queued": 1},
            ExportStatus.FAILED,
            "Of the exports, 1 failed, 2 were canceled, 1 did not end; 0 are ready.",
        ),
    ],
)
def test_the_outcome_says_what_is_not_ready(
    counts: dict[str, int], status: ExportStatus, message: str
) -> None:
    assert BatchCounts.of(counts).outcome == (status, message)
