"""Rules of an audit: facts in, findings out. Pure.

What is younger than `grace` seconds is left alone, since its next step may be in flight. What is
older than `kept` seconds is not compared with records that expire (events, usage).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from domain.clips.models import ClipStatus
from domain.consistency.candidates import CandidateTrail
from domain.consistency.facts import (
    BatchFacts,
    ClipFacts,
    DeliveryFacts,
    ExportFacts,
    FeedEventFacts,
    HighlightFacts,
    IndexedSegment,
    StreamFacts,
    StreamTotals,
    UndeliveredEvent,
    UsageTotals,
    WindowFacts,
)
from domain.consistency.findings import AuditFinding, FindingCode
from domain.exports.models import FINISHED, ExportStatus
from domain.feed.models import FeedOutcome
from domain.highlights.selection import HIDDEN, DecisionStatus
from domain.hms.messages import SessionRef
from domain.media.segments import StoredObject
from domain.streams.reconciliation import ExecutionState
from domain.streams.status import StreamStatus
from domain.tenants.usage import UsageKind
from domain.webhooks.events import DeliveryStatus, EventType

_ROUNDING: Final = 0.01
_MICRO: Final = Decimal("0.000001")
_AT_MOST_NAMED: Final = 5
_SHOWN: Final = frozenset({DecisionStatus.PENDING, DecisionStatus.CONFIRMED})


@dataclass(frozen=True, kw_only=True)
class AuditRules:
    """Rules for one stream.

    Attributes:
        stream: the stream.
        grace: age (s) below which a row or object is left alone.
        kept: age (s) from which events and usage of a row may have expired.
    """

    stream: StreamFacts
    grace: float
    kept: float

    def execution(
        self, state: ExecutionState, *, backfill: ExecutionState
    ) -> Iterator[AuditFinding]:
        """Compare the row with the workflows that advance it."""
        stream = self.stream
        if stream.quiet < self.grace or stream.is_being_deleted:
            return
        running = state.is_running or (stream.is_recording and backfill.is_running)
        if not stream.is_over and not running:
            yield self.finding(
                FindingCode.WORKFLOW_MISSING,
                f"stream {stream.id}",
                f"The row says {stream.status.value}, and its workflow is {state.value}.",
            )
        if stream.is_over and state.is_running:
            yield self.finding(
                FindingCode.WORKFLOW_LEFT,
                f"workflow stream/{stream.tenant_id}/{stream.id}",
                f"The stream is {stream.status.value}, and its workflow still runs.",
            )

    def counters(self, totals: StreamTotals) -> Iterator[AuditFinding]:
        """Compare the counters of a stream that is over with its other rows."""
        stream = self.stream
        if not stream.is_over or stream.status is StreamStatus.FAILED or self._is_new(stream.quiet):
            return
        subject = f"stream {stream.id}"
        if stream.missed != totals.missed and not totals.is_refilled:
            yield self.finding(
                FindingCode.GAPS_DIFFER,
                subject,
                f"It counts {stream.missed} missed segments, and its gaps have {totals.missed}.",
            )
        if totals.is_refilled:
            return
        if not totals.shown <= stream.highlights <= totals.shown + totals.withdrawn:
            yield self.finding(
                FindingCode.HIGHLIGHTS_DIFFER,
                subject,
                f"It counts {stream.highlights} highlights, and {totals.shown} are shown.",
            )
        if not totals.with_clip - totals.withdrawn <= stream.clips <= totals.with_clip:
            yield self.finding(
                FindingCode.CLIPS_DIFFER,
                subject,
                f"It counts {stream.clips} clips, and {totals.with_clip} highlights have one.",
            )

    def media(
        self, indexed: Sequence[IndexedSegment], stored: Collection[str]
    ) -> Iterator[AuditFinding]:
        """Compare the index of the media with the objects of the segment store.

        The index names deleted segments until those of a whole minute are deleted, so that only
        what is missing after the first stored segment counts.

        Args:
            indexed: segments that the index names, in order of media time.
            stored: keys of the stream's objects.
        """
        first = next((n for n, each in enumerate(indexed) if each.key in stored), len(indexed))
        missing = [each.key for each in indexed[first:] if each.key not in stored]
        if missing:
            yield self.finding(
                FindingCode.MEDIA_MISSING,
                f"stream {self.stream.id}",
                f"{len(missing)} stored segments are gone from the store: {_named(missing)}.",
            )
        is_over = self.stream.is_over and not self._is_new(self.stream.quiet)
        if is_over and stored and not self.stream.has_media:
            yield self.finding(
                FindingCode.MEDIA_LEFT,
                f"stream {self.stream.id}",
                f"{len(stored)} objects of media are stored, and nothing will delete them.",
            )

    def highlight(self, highlight: HighlightFacts) -> Iterator[AuditFinding]:
        """Compare a highlight with its clips and events."""
        subject = f"highlight {highlight.id}"
        if self._is_new(highlight.quiet):
            return
        status = highlight.status
        is_over = self.stream.is_over and not self._is_new(self.stream.quiet)
        if is_over and status in {DecisionStatus.PENDING, DecisionStatus.HELD}:
            yield self.finding(
                FindingCode.HIGHLIGHT_UNDECIDED,
                subject,
                f"The stream is over, and the highlight is still {status.value}.",
            )
        if is_over and status is DecisionStatus.CONFIRMED and not any(highlight.clips.values()):
            yield self.finding(
                FindingCode.CLIP_MISSING, subject, "It is confirmed, and has no clip."
            )
        if status is DecisionStatus.CONFIRMED:
            yield from self._once(
                subject, highlight.events, EventType.HIGHLIGHT_CONFIRMED, highlight.age
            )
        elif status not in HIDDEN and status is not DecisionStatus.RETRACTED:
            yield from self._once(
                subject, highlight.events, EventType.HIGHLIGHT_PENDING, highlight.age
            )
        shown = highlight.events.get(EventType.HIGHLIGHT_PENDING, 0) + highlight.events.get(
            EventType.HIGHLIGHT_CONFIRMED, 0
        )
        if shown and status is DecisionStatus.RETRACTED:
            yield from self._once(
                subject, highlight.events, EventType.HIGHLIGHT_RETRACTED, highlight.age
            )
        if shown and status in HIDDEN:
            yield self.finding(
                FindingCode.DECISIONS_DIFFER,
                subject,
                f"It is {status.value}, and {shown} events say that it was shown.",
            )

    def candidates(
        self,
        trail: CandidateTrail,
        rows: Mapping[UUID, HighlightFacts],
        *,
        is_refilled: bool,
    ) -> Iterator[AuditFinding]:
        """Account for each candidate of a live stream: it has one row, with the last decision.

        Args:
            trail: what the workflow's history says, read before the rows.
            rows: all candidates that have a row.
            is_refilled: True if a recording was searched too, which decides by other histories.
        """
        stream = self.stream
        subject = f"stream {stream.id}"
        is_over = stream.is_over and not self._is_new(stream.quiet)
        expected = trail.selected
        if is_over and stream.status is StreamStatus.COMPLETED:
            expected = expected | trail.found
        missing = sorted(expected - rows.keys())
        if missing:
            yield self.finding(
                FindingCode.CANDIDATES_MISSING,
                subject,
                f"Analysis found {len(trail.found | trail.selected)} candidates, and "
                f"{len(missing)} of them have no decision: {_named(missing)}.",
            )
        if is_refilled:
            return
        unknown = sorted(rows.keys() - trail.selected - trail.found)
        if is_over and trail.is_whole and unknown:
            yield self.finding(
                FindingCode.CANDIDATES_UNKNOWN,
                subject,
                f"No window produced {len(unknown)} of the {len(rows)} candidates: "
                f"{_named(unknown)}.",
            )
        differ = [
            f"{each.id} ({decided.value}, now {each.status.value})"
            for each, decided in _decided(trail, rows)
            if not self._is_new(each.quiet) and not _follows(each.status, decided)
        ]
        if differ:
            yield self.finding(
                FindingCode.DECISIONS_DIFFER,
                subject,
                f"{len(differ)} candidates are not what selection decided last: {_named(differ)}.",
            )

    def clip(
        self, clip: ClipFacts, files: Mapping[str, StoredObject], state: ExecutionState | None
    ) -> Iterator[AuditFinding]:
        """Compare a clip with its files, events, usage and workflow.

        Args:
            clip: the clip.
            files: the stream's objects of the clip store, by key.
            state: of its workflow, which is read while it is being rendered.
        """
        subject = f"clip {clip.id}"
        if self._is_new(clip.quiet):
            return
        if clip.status is ClipStatus.RENDERING and state is not None and not state.is_running:
            yield self.finding(
                FindingCode.WORKFLOW_MISSING,
                subject,
                f"It is being rendered, and its workflow is {state.value}.",
            )
        if clip.status is ClipStatus.FAILED:
            yield from self._once(subject, clip.events, EventType.CLIP_FAILED, clip.age)
        if clip.status is not ClipStatus.READY:
            return
        if clip.highlight in {DecisionStatus.RETRACTED, *HIDDEN} and clip.key not in files:
            return  # a retracted highlight's file is deleted, and its row stays
        if clip.key is not None:
            yield from self._file(subject, clip.key, clip.size, files)
        if clip.thumbnail_key is not None:
            yield from self._file(subject, clip.thumbnail_key, None, files)
        yield from self._once(subject, clip.events, EventType.CLIP_READY, clip.age)
        expected = {UsageKind.CLIP_RENDERED: 1, UsageKind.CLIP_BYTES: clip.size or 0}
        yield from self._counted(subject, expected, clip.usage, clip.age)

    def export(
        self, export: ExportFacts, files: Mapping[str, StoredObject], state: ExecutionState | None
    ) -> Iterator[AuditFinding]:
        """Compare an export with its files, events, usage and workflow; arguments as for `clip`."""
        subject = f"export {export.id}"
        if self._is_new(export.quiet):
            return
        if export.status not in FINISHED and state is not None and not state.is_running:
            yield self.finding(
                FindingCode.WORKFLOW_MISSING,
                subject,
                f"It is {export.status.value}, and its workflow is {state.value}.",
            )
        if export.status is ExportStatus.READY:
            yield from self._once(subject, export.events, EventType.EXPORT_READY, export.age)
        if export.status is ExportStatus.FAILED:
            yield from self._once(subject, export.events, EventType.EXPORT_FAILED, export.age)
        if export.status is not ExportStatus.READY:
            return
        for each in export.files:
            about = f"{subject}, rendition {each.number}"
            yield from self._file(about, each.key, each.size, files)
            expected = {UsageKind.EXPORT_RENDERED: 1, UsageKind.EXPORT_BYTES: each.size}
            yield from self._counted(about, expected, each.usage, export.age)

    def left_files(
        self, files: Iterable[StoredObject], named: Collection[str]
    ) -> Iterator[AuditFinding]:
        """Find objects of the clip store that no row names.

        Args:
            files: the stream's objects.
            named: keys that rows name, or that something which is being rendered will have.
        """
        for each in files:
            if each.key not in named and not self._is_new(each.age):
                yield self.finding(
                    FindingCode.FILE_LEFT, each.key, f"No row names this object of {each.size} B."
                )

    def checksum(
        self, subject: str, key: str, *, expected: str, found: str
    ) -> Iterator[AuditFinding]:
        """Compare the SHA-256 of a file with that of its row."""
        if expected != found:
            yield self.finding(
                FindingCode.FILE_DIFFERS,
                subject,
                f"The SHA-256 of {key} is {found}, and its row says {expected}.",
            )

    def feed_event(self, event: FeedEventFacts) -> Iterator[AuditFinding]:
        """Compare an event of a feed with the stream and its highlight."""
        is_over = self.stream.is_over and not self._is_new(self.stream.quiet)
        if self._is_new(event.quiet):
            return
        if is_over and event.outcome is FeedOutcome.WAITING:
            yield self.finding(
                FindingCode.FEED_EVENT_UNRESOLVED,
                f"feed event {event.id}",
                "The stream is over, and the event still waits for its moment.",
            )
        has_effect = event.outcome in {FeedOutcome.RAISED, FeedOutcome.MARKED, FeedOutcome.LINKED}
        if has_effect and event.highlight is None:
            yield self.finding(
                FindingCode.FEED_EVENT_UNRESOLVED,
                f"feed event {event.id}",
                f"It is {event.outcome.value}, and its highlight does not exist.",
            )

    def delivery(
        self, delivery: DeliveryFacts, state: ExecutionState | None
    ) -> Iterator[AuditFinding]:
        """Compare a delivery with its attempts, usage and workflow."""
        subject = f"delivery {delivery.id}"
        is_stuck = delivery.waits is not None and delivery.waits >= self.grace
        if is_stuck and (not delivery.is_queued or (state is not None and not state.is_running)):
            why = "no workflow has it" if state is None else f"its workflow is {state.value}"
            yield self.finding(
                FindingCode.DELIVERY_STUCK,
                subject,
                f"It was due {delivery.waits:.0f} s ago, and {why}.",
            )
        if delivery.age >= self.kept:
            return
        if delivery.recorded != delivery.attempts:
            yield self.finding(
                FindingCode.ATTEMPTS_DIFFER,
                subject,
                f"It counts {delivery.attempts} attempts, and {delivery.recorded} are recorded.",
            )
        if delivery.status is DeliveryStatus.SUCCEEDED and not delivery.attempts:
            yield self.finding(
                FindingCode.ATTEMPTS_DIFFER, subject, "It succeeded without an attempt."
            )
        if delivery.counted < delivery.attempts:
            yield self.finding(
                FindingCode.USAGE_MISSING,
                subject,
                f"{delivery.attempts - delivery.counted} of its attempts were not counted.",
            )

    def undelivered(self, events: Iterable[UndeliveredEvent]) -> Iterator[AuditFinding]:
        """Report events that an endpoint should have had."""
        for each in events:
            if self._is_new(each.age):
                continue
            to = f"endpoint {each.endpoint_id} has no delivery of it"
            yield self.finding(
                FindingCode.EVENT_NOT_SENT,
                f"event {each.id}",
                f"{each.type.value}: "
                f"{'it waits for a worker to send it' if each.endpoint_id is None else to}.",
            )

    def end_events(self, events: Mapping[EventType, int]) -> Iterator[AuditFinding]:
        """Compare the status of the stream with the events about it."""
        stream = self.stream
        if not stream.is_over or self._is_new(stream.quiet):
            return
        is_failed = stream.status is StreamStatus.FAILED
        kind = EventType.STREAM_FAILED if is_failed else EventType.STREAM_ENDED
        yield from self._once(f"stream {stream.id}", events, kind, stream.age)

    def usage(
        self, totals: Iterable[UsageTotals], *, explained: Mapping[UsageKind, int]
    ) -> Iterator[AuditFinding]:
        """Compare usage with its hourly sums, and with what it was counted for.

        Args:
            totals: usage of the stream by kind.
            explained: number of events that belong to rows, of the kinds for which that is known.
        """
        subject = f"stream {self.stream.id}"
        if self.stream.age >= self.kept:
            return
        for each in totals:
            if abs(each.quantity - each.hourly) > _MICRO:
                yield self.finding(
                    FindingCode.USAGE_HOURS_DIFFER,
                    subject,
                    f"{each.kind.value}: the events add up to {each.quantity}, and the hours to "
                    f"{each.hourly}.",
                )
            known = explained.get(each.kind)
            if known is not None and each.events > known:
                yield self.finding(
                    FindingCode.USAGE_REPEATED,
                    subject,
                    f"{each.kind.value}: {each.events - known} events belong to nothing.",
                )

    def _file(
        self, subject: str, key: str, size: int | None, files: Mapping[str, StoredObject]
    ) -> Iterator[AuditFinding]:
        stored = files.get(key)
        if stored is None:
            yield self.finding(
                FindingCode.FILE_MISSING, subject, f"The clip store has no object {key}."
            )
        elif size is not None and stored.size != size:
            yield self.finding(
                FindingCode.FILE_DIFFERS,
                subject,
                f"{key} has {stored.size} B in the clip store, and {size} B in its row.",
            )

    def _once(
        self, subject: str, events: Mapping[EventType, int], kind: EventType, age: float
    ) -> Iterator[AuditFinding]:
        count = events.get(kind, 0)
        if count == 0 and age < self.kept:
            yield self.finding(
                FindingCode.EVENT_MISSING, subject, f"There is no event {kind.value} of it."
            )
        if count > 1:
            yield self.finding(
                FindingCode.EVENT_REPEATED,
                subject,
                f"There are {count} events {kind.value} of it.",
            )

    def _counted(
        self,
        subject: str,
        expected: Mapping[UsageKind, int],
        usage: Mapping[UsageKind, Decimal],
        age: float,
    ) -> Iterator[AuditFinding]:
        if age >= self.kept:
            return
        for kind, quantity in expected.items():
            if quantity and usage.get(kind) != quantity:
                yield self.finding(
                    FindingCode.USAGE_MISSING,
                    subject,
                    f"{kind.value}: {usage.get(kind, 0)} was counted instead of {quantity}.",
                )

    def _is_new(self, age: float) -> bool:
        return age < self.grace

    def finding(self, code: FindingCode, subject: str, problem: str) -> AuditFinding:
        """Return a finding about the stream."""
        return AuditFinding(
            code=code,
            tenant_id=self.stream.tenant_id,
            stream_id=self.stream.id,
            subject=subject,
            problem=problem,
        )


class WindowTally:
    """Adds up the windows of a stream, which come in pages and in order of their numbers.

    Args:
        rules: of the stream.
        kept_from: media time (s) from which its media is stored; None if none is.
    """

    def __init__(self, rules: AuditRules, *, kept_from: float | None = None) -> None:
        self._rules = rules
        self._kept_from = kept_from
        self._next = 0
        self._end = 0.0
        self._segments = 0
        self._kept_segments = 0
        self._count = 0
        self._kept_start: float | None = None
        self._missing: list[str] = []
        self._overlaps: list[str] = []

    def add(self, windows: Iterable[WindowFacts]) -> None:
        """Add the next windows."""
        for each in windows:
            if each.index != self._next:
                self._missing.append(_range(self._next, each.index - 1))
            if each.start < self._end - _ROUNDING:
                self._overlaps.append(str(each.index))
            self._next = each.index + 1
            self._end = max(self._end, each.end)
            self._count += 1
            self._segments += each.segments
            if self._kept_from is not None and each.start >= self._kept_from - _ROUNDING:
                if self._kept_start is None:
                    self._kept_start = each.start
                self._kept_segments += each.segments

    def findings(
        self, totals: StreamTotals, indexed: Sequence[IndexedSegment]
    ) -> Iterator[AuditFinding]:
        """Compare the windows with the stream's counters, and with the media that is stored.

        Args:
            totals: of the stream.
            indexed: the stored segments, in order of media time.
        """
        rules, stream = self._rules, self._rules.stream
        subject = f"stream {stream.id}"
        is_over = stream.is_over and stream.quiet >= rules.grace
        if is_over and stream.windows > self._next:
            self._missing.append(_range(self._next, stream.windows - 1))
        is_live = not stream.is_recording and not totals.is_refilled
        if not is_live or stream.status is StreamStatus.FAILED:
            return
        if self._missing:
            yield rules.finding(
                FindingCode.WINDOWS_MISSING,
                subject,
                f"Windows without a row: {_named(self._missing)}.",
            )
        if self._overlaps:
            yield rules.finding(
                FindingCode.WINDOWS_OVERLAP,
                subject,
                f"Windows that begin before the one before them ends: {_named(self._overlaps)}.",
            )
        if is_over and self._segments != stream.segments:
            yield rules.finding(
                FindingCode.SEGMENTS_DIFFER,
                subject,
                f"It counts {stream.segments} segments, and its windows have {self._segments}.",
            )
        if is_over and self._kept_start is not None:
            start = self._kept_start - _ROUNDING
            stored = sum(start <= each.start < self._end - _ROUNDING for each in indexed)
            if stored != self._kept_segments:
                yield rules.finding(
                    FindingCode.SEGMENTS_DIFFER,
                    subject,
                    f"From {self._kept_start:.1f} s on, the windows have {self._kept_segments} "
                    f"segments, and the index of the media names {stored}.",
                )


def left_stream(tenant_id: UUID, stream_id: UUID, *, store: str, objects: int) -> AuditFinding:
    """Return the finding that objects are stored of a stream that has no row."""
    is_media = store == "SEGMENT_STORE"
    return AuditFinding(
        code=FindingCode.MEDIA_LEFT if is_media else FindingCode.FILE_LEFT,
        tenant_id=tenant_id,
        stream_id=None,
        subject=f"{tenant_id}/{stream_id}/",
        problem=f"{store} has {objects} objects of a stream that has no row.",
    )


def left_workflow(tenant_id: UUID, workflow_id: str, *, status: str | None) -> AuditFinding:
    """Return the finding that a workflow runs whose row is finished, or does not exist (None)."""
    return AuditFinding(
        code=FindingCode.WORKFLOW_LEFT,
        tenant_id=tenant_id,
        stream_id=None,
        subject=f"workflow {workflow_id}",
        problem="It runs, and it has no row."
        if status is None
        else f"It runs, and its row says {status}.",
    )


def pending_session(ref: SessionRef, *, grace: float) -> AuditFinding:
    """Return the finding that 100ms events of a session were stored and not applied in time."""
    return AuditFinding(
        code=FindingCode.INBOUND_EVENT_PENDING,
        tenant_id=ref.tenant_id,
        stream_id=None,
        subject=f"connection {ref.connection_id}, {ref.partition}",
        problem=f"An event was stored more than {grace:.0f} s ago, and has no outcome.",
    )


def stuck_batch(
    tenant_id: UUID, batch: BatchFacts, state: ExecutionState, *, grace: float
) -> AuditFinding | None:
    """Return the finding that no workflow advances a batch of exports; None if one does."""
    if state.is_running or batch.quiet < grace:
        return None
    return AuditFinding(
        code=FindingCode.BATCH_STUCK,
        tenant_id=tenant_id,
        stream_id=None,
        subject=f"batch {batch.id}",
        problem=f"It is {batch.status.value}, and its workflow is {state.value}.",
    )


def _decided(
    trail: CandidateTrail, rows: Mapping[UUID, HighlightFacts]
) -> Iterator[tuple[HighlightFacts, DecisionStatus]]:
    """Yield the candidates that have a row, each with the last decision on it."""
    for identity, decided in trail.decisions.items():
        if identity in rows:
            yield rows[identity], decided


def _follows(status: DecisionStatus, decided: DecisionStatus) -> bool:
    """Return True if a row may have a status; what is shown can be withdrawn after its decision."""
    is_withdrawn = status is DecisionStatus.RETRACTED and decided in _SHOWN
    return status is decided or is_withdrawn


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _named(items: Sequence[object]) -> str:
    more = len(items) - _AT_MOST_NAMED
    return ", ".join(map(str, items[:_AT_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
