"""Events: which event a change is, and that the same change is the same event."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.clips.models import ClipStatus
from domain.exports.models import ExportStatus
from domain.highlights.selection import DecisionStatus
from domain.streams.status import StreamStatus
from domain.webhooks.events import (
    MEANINGS,
    PAYLOADS,
    EndpointPayload,
    Event,
    EventType,
    UsagePayload,
    event,
    of_clip,
    of_export,
    of_highlight,
    of_stream,
)

TENANT = uuid4()
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def usage(tenant_id: UUID = TENANT, revision: int = 80, at: datetime = NOON) -> Event:
    return event(
        EventType.USAGE_THRESHOLD,
        UsagePayload(kind="clips", period="2026-11", percent=80, used=80.0, budget=100.0),
        tenant_id=tenant_id,
        subject="usage/clips/2026-11",
        revision=revision,
        created_at=at,
    )


def test_the_same_change_is_the_same_event_at_any_time() -> None:
    assert usage().id == usage(at=datetime(2027, 1, 1, tzinfo=UTC)).id


def test_another_revision_or_tenant_is_another_event() -> None:
    assert len({usage().id, usage(revision=100).id, usage(tenant_id=uuid4()).id}) == 3


def test_an_event_is_kept_in_order_with_its_subject_unless_it_says_otherwise() -> None:
    assert usage().ordering_key == "usage/clips/2026-11"


def test_each_type_carries_its_own_payload() -> None:
    assert set(PAYLOADS) == set(MEANINGS) == set(EventType)
    with pytest.raises(TypeError, match="UsagePayload"):
        event(
            EventType.USAGE_THRESHOLD,
            EndpointPayload(endpoint_id=uuid4(), url="https://a.example"),
            tenant_id=TENANT,
            subject="x",
            revision=1,
            created_at=NOON,
        )


STARTING, LIVE, STALLED = StreamStatus.STARTING, StreamStatus.LIVE, StreamStatus.STALLED
ENDING, COMPLETED = StreamStatus.ENDING, StreamStatus.COMPLETED
FAILED, CANCELLED = StreamStatus.FAILED, StreamStatus.CANCELLED
STARTED, ENDED = EventType.STREAM_STARTED, EventType.STREAM_ENDED
BROKEN = EventType.STREAM_FAILED


@pytest.mark.parametrize(
    ("before", "after", "has_media", "expected"),
    [
        (STARTING, LIVE, True, (STARTED,)),
        (LIVE, STALLED, True, ()),
        (STALLED, LIVE, True, ()),
        (LIVE, ENDING, True, ()),
        (ENDING, COMPLETED, True, (ENDED,)),
        (LIVE, CANCELLED, True, (ENDED,)),
        (STARTING, FAILED, False, (BROKEN,)),
        (STARTING, COMPLETED, True, (STARTED, ENDED)),
        (STARTING, FAILED, True, (STARTED, BROKEN)),
        (STARTING, CANCELLED, False, (ENDED,)),
        (COMPLETED, COMPLETED, True, ()),
    ],
)
def test_a_stream_has_started_once_it_has_media_and_ends_once(
    before: StreamStatus,
    after: StreamStatus,
    has_media: bool,
    expected: tuple[EventType, ...],
) -> None:
    assert of_stream(before, after, has_media=has_media) == expected


PENDING, CONFIRMED = DecisionStatus.PENDING, DecisionStatus.CONFIRMED
RETRACTED, HELD = DecisionStatus.RETRACTED, DecisionStatus.HELD


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, PENDING, EventType.HIGHLIGHT_PENDING),
        (HELD, PENDING, EventType.HIGHLIGHT_PENDING),
        (None, CONFIRMED, EventType.HIGHLIGHT_CONFIRMED),
        (PENDING, CONFIRMED, EventType.HIGHLIGHT_CONFIRMED),
        (PENDING, RETRACTED, EventType.HIGHLIGHT_RETRACTED),
        (CONFIRMED, RETRACTED, EventType.HIGHLIGHT_RETRACTED),
        (None, RETRACTED, None),
        (HELD, RETRACTED, None),
        (PENDING, PENDING, None),
        (None, HELD, None),
        (None, DecisionStatus.REJECTED, None),
    ],
)
def test_tenants_are_notified_of_visible_highlights(
    before: DecisionStatus | None, after: DecisionStatus, expected: EventType | None
) -> None:
    assert of_highlight(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ClipStatus.RENDERING, None),
        (ClipStatus.RENDERING, ClipStatus.READY, EventType.CLIP_READY),
        (ClipStatus.RENDERING, ClipStatus.FAILED, EventType.CLIP_FAILED),
        (ClipStatus.FAILED, ClipStatus.READY, EventType.CLIP_READY),
        (ClipStatus.READY, ClipStatus.READY, None),
        (ClipStatus.READY, ClipStatus.DELETED, None),
    ],
)
def test_tenants_are_notified_of_the_end_of_a_clip(
    before: ClipStatus | None, after: ClipStatus, expected: EventType | None
) -> None:
    assert of_clip(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ExportStatus.QUEUED, ExportStatus.RUNNING, None),
        (ExportStatus.RUNNING, ExportStatus.READY, EventType.EXPORT_READY),
        (ExportStatus.RUNNING, ExportStatus.FAILED, EventType.EXPORT_FAILED),
        (ExportStatus.READY, ExportStatus.READY, None),
        (ExportStatus.RUNNING, ExportStatus.CANCELLED, None),
    ],
)
def test_tenants_are_notified_of_the_end_of_an_export_that_they_did_not_cancel(
    before: ExportStatus, after: ExportStatus, expected: EventType | None
) -> None:
    assert of_export(before, after) == expected
