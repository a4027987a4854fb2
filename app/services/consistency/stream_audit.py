"""The audit of streams: rows, objects of both stores, workflows and usage, compared.

It reads only. One stream is compared at a time, its rows in pages.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Self, TypeVar
from uuid import UUID

from domain.analysis.messages import AnalyzeWindowResult
from domain.clips.models import ClipStatus
from domain.consistency.candidates import CandidateTrail
from domain.consistency.facts import (
    BatchFacts,
    ClipFacts,
    DeliveryFacts,
    ExportFacts,
    HighlightFacts,
    IndexedSegment,
    StreamFacts,
    WindowFacts,
)
from domain.consistency.findings import AuditFinding, FindingCode
from domain.consistency.rules import (
    AuditRules,
    WindowTally,
    left_stream,
    left_workflow,
    pending_session,
    stuck_batch,
)
from domain.exports.models import FINISHED, ExportStatus
from domain.highlights.selection import (
    HIDDEN,
    SelectHighlightsInput,
    SelectHighlightsResult,
)
from domain.ids import (
    backfill_workflow_id,
    clip_workflow_id,
    delivery_workflow_id,
    export_batch_workflow_id,
    export_workflow_id,
    ids_of_workflow,
    stream_workflow_id,
)
from domain.media.segments import StoredObject
from domain.streams.messages import FollowResult
from domain.streams.reconciliation import ExecutionState
from domain.streams.status import TERMINAL
from domain.tenants.retention import DAY, RetentionPolicy
from domain.tenants.usage import UsageKind
from infra.db.engine import Database
from infra.db.repositories import inbound_events
from infra.db.repositories.consistency import stream_facts
from infra.storage.clips import ClipStore
from infra.storage.scratch import scratch_directory
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import SegmentStore
from infra.temporal.client import WorkflowExecutions
from infra.temporal.histories import CompletedCall, WorkflowHistories
from workflows.steps import STREAM_CALLS

_PAGE: Final = 200
_CHUNK: Final = 1 << 20
_FINAL: Final = {"stream": TERMINAL, "clip": frozenset(ClipStatus) - {ClipStatus.RENDERING}} | {
    "export": FINISHED
}
_ROWS: Final = {"stream": "stream_id", "clip": "clip_id", "export": "export_id"}

T = TypeVar("T", StreamFacts, HighlightFacts, ClipFacts, ExportFacts, DeliveryFacts, BatchFacts)


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """How to compare.

    Attributes:
        grace: seconds for which a new row or object is left alone.
        checksums: whether to read each file of the clip store and compare its SHA-256.
        pause: seconds after which a stream with findings is compared again. Rows and objects of a
            stream in progress are not read at the same instant; only what is found twice counts.
    """

    grace: float = 60.0
    checksums: bool = False
    pause: float = 2.0


@dataclass
class AuditTally:
    """How much was compared, by kind."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{n} {kind}" for kind, n in self.counts.items() if n) or "nothing"


