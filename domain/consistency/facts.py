"""What an audit reads of a stream, a page at a time. Ages are seconds by the database's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from domain.clips.models import ClipStatus
from domain.exports.models import ExportStatus
from domain.feed.models import FeedOutcome
from domain.highlights.selection import DecisionStatus
from domain.streams.status import TERMINAL, StreamStatus
from domain.tenants.usage import UsageKind
from domain.webhooks.events import DeliveryStatus, EventType


@dataclass(frozen=True, kw_only=True)
class StreamFacts:
    """The row of a stream.

    Attributes:
        age: since the row was created.
        quiet: since it was last written.
        has_media: True if the media of the stream is kept now that the stream has ended.
        is_being_deleted: True if its deletion was requested and has not finished.
    """

    tenant_id: UUID
    id: UUID
    status: StreamStatus
    age: float
    quiet: float
    is_recording: bool = False
    segments: int = 0
    missed: int = 0
    windows: int = 0
    highlights: int = 0
    clips: int = 0
    has_media: bool = False
    is_being_deleted: bool = False

    @property
    def is_over(self) -> bool:
        """True if no workflow changes the stream any more."""
        return self.status in TERMINAL


@dataclass(frozen=True, kw_only=True)
class StreamTotals:
    """What the other rows of a stream add up to.

    Attributes:
        missed: segments of its gaps.
        is_refilled: True if a recording was searched for a gap, or the stream analyzed again.
        shown: highlights that are pending or confirmed.
        withdrawn: highlights that were retracted after the end of the stream.
        with_clip: shown or withdrawn highlights with a clip that is ready.
    """

    missed: int = 0
    is_refilled: bool = False
    shown: int = 0
    withdrawn: int = 0
    with_clip: int = 0


@dataclass(frozen=True, kw_only=True)
class WindowFacts:
    """A window whose analysis is finished (times in s of media time)."""

    index: int
    start: float
    end: float
    segments: int


@dataclass(frozen=True, kw_only=True)
class IndexedSegment:
    """A segment that the index of the media names (`start` in s of media time)."""

    key: str
    start: float
    size: int


@dataclass(frozen=True, kw_only=True)
class HighlightFacts:
    """A highlight and what hangs on it.

    Attributes:
        age: since it was first recorded.
        quiet: since it was last written.
        clips: clips by status.
        events: events about it by type.
    """

    id: UUID
    status: DecisionStatus
    age: float
    quiet: float
    clips: Mapping[ClipStatus, int] = field(default_factory=dict)
    events: Mapping[EventType, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """A clip and what hangs on it.

    Attributes:
        highlight: status of its highlight; None for a clip on demand.
        size, sha256: of its file, once it is ready.
        usage: what was counted for it; a kind that was not counted is missing.
    """

    id: UUID
    highlight: DecisionStatus | None
    status: ClipStatus
    age: float
    quiet: float
    key: str | None = None
    thumbnail_key: str | None = None
    size: int | None = None
    sha256: str | None = None
    events: Mapping[EventType, int] = field(default_factory=dict)
    usage: Mapping[UsageKind, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RenditionFacts:
    """A finished rendition of an export: its file, and what was counted for it."""

    number: int
    key: str
    size: int
    sha256: str | None = None
    usage: Mapping[UsageKind, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExportFacts:
    """An export and what hangs on it; one that `waits` is queued until its batch begins it."""

    id: UUID
    status: ExportStatus
    age: float
    quiet: float
    waits: bool = False
    files: tuple[RenditionFacts, ...] = ()
    events: Mapping[EventType, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FeedEventFacts:
    """An event of a feed; `id` is the tenant's, `highlight` the status of its highlight, if any."""

    id: str
    outcome: FeedOutcome
    quiet: float
    highlight: DecisionStatus | None = None


@dataclass(frozen=True, kw_only=True)
class DeliveryFacts:
    """A delivery of an event.

    Attributes:
        recorded: attempts that have a row.
        counted: attempts that were counted as usage.
        waits: since it was due; None if it is not due yet, or not pending.
        is_queued: True if a workflow was notified of it.
    """

    id: UUID
    endpoint_id: UUID
    ordering_key: str
    status: DeliveryStatus
    attempts: int
    recorded: int
    counted: int
    age: float
    waits: float | None = None
    is_queued: bool = True


@dataclass(frozen=True, kw_only=True)
class UndeliveredEvent:
    """An event that an endpoint subscribes to and has no delivery of.

    `endpoint_id` is None for an event that waits to be sent to all endpoints.
    """

    id: UUID
    type: EventType
    age: float
    endpoint_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class BatchFacts:
    """A batch of exports that is not finished."""

    id: UUID
    status: ExportStatus
    quiet: float


@dataclass(frozen=True, kw_only=True)
class UsageTotals:
    """Usage of one kind for a stream: as single events, and as the sums of its hours."""

    kind: UsageKind
    events: int
    quantity: Decimal
    hourly: Decimal
