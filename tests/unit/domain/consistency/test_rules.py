"""Each rule of an audit finds its fault, and is silent about a stream that agrees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

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
    RenditionFacts,
    StreamFacts,
    StreamTotals,
    UndeliveredEvent,
    UsageTotals,
    WindowFacts,
)
from domain.consistency.findings import REMEDIES, AuditFinding, FindingCode
from domain.consistency.rules import (
    AuditRules,
    WindowTally,
    left_stream,
    left_workflow,
    pending_session,
    stuck_batch,
)
from domain.exports.models import ExportStatus
from domain.feed.models import FeedOutcome
from domain.highlights.selection import DecisionStatus
from domain.hms.messages import SessionRef
from domain.media.segments import StoredObject
from domain.streams.reconciliation import ExecutionState
from domain.streams.status import StreamStatus
from domain.tenants.usage import UsageKind
from domain.webhooks.events import DeliveryStatus, EventType

GRACE = 60.0
KEPT = 86_400.0
OLD = 600.0
STREAM = StreamFacts(
    tenant_id=UUID(int=1),
    id=UUID(int=2),
    status=StreamStatus.COMPLETED,
    age=OLD,
    quiet=OLD,
    segments=6,
    missed=2,
    windows=3,
    highlights=1,
    clips=1,
    has_media=True,
)
LIVE = replace(STREAM, status=StreamStatus.LIVE)
TOTALS = StreamTotals(missed=2, shown=1, with_clip=1)
WINDOWS = [WindowFacts(index=n, start=4.0 * n, end=4.0 * n + 4, segments=2) for n in range(3)]
INDEXED = [IndexedSegment(key=f"m/{n}", start=2.0 * n, size=9) for n in range(6)]
STORED = {each.key for each in INDEXED}
KEY, PICTURE = "1/2/a.mp4", "1/2/a.jpg"
FILES = {KEY: StoredObject.at(KEY, 100, OLD), PICTURE: StoredObject.at(PICTURE, 7, OLD)}
HIGHLIGHT = HighlightFacts(
    id=uuid4(),
    status=DecisionStatus.CONFIRMED,
    age=OLD,
    quiet=OLD,
    clips={ClipStatus.READY: 1},
    events={EventType.HIGHLIGHT_PENDING: 1, EventType.HIGHLIGHT_CONFIRMED: 1},
)
CLIP = ClipFacts(
    id=uuid4(),
    highlight=DecisionStatus.CONFIRMED,
    status=ClipStatus.READY,
    age=OLD,
    quiet=OLD,
    key=KEY,
    thumbnail_key=PICTURE,
    size=100,
    events={EventType.CLIP_READY: 1},
    usage={UsageKind.CLIP_RENDERED: Decimal(1), UsageKind.CLIP_BYTES: Decimal(100)},
)
RENDITION = RenditionFacts(
    number=1,
    key=KEY,
    size=100,
    usage={UsageKind.EXPORT_RENDERED: Decimal(1), UsageKind.EXPORT_BYTES: Decimal(100)},
)
EXPORT = ExportFacts(
    id=uuid4(),
    status=ExportStatus.READY,
    age=OLD,
    quiet=OLD,
    files=(RENDITION,),
    events={EventType.EXPORT_READY: 1},
)
DELIVERY = DeliveryFacts(
    id=uuid4(),
    endpoint_id=uuid4(),
    ordering_key="highlight/x",
    status=DeliveryStatus.SUCCEEDED,
    attempts=2,
    recorded=2,
    counted=2,
    age=OLD,
)
FEED = FeedEventFacts(
    id="goal-1", outcome=FeedOutcome.MARKED, quiet=OLD, highlight=DecisionStatus.CONFIRMED
)
USAGE = UsageTotals(kind=UsageKind.CLIP_RENDERED, events=1, quantity=Decimal(1), hourly=Decimal(1))


def rules(stream: StreamFacts = STREAM) -> AuditRules:
    return AuditRules(stream=stream, grace=GRACE, kept=KEPT)


def codes(findings: Iterable[AuditFinding]) -> list[FindingCode]:
    return [each.code for each in findings]


def of_windows(
    windows: list[WindowFacts] = WINDOWS,
    *,
    stream: StreamFacts = STREAM,
    totals: StreamTotals = TOTALS,
    indexed: list[IndexedSegment] = INDEXED,
    kept_from: float | None = 0.0,
) -> list[FindingCode]:
    tally = WindowTally(rules(stream), kept_from=kept_from)
    for each in windows:  # pages of one
        tally.add([each])
    return codes(tally.findings(totals, indexed))


def test_nothing_is_wrong_with_a_stream_that_agrees() -> None:
    found = [
        *rules().execution(ExecutionState.COMPLETED, backfill=ExecutionState.MISSING),
        *rules().counters(TOTALS),
        *rules().media(INDEXED, STORED),
        *rules().highlight(HIGHLIGHT),
        *rules().clip(CLIP, FILES, None),
        *rules().export(EXPORT, FILES, None),
        *rules().left_files(FILES.values(), FILES),
        *rules().checksum("clip", KEY, expected="ab", found="ab"),
        *rules().feed_event(FEED),
        *rules().delivery(DELIVERY, None),
        *rules().undelivered([]),
        *rules().end_events({EventType.STREAM_ENDED: 1}),
        *rules().usage([USAGE], explained={UsageKind.CLIP_RENDERED: 1}),
    ]
    assert found == []
    assert of_windows() == []


@pytest.mark.parametrize(
    ("stream", "state", "expected"),
    [
        (LIVE, ExecutionState.RUNNING, []),
        (LIVE, ExecutionState.MISSING, [FindingCode.WORKFLOW_MISSING]),
        (LIVE, ExecutionState.TERMINATED, [FindingCode.WORKFLOW_MISSING]),
        (STREAM, ExecutionState.RUNNING, [FindingCode.WORKFLOW_LEFT]),
        (replace(LIVE, quiet=GRACE - 1), ExecutionState.MISSING, []),
        (replace(LIVE, is_being_deleted=True), ExecutionState.CANCELED, []),
    ],
)
def test_a_live_row_has_a_running_workflow_and_the_reverse(
    stream: StreamFacts, state: ExecutionState, expected: list[FindingCode]
) -> None:
    found = rules(stream).execution(state, backfill=ExecutionState.MISSING)
    assert codes(found) == expected


def test_a_recording_is_advanced_by_its_backfill() -> None:
    stream = replace(LIVE, is_recording=True)
    found = rules(stream).execution(ExecutionState.MISSING, backfill=ExecutionState.RUNNING)
    assert codes(found) == []


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        (replace(TOTALS, missed=1), [FindingCode.GAPS_DIFFER]),
        (replace(TOTALS, shown=2), [FindingCode.HIGHLIGHTS_DIFFER]),
        (replace(TOTALS, shown=0), [FindingCode.HIGHLIGHTS_DIFFER]),
        (replace(TOTALS, shown=0, withdrawn=1), []),
        (replace(TOTALS, with_clip=0), [FindingCode.CLIPS_DIFFER]),
        (replace(TOTALS, missed=1, shown=3, is_refilled=True), []),
    ],
)
def test_counters_agree_with_rows(totals: StreamTotals, expected: list[FindingCode]) -> None:
    assert codes(rules().counters(totals)) == expected


def test_counters_of_a_running_stream_lag_behind() -> None:
    assert codes(rules(LIVE).counters(replace(TOTALS, shown=9))) == []


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (WINDOWS[1:], [FindingCode.WINDOWS_MISSING, FindingCode.SEGMENTS_DIFFER]),
        (WINDOWS[:2], [FindingCode.WINDOWS_MISSING, FindingCode.SEGMENTS_DIFFER]),
        ([WINDOWS[0], WINDOWS[2]], [FindingCode.WINDOWS_MISSING, FindingCode.SEGMENTS_DIFFER]),
        (
            [WINDOWS[0], replace(WINDOWS[1], start=3.0), WINDOWS[2]],
            [FindingCode.WINDOWS_OVERLAP],
        ),
        (
            [WINDOWS[0], replace(WINDOWS[1], segments=3), WINDOWS[2]],
            [FindingCode.SEGMENTS_DIFFER, FindingCode.SEGMENTS_DIFFER],
        ),
    ],
)
def test_windows_cover_all_segments_once(
    windows: list[WindowFacts], expected: list[FindingCode]
) -> None:
    found = of_windows(windows)
    assert [each for each in found if each in set(expected)][: len(expected)] == expected


def test_an_index_names_each_segment_of_the_windows_once() -> None:
    assert of_windows(indexed=INDEXED[:-1]) == [FindingCode.SEGMENTS_DIFFER]
    assert of_windows(indexed=[*INDEXED, INDEXED[-1]]) == [FindingCode.SEGMENTS_DIFFER]


def test_only_stored_media_is_compared_with_windows() -> None:
    assert of_windows(indexed=INDEXED[2:], kept_from=4.0) == []
    assert of_windows(indexed=[], kept_from=None) == []


def test_windows_of_a_running_stream_may_still_come() -> None:
    assert of_windows(WINDOWS[:2], stream=LIVE, indexed=INDEXED) == []


@pytest.mark.parametrize("totals", [replace(TOTALS, is_refilled=True), TOTALS])
def test_a_backfill_records_no_windows(totals: StreamTotals) -> None:
    stream = replace(STREAM, is_recording=not totals.is_refilled)
    assert of_windows([], stream=stream, totals=totals) == []


def test_stored_media_is_whole_from_its_first_segment_on() -> None:
    assert codes(rules().media(INDEXED, STORED - {"m/3"})) == [FindingCode.MEDIA_MISSING]
    assert codes(rules().media(INDEXED, STORED - {"m/0", "m/1"})) == []  # released


def test_media_of_an_ended_stream_is_deleted_in_time() -> None:
    stream = replace(STREAM, has_media=False)
    assert codes(rules(stream).media(INDEXED, STORED)) == [FindingCode.MEDIA_LEFT]
    assert codes(rules(replace(LIVE, has_media=False)).media(INDEXED, STORED)) == []


@pytest.mark.parametrize(
    ("highlight", "expected"),
    [
        (replace(HIGHLIGHT, clips={}), [FindingCode.CLIP_MISSING]),
        (replace(HIGHLIGHT, clips={ClipStatus.FAILED: 1}), []),
        (replace(HIGHLIGHT, events={}), [FindingCode.EVENT_MISSING]),
        (replace(HIGHLIGHT, events={}, age=KEPT), []),
        (
            replace(HIGHLIGHT, events={EventType.HIGHLIGHT_CONFIRMED: 2}),
            [FindingCode.EVENT_REPEATED],
        ),
        (
            replace(HIGHLIGHT, status=DecisionStatus.PENDING),
            [FindingCode.HIGHLIGHT_UNDECIDED],
        ),
        (
            replace(HIGHLIGHT, status=DecisionStatus.HELD, events={}),
            [FindingCode.HIGHLIGHT_UNDECIDED],
        ),
        (replace(HIGHLIGHT, status=DecisionStatus.RETRACTED), [FindingCode.EVENT_MISSING]),
        (replace(HIGHLIGHT, status=DecisionStatus.RETRACTED, events={}), []),
        (replace(HIGHLIGHT, status=DecisionStatus.REJECTED), [FindingCode.DECISIONS_DIFFER]),
        (replace(HIGHLIGHT, status=DecisionStatus.REJECTED, clips={}, events={}), []),
        (replace(HIGHLIGHT, clips={}, quiet=GRACE - 1), []),
    ],
)
def test_a_highlight_is_decided_published_once_and_has_a_clip(
    highlight: HighlightFacts, expected: list[FindingCode]
) -> None:
    assert codes(rules().highlight(highlight)) == expected


def test_a_highlight_of_a_running_stream_may_be_pending() -> None:
    pending = replace(HIGHLIGHT, status=DecisionStatus.PENDING, clips={})
    assert codes(rules(LIVE).highlight(pending)) == []


CHOSEN, REFUSED = (
    HighlightFacts(id=UUID(int=n), status=status, age=OLD, quiet=OLD)
    for n, status in ((11, DecisionStatus.CONFIRMED), (12, DecisionStatus.REJECTED))
)
ROWS = (CHOSEN, REFUSED)


def of_candidates(
    rows: Iterable[HighlightFacts] = ROWS,
    *,
    stream: StreamFacts = STREAM,
    found: Iterable[HighlightFacts] = ROWS,
    decided: Iterable[HighlightFacts] = ROWS,
    is_whole: bool = True,
    is_refilled: bool = False,
) -> list[FindingCode]:
    """Compare rows with a history in which windows found candidates and selection decided."""
    trail = CandidateTrail(
        is_whole=is_whole,
        found={each.id for each in found},
        selected={each.id for each in decided},
        decisions={each.id: each.status for each in decided},
    )
    by_id = {each.id: each for each in rows}
    return codes(rules(stream).candidates(trail, by_id, is_refilled=is_refilled))


def test_each_candidate_of_a_window_has_its_decision_in_a_row() -> None:
    assert of_candidates() == []
    assert of_candidates([CHOSEN]) == [FindingCode.CANDIDATES_MISSING]
    assert of_candidates([CHOSEN], stream=LIVE) == [FindingCode.CANDIDATES_MISSING]


def test_a_candidate_that_was_never_passed_to_selection_is_missing_at_the_end() -> None:
    assert of_candidates([CHOSEN], decided=[CHOSEN]) == [FindingCode.CANDIDATES_MISSING]
    assert of_candidates([CHOSEN], decided=[CHOSEN], stream=LIVE) == []
    stopped = replace(STREAM, status=StreamStatus.FAILED)
    assert of_candidates([CHOSEN], decided=[CHOSEN], stream=stopped) == []


def test_a_row_that_no_window_produced_is_unknown() -> None:
    of_chosen = partial(of_candidates, found=[CHOSEN], decided=[CHOSEN])
    assert of_chosen() == [FindingCode.CANDIDATES_UNKNOWN]
    assert of_chosen(is_whole=False) == []  # a run that the server keeps no longer
    assert of_chosen(is_refilled=True) == []
    assert of_chosen(stream=LIVE) == []


def test_a_candidate_of_a_dead_worker_is_known_by_its_selection() -> None:
    assert of_candidates(found=[]) == []


@pytest.mark.parametrize(
    ("decided", "now", "expected"),
    [
        (DecisionStatus.REJECTED, DecisionStatus.CONFIRMED, [FindingCode.DECISIONS_DIFFER]),
        (DecisionStatus.CONFIRMED, DecisionStatus.REJECTED, [FindingCode.DECISIONS_DIFFER]),
        (DecisionStatus.REJECTED, DecisionStatus.RETRACTED, [FindingCode.DECISIONS_DIFFER]),
        (DecisionStatus.CONFIRMED, DecisionStatus.RETRACTED, []),
    ],
)
def test_a_row_has_the_last_decision_unless_it_was_withdrawn(
    decided: DecisionStatus, now: DecisionStatus, expected: list[FindingCode]
) -> None:
    row, selected = replace(CHOSEN, status=now), replace(CHOSEN, status=decided)
    assert of_candidates([row], found=[CHOSEN], decided=[selected]) == expected
    new = replace(row, quiet=GRACE - 1)
    assert of_candidates([new], found=[CHOSEN], decided=[selected]) == []


@pytest.mark.parametrize(
    ("clip", "state", "expected"),
    [
        (replace(CLIP, key="1/2/b.mp4"), None, [FindingCode.FILE_MISSING]),
        (replace(CLIP, thumbnail_key="1/2/b.jpg"), None, [FindingCode.FILE_MISSING]),
        (
            replace(CLIP, size=99),
            None,
            [FindingCode.FILE_DIFFERS, FindingCode.USAGE_MISSING],
        ),
        (replace(CLIP, events={}), None, [FindingCode.EVENT_MISSING]),
        (replace(CLIP, events={EventType.CLIP_READY: 2}), None, [FindingCode.EVENT_REPEATED]),
        (replace(CLIP, usage={}), None, [FindingCode.USAGE_MISSING] * 2),
        (replace(CLIP, usage={}, events={}, age=KEPT), None, []),
        (
            replace(CLIP, status=ClipStatus.RENDERING),
            ExecutionState.TERMINATED,
            [FindingCode.WORKFLOW_MISSING],
        ),
        (replace(CLIP, status=ClipStatus.RENDERING), ExecutionState.RUNNING, []),
        (replace(CLIP, status=ClipStatus.FAILED, events={}), None, [FindingCode.EVENT_MISSING]),
        (replace(CLIP, status=ClipStatus.DELETED, key=None, events={}), None, []),
        (replace(CLIP, highlight=DecisionStatus.RETRACTED, key="1/2/gone.mp4"), None, []),
        (replace(CLIP, key="1/2/b.mp4", quiet=GRACE - 1), None, []),
    ],
)
def test_a_clip_agrees_with_its_file_event_usage_and_workflow(
    clip: ClipFacts, state: ExecutionState | None, expected: list[FindingCode]
) -> None:
    assert codes(rules().clip(clip, FILES, state)) == expected


@pytest.mark.parametrize(
    ("export", "state", "expected"),
    [
        (
            replace(EXPORT, files=(replace(RENDITION, key="1/2/x.mp4"),)),
            None,
            [FindingCode.FILE_MISSING],
        ),
        (
            replace(EXPORT, files=(replace(RENDITION, usage={}),)),
            None,
            [FindingCode.USAGE_MISSING] * 2,
        ),
        (replace(EXPORT, events={}), None, [FindingCode.EVENT_MISSING]),
        (replace(EXPORT, status=ExportStatus.FAILED), None, [FindingCode.EVENT_MISSING]),
        (
            replace(EXPORT, status=ExportStatus.RUNNING),
            ExecutionState.MISSING,
            [FindingCode.WORKFLOW_MISSING],
        ),
    ],
)
def test_an_export_agrees_with_its_files_event_usage_and_workflow(
    export: ExportFacts, state: ExecutionState | None, expected: list[FindingCode]
) -> None:
    assert codes(rules().export(export, FILES, state)) == expected


def test_an_object_that_no_row_names_is_found_after_its_grace_time() -> None:
    left = StoredObject.at("1/2/left.mp4", 5, OLD)
    new = StoredObject.at("1/2/new.mp4", 5, GRACE - 1)
    assert codes(rules().left_files([left, new, *FILES.values()], FILES)) == [FindingCode.FILE_LEFT]


def test_a_file_with_another_checksum_differs() -> None:
    found = rules().checksum("clip x", KEY, expected="ab", found="cd")
    assert codes(found) == [FindingCode.FILE_DIFFERS]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (replace(FEED, outcome=FeedOutcome.WAITING), [FindingCode.FEED_EVENT_UNRESOLVED]),
        (replace(FEED, highlight=None), [FindingCode.FEED_EVENT_UNRESOLVED]),
        (replace(FEED, outcome=FeedOutcome.UNUSED, highlight=None), []),
        (replace(FEED, outcome=FeedOutcome.WAITING, quiet=GRACE - 1), []),
    ],
)
def test_a_feed_event_is_resolved_at_the_end(
    event: FeedEventFacts, expected: list[FindingCode]
) -> None:
    assert codes(rules().feed_event(event)) == expected


@pytest.mark.parametrize(
    ("delivery", "state", "expected"),
    [
        (replace(DELIVERY, recorded=1), None, [FindingCode.ATTEMPTS_DIFFER]),
        (replace(DELIVERY, counted=1), None, [FindingCode.USAGE_MISSING]),
        (
            replace(DELIVERY, attempts=0, recorded=0, counted=0),
            None,
            [FindingCode.ATTEMPTS_DIFFER],
        ),
        (replace(DELIVERY, waits=OLD), ExecutionState.MISSING, [FindingCode.DELIVERY_STUCK]),
        (replace(DELIVERY, waits=OLD), ExecutionState.RUNNING, []),
        (replace(DELIVERY, waits=OLD, is_queued=False), None, [FindingCode.DELIVERY_STUCK]),
        (replace(DELIVERY, waits=GRACE - 1, is_queued=False), None, []),
    ],
)
def test_a_delivery_is_attempted_recorded_and_counted(
    delivery: DeliveryFacts, state: ExecutionState | None, expected: list[FindingCode]
) -> None:
    assert codes(rules().delivery(delivery, state)) == expected


def test_each_endpoint_gets_each_event() -> None:
    kind = EventType.CLIP_READY
    missing = [
        UndeliveredEvent(id=uuid4(), type=kind, age=OLD, endpoint_id=uuid4()),
        UndeliveredEvent(id=uuid4(), type=kind, age=OLD),
        UndeliveredEvent(id=uuid4(), type=kind, age=GRACE - 1),
    ]
    assert codes(rules().undelivered(missing)) == [FindingCode.EVENT_NOT_SENT] * 2


def test_the_end_of_a_stream_is_published_once() -> None:
    assert codes(rules().end_events({})) == [FindingCode.EVENT_MISSING]
    assert codes(rules().end_events({EventType.STREAM_ENDED: 2})) == [FindingCode.EVENT_REPEATED]
    failed = rules(replace(STREAM, status=StreamStatus.FAILED))
    assert codes(failed.end_events({EventType.STREAM_ENDED: 1})) == [FindingCode.EVENT_MISSING]
    assert codes(rules(LIVE).end_events({})) == []


def test_usage_is_counted_once_and_its_hours_add_up() -> None:
    explained = {UsageKind.CLIP_RENDERED: 1}
    twice = replace(USAGE, events=2, quantity=Decimal(2), hourly=Decimal(2))
    assert codes(rules().usage([twice], explained=explained)) == [FindingCode.USAGE_REPEATED]
    more = replace(USAGE, hourly=Decimal("1.5"))
    assert codes(rules().usage([more], explained=explained)) == [FindingCode.USAGE_HOURS_DIFFER]
    old = replace(STREAM, age=KEPT)
    assert codes(rules(old).usage([more], explained=explained)) == []


def test_what_belongs_to_no_row_is_named() -> None:
    media = left_stream(UUID(int=1), UUID(int=9), store="SEGMENT_STORE", objects=3)
    assert (media.code, media.stream_id) == (FindingCode.MEDIA_LEFT, None)
    assert "3 objects" in media.problem
    files = left_stream(UUID(int=1), UUID(int=9), store="CLIP_STORE", objects=3)
    assert files.code is FindingCode.FILE_LEFT
    assert "no row" in left_workflow(UUID(int=1), "clip/1/2", status=None).problem
    assert "says ready" in left_workflow(UUID(int=1), "clip/1/2", status="ready").problem


def test_a_session_with_events_that_were_not_applied_is_named() -> None:
    ref = SessionRef(tenant_id=UUID(int=1), connection_id=UUID(int=3), partition="session:s")
    found = pending_session(ref, grace=GRACE)
    assert (found.code, found.stream_id) == (FindingCode.INBOUND_EVENT_PENDING, None)
    assert found.subject == f"connection {UUID(int=3)}, session:s"


@pytest.mark.parametrize(
    ("quiet", "state", "is_stuck"),
    [
        (OLD, ExecutionState.MISSING, True),
        (OLD, ExecutionState.RUNNING, False),
        (GRACE - 1, ExecutionState.MISSING, False),
    ],
)
def test_an_unfinished_batch_has_a_running_workflow(
    quiet: float, state: ExecutionState, is_stuck: bool
) -> None:
    batch = BatchFacts(id=UUID(int=4), status=ExportStatus.RUNNING, quiet=quiet)
    found = stuck_batch(UUID(int=1), batch, state, grace=GRACE)
    assert (found is not None) == is_stuck
    assert found is None or found.code is FindingCode.BATCH_STUCK


def test_each_code_has_a_remedy_and_a_section_of_the_page() -> None:
    page = (Path(__file__).parents[4] / "docs" / "audit.md").read_text("utf-8")
    assert set(REMEDIES) == set(FindingCode)
    assert [code for code in FindingCode if f"`{code.value}`" not in page] == []