class ConsistencyAudit:
    """Compares what is stored of streams.

    Args:
        database: the rows.
        executions: the workflows.
        histories: what their activities returned.
        segments: stored media.
        files: clips, thumbnails and exports.
        retention: after which events and usage expire.
        options: how to compare.

    Its methods raise DatabaseUnavailableError, TemporalUnavailableError or OSError (of a store)
    if something cannot be read; that is no finding.
    """

    def __init__(
        self,
        database: Database,
        executions: WorkflowExecutions,
        histories: WorkflowHistories,
        *,
        segments: SegmentStore,
        files: ClipStore,
        retention: RetentionPolicy,
        options: AuditOptions,
    ) -> None:
        self._database = database
        self._executions = executions
        self._histories = histories
        self._segments = segments
        self._files = files
        expire = (retention.events, retention.usage_events, retention.hidden_highlights)
        self._kept = min(expire) - DAY
        self._options = options
        self.tally = AuditTally()

    async def all_tenants(self) -> AsyncIterator[AuditFinding]:
        """Compare everything of every tenant."""
        for tenant_id in await self._database.tenant_ids():
            async for each in self.tenant(tenant_id):
                yield each

    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AuditFinding]:
        """Compare all streams of a tenant, its 100ms events and batches, and what has no row."""
        async for each in self._pages(stream_facts.stream_page, tenant_id=tenant_id):
            async for finding in self._stream(each):
                yield finding
        async for finding in self._pending_sessions(tenant_id):
            yield finding
        async for finding in self._stuck_batches(tenant_id):
            yield finding
        async for finding in self._left_objects(tenant_id):
            yield finding
        async for finding in self._left_workflows(tenant_id):
            yield finding

    async def stream(self, tenant_id: UUID, stream_id: UUID) -> AsyncIterator[AuditFinding]:
        """Compare one stream."""
        found = await self._read_stream(tenant_id, stream_id)
        if found is None:
            yield AuditFinding(
                code=FindingCode.STREAM_UNKNOWN,
                tenant_id=tenant_id,
                stream_id=stream_id,
                subject=f"stream {stream_id}",
                problem="The tenant has no such stream.",
            )
            return
        async for each in self._stream(found):
            yield each

    async def _stream(self, stream: StreamFacts) -> AsyncIterator[AuditFinding]:
        first = {(each.code, each.subject) async for each in self._compare(stream)}
        self.tally.counts["streams"] += 1
        if not first:
            return
        await asyncio.sleep(self._options.pause)
        again = await self._read_stream(stream.tenant_id, stream.id)
        if again is None:
            return
        counts = self.tally.counts.copy()
        async for each in self._compare(again):
            if (each.code, each.subject) in first:
                yield each
        self.tally.counts = counts

    async def _read_stream(self, tenant_id: UUID, stream_id: UUID) -> StreamFacts | None:
        async with self._database.session(tenant_id) as session:
            return await stream_facts.stream(session, tenant_id=tenant_id, stream_id=stream_id)

    async def _compare(self, stream: StreamFacts) -> AsyncIterator[AuditFinding]:
        owner = _owner(stream)
        rules = AuditRules(stream=stream, grace=self._options.grace, kept=self._kept)
        for each in rules.execution(
            await self._executions.state(stream_workflow_id(**owner)),
            backfill=await self._executions.state(backfill_workflow_id(**owner)),
        ):
            yield each
        for part in (self._media, self._highlights, self._products, self._feed, self._deliveries):
            async for each in part(rules):
                yield each

    async def _media(self, rules: AuditRules) -> AsyncIterator[AuditFinding]:
        """Compare windows, counters and stored segments."""
        stream = rules.stream
        owner = _owner(stream)
        stored = {each.key for each in await self._segments.objects(**owner)}
        index = StoredSegments(self._segments, **owner)
        indexed = [
            IndexedSegment(key=each.key, start=each.start, size=each.size)
            for each in await index.indexed(stored)
        ]
        self.tally.counts["segments"] += len(indexed)
        for each in rules.media(indexed, stored):
            yield each
        kept_from = next((each.start for each in indexed if each.key in stored), None)
        windows = WindowTally(rules, kept_from=kept_from)
        after = -1
        while True:
            async with self._database.session(stream.tenant_id) as session:
                page: list[WindowFacts] = await stream_facts.window_page(
                    session, **owner, after=after, limit=_PAGE
                )
            windows.add(page)
            self.tally.counts["windows"] += len(page)
            if len(page) < _PAGE:
                break
            after = page[-1].index
        async with self._database.session(stream.tenant_id) as session:
            totals = await stream_facts.totals(session, **owner)
            events = await stream_facts.end_events(session, **owner)
        for each in (
            *windows.findings(totals, indexed),
            *rules.counters(totals),
            *rules.end_events(events),
        ):
            yield each

    async def _highlights(self, rules: AuditRules) -> AsyncIterator[AuditFinding]:
        """Compare candidates with their clips and events, and with the workflow's history."""
        owner = _owner(rules.stream)
        trail = await self._trail(rules.stream)  # before the rows, which may be more by then
        rows: dict[UUID, HighlightFacts] = {}
        async for highlight in self._pages(stream_facts.highlight_page, **owner):
            rows[highlight.id] = highlight
            self.tally.counts["candidates"] += 1
            self.tally.counts["highlights"] += highlight.status not in HIDDEN
            for each in rules.highlight(highlight):
                yield each
        if trail is None:
            return
        async with self._database.session(rules.stream.tenant_id) as session:
            totals = await stream_facts.totals(session, **owner)
        for each in rules.candidates(trail, rows, is_refilled=totals.is_refilled):
            yield each

    async def _trail(self, stream: StreamFacts) -> CandidateTrail | None:
        """Return what the history of a live stream says of its candidates.

        None for a recording, without a history, and once rejected candidates may have expired.
        """
        if stream.is_recording or stream.age >= self._kept:
            return None
        workflow_id = stream_workflow_id(**_owner(stream))
        runs = await self._histories.runs(workflow_id)
        trail = CandidateTrail(is_whole=runs.is_whole)
        for run_id in runs.ids:
            async for call in self._histories.completed(workflow_id, run_id, STREAM_CALLS):
                _add_call(trail, call)
        return trail if runs.ids else None

    async def _products(self, rules: AuditRules) -> AsyncIterator[AuditFinding]:
        """Compare clips and exports with their files, events and usage."""
        stream = rules.stream
        owner = _owner(stream)
        files = _Files.of(await self._files.objects(**owner))
        for part in (self._clips, self._exports):
            async for each in part(rules, files):
                yield each
        for each in rules.left_files(files.stored.values(), files.named):
            yield each
        async with self._database.session(stream.tenant_id) as session:
            totals = await stream_facts.usage_totals(session, **owner)
        counted = (UsageKind.CLIP_RENDERED, UsageKind.EXPORT_RENDERED)
        explained = {kind: files.explained[kind] for kind in counted}
        for each in rules.usage(totals, explained=explained):
            yield each

    async def _clips(self, rules: AuditRules, files: _Files) -> AsyncIterator[AuditFinding]:
        async for clip in self._pages(stream_facts.clip_page, **_owner(rules.stream)):
            self.tally.counts["clips"] += 1
            files.explained.update(clip.usage.keys())
            files.named.update(_keys_of(clip, rules.stream))
            state = await self._clip_state(rules.stream, clip)
            for each in rules.clip(clip, files.stored, state):
                yield each
            if clip.status is ClipStatus.READY and clip.key in files.stored and clip.sha256:
                async for each in self._checksum(rules, f"clip {clip.id}", clip.key, clip.sha256):
                    yield each

    async def _exports(self, rules: AuditRules, files: _Files) -> AsyncIterator[AuditFinding]:
        async for export in self._pages(stream_facts.export_page, **_owner(rules.stream)):
            self.tally.counts["exports"] += 1
            state = await self._export_state(rules.stream, export)
            for each in rules.export(export, files.stored, state):
                yield each
            async for each in self._renditions(rules, export, files):
                yield each
            if export.status not in FINISHED:
                files.name_all(f"{rules.stream.tenant_id}/{rules.stream.id}/exports/{export.id}/")

    async def _renditions(
        self, rules: AuditRules, export: ExportFacts, files: _Files
    ) -> AsyncIterator[AuditFinding]:
        for made in export.files:
            files.explained.update(made.usage.keys())
            files.named.add(made.key)
            if export.status is ExportStatus.READY and made.key in files.stored and made.sha256:
                about = f"export {export.id}, rendition {made.number}"
                async for each in self._checksum(rules, about, made.key, made.sha256):
                    yield each

    async def _checksum(
        self, rules: AuditRules, subject: str, key: str, expected: str
    ) -> AsyncIterator[AuditFinding]:
        if not self._options.checksums:
            return
        with scratch_directory() as scratch:
            try:
                file = await self._files.fetch(key, scratch)
            except FileNotFoundError:
                return  # deleted meanwhile
            found = await asyncio.to_thread(_sha256, file)
        for each in rules.checksum(subject, key, expected=expected, found=found):
            yield each

    async def _feed(self, rules: AuditRules) -> AsyncIterator[AuditFinding]:
        stream, after = rules.stream, None
        while True:
            async with self._database.session(stream.tenant_id) as session:
                page = await stream_facts.feed_page(
                    session,
                    tenant_id=stream.tenant_id,
                    stream_id=stream.id,
                    after=after,
                    limit=_PAGE,
                )
            self.tally.counts["feed events"] += len(page)
            for _, event in page:
                for each in rules.feed_event(event):
                    yield each
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    async def _deliveries(self, rules: AuditRules) -> AsyncIterator[AuditFinding]:
        stream = rules.stream
        async with self._database.session(stream.tenant_id) as session:
            missing = await stream_facts.undelivered(
                session, tenant_id=stream.tenant_id, stream_id=stream.id, limit=_PAGE
            )
        for each in rules.undelivered(missing):
            yield each
        async for delivery in self._pages(stream_facts.delivery_page, **_owner(stream)):
            self.tally.counts["deliveries"] += 1
            state = None
            if delivery.is_queued and (delivery.waits or 0) >= self._options.grace:
                state = await self._executions.state(
                    delivery_workflow_id(
                        tenant_id=stream.tenant_id,
                        endpoint_id=delivery.endpoint_id,
                        ordering_key=delivery.ordering_key,
                    )
                )
            for each in rules.delivery(delivery, state):
                yield each

    async def _pages(
        self, read: Callable[..., Awaitable[list[T]]], *, tenant_id: UUID, **owner: UUID
    ) -> AsyncIterator[T]:
        """Yield all rows of a tenant, or of the object that `owner` names, a page at a time."""
        after: UUID | None = None
        while True:
            async with self._database.session(tenant_id) as session:
                page = await read(session, tenant_id=tenant_id, after=after, limit=_PAGE, **owner)
            for each in page:
                yield each
            if len(page) < _PAGE:
                return
            after = page[-1].id

    async def _clip_state(self, stream: StreamFacts, clip: ClipFacts) -> ExecutionState | None:
        if clip.status is not ClipStatus.RENDERING or clip.quiet < self._options.grace:
            return None
        return await self._executions.state(
            clip_workflow_id(tenant_id=stream.tenant_id, clip=clip.id)
        )

    async def _export_state(
        self, stream: StreamFacts, export: ExportFacts
    ) -> ExecutionState | None:
        if export.status in FINISHED or export.waits or export.quiet < self._options.grace:
            return None
        return await self._executions.state(
            export_workflow_id(tenant_id=stream.tenant_id, export=export.id)
        )

    async def _pending_sessions(self, tenant_id: UUID) -> AsyncIterator[AuditFinding]:
        """Find 100ms events that were stored and never applied."""
        async with self._database.session(tenant_id) as session:
            pending = await inbound_events.pending_sessions(
                session,
                tenant_id=tenant_id,
                min_age=timedelta(seconds=self._options.grace),
                limit=_PAGE,
            )
        for each in pending:
            yield pending_session(each, grace=self._options.grace)

    async def _stuck_batches(self, tenant_id: UUID) -> AsyncIterator[AuditFinding]:
        """Find batches of exports that no workflow advances."""
        async for batch in self._pages(stream_facts.unfinished_batches, tenant_id=tenant_id):
            self.tally.counts["batches"] += 1
            state = await self._executions.state(
                export_batch_workflow_id(tenant_id=tenant_id, batch=batch.id)
            )
            finding = stuck_batch(tenant_id, batch, state, grace=self._options.grace)
            if finding is not None:
                yield finding

    async def _left_objects(self, tenant_id: UUID) -> AsyncIterator[AuditFinding]:
        """Find objects of streams that have no row, such as what a deleted stream left."""
        for setting, store in (("SEGMENT_STORE", self._segments), ("CLIP_STORE", self._files)):
            names = await store.stream_names(tenant_id)
            for start in range(0, len(names), _PAGE):
                ids = [UUID(each) for each in names[start : start + _PAGE] if _is_id(each)]
                async with self._database.session(tenant_id) as session:
                    known = await stream_facts.known_streams(
                        session, tenant_id=tenant_id, stream_ids=ids
                    )
                for stream_id in sorted(set(ids) - known):
                    old = _older(
                        await store.objects(tenant_id=tenant_id, stream_id=stream_id),
                        self._options.grace,
                    )
                    if old:
                        yield left_stream(tenant_id, stream_id, store=setting, objects=len(old))

    async def _left_workflows(self, tenant_id: UUID) -> AsyncIterator[AuditFinding]:
        """Find workflows of streams, clips and exports that run although their row is finished."""
        async for workflow_id in self._executions.running(tenant_id):
            kind = workflow_id.partition("/")[0]
            if kind not in _ROWS:
                continue
            identity = UUID(ids_of_workflow(workflow_id)[_ROWS[kind]])
            async with self._database.session(tenant_id) as session:
                found = await stream_facts.execution_rows(
                    session, tenant_id=tenant_id, table=kind, ids=[identity]
                )
            status, quiet = found.get(identity, (None, self._options.grace))
            is_left = status is None or (status in _FINAL[kind] and quiet >= self._options.grace)
            if is_left and (await self._executions.state(workflow_id)).is_running:
                yield left_workflow(tenant_id, workflow_id, status=status)


@dataclass(frozen=True)
class _Files:
    """The objects that the clip store has of a stream, and what rows say of them.

    Attributes:
        named: keys that rows name.
        explained: usage that belongs to rows, as numbers of events.
    """

    stored: dict[str, StoredObject]
    named: set[str] = field(default_factory=set)
    explained: Counter[UsageKind] = field(default_factory=Counter)

    @classmethod
    def of(cls, objects: Sequence[StoredObject]) -> Self:
        return cls({each.key: each for each in objects})

    def name_all(self, prefix: str) -> None:
        """Take the objects below a prefix for those of something that is being made."""
        self.named.update(each for each in self.stored if each.startswith(prefix))


def _add_call(trail: CandidateTrail, call: CompletedCall) -> None:
    match call.result:
        case FollowResult():
            for each in call.result.analyses:
                trail.add_analysis(each.result)
        case AnalyzeWindowResult():
            trail.add_analysis(call.result)
        case SelectHighlightsResult() if isinstance(call.request, SelectHighlightsInput):
            trail.add_selection(call.request, call.result)


def _owner(stream: StreamFacts) -> dict[str, UUID]:
    """Return the arguments that name a stream."""
    return {"tenant_id": stream.tenant_id, "stream_id": stream.id}


def _keys_of(clip: ClipFacts, stream: StreamFacts) -> Sequence[str]:
    """Return the keys that a clip has, or will have once it is rendered."""
    if clip.status is ClipStatus.RENDERING:
        start = f"{stream.tenant_id}/{stream.id}/{clip.id}"
        return (f"{start}.mp4", f"{start}.jpg")
    return [key for key in (clip.key, clip.thumbnail_key) if key is not None]


def _older(objects: Sequence[StoredObject], age: float) -> Sequence[StoredObject]:
    return [each for each in objects if each.age >= age]


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
