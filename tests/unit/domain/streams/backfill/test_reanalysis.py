"""A stream is analysed once more: all of it, in pieces as small as live ones, nothing twice."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.analysis.gemini.budget import GateReason
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult, GeminiReport
from domain.media.segments import Gap
from domain.media.timestamps import ClockAnchor
from domain.streams.backfill.ledger import BackfillLedger
from domain.streams.backfill.messages import (
    BackfillInput,
    BackfillOutcome,
    RecordingSurvey,
    StoredStreamState,
)
from domain.streams.backfill.planning import (
    MOST_PIECES,
    REANALYSIS_PIECE,
    BackfillPlan,
    JoinedBy,
    plan_reanalysis,
)
from domain.streams.messages import RecordingReady
from domain.streams.status import StreamProgress, StreamStatus
from tests.factories.backfill import LENGTH, NOON, gap, recording, seconds

REQUEST = BackfillInput(
    tenant_id=UUID(int=1),
    stream_id=UUID(int=2),
    recording=RecordingReady(url="https://cdn.example/vod.m3u8"),
    again=True,
)


def plan(
    *gaps: Gap, anchor: ClockAnchor | None = None, segments: int = 300, dated: bool = True
) -> BackfillPlan:
    return plan_reanalysis(gaps, recording(segments, dated=dated), anchor=anchor, stream_end=600.0)


def new_ledger(of: BackfillPlan) -> BackfillLedger:
    progress = StreamProgress(
        status=StreamStatus.COMPLETED,
        position=600.0,
        segments=300,
        highlights=4,
        notice="Only the local analyzer is at work.",
    )
    stream = StoredStreamState(
        game="soccer", profile_id="soccer", profile_version="1", progress=progress
    )
    return BackfillLedger(REQUEST, stream, RecordingSurvey(plan=of))


def test_all_of_the_stream_is_fetched_and_counts() -> None:
    (span,) = plan().ranges
    assert (span.pieces[0].start, span.pieces[-1].last) == (0.0, 299)
    assert span.counts(0.0)
    assert span.counts(599.0)
    assert span.joined_by is not JoinedBy.WALL_CLOCK


def test_its_pieces_are_as_small_as_a_gate_needs_them() -> None:
    (span,) = plan().ranges
    assert {each.last - each.first + 1 for each in span.pieces[:-1]} == {REANALYSIS_PIECE / LENGTH}


def test_of_a_long_stream_there_are_no_more_pieces_than_a_history_holds() -> None:
    whole = plan_reanalysis((), recording(18_000), anchor=None, stream_end=36_000.0)
    assert len(whole.ranges[0].pieces) <= MOST_PIECES


def test_a_peak_known_on_both_clocks_ties_it_to_the_recording() -> None:
    (span,) = plan(anchor=ClockAnchor(at=50.0, wall=NOON + seconds(150.0)), segments=400).ranges
    assert span.joined_by is JoinedBy.WALL_CLOCK
    assert (span.pieces[0].first, span.pieces[0].start) == (50, 0.0)


def test_so_does_a_gap_which_is_filled_on_the_way() -> None:
    missed = gap(200.0, 20.0, joined=100.0)
    (span,) = plan(missed, segments=400).ranges
    assert span.gaps == (missed,)
    assert span.pieces[0].first == 50
    assert span.counts(10.0)


def test_what_cannot_be_tied_is_not_guessed() -> None:
    found = new_ledger(plan(segments=100, dated=False))
    assert found.ranges == ()
    assert found.result().outcome is BackfillOutcome.NO_RECORDING


def test_it_says_what_is_new_and_leaves_the_end_of_the_stream_as_it_was() -> None:
    ledger = new_ledger(plan())
    ledger.close()
    assert ledger.result().outcome is BackfillOutcome.REANALYZED
    assert ledger.record().progress.status is StreamStatus.COMPLETED


@pytest.mark.parametrize(
    ("report", "notice"),
    [
        (GeminiReport(pieces={GateReason.MOMENT: 1}), ""),
        (GeminiReport(), "Only the local analyzer is at work."),
        (None, "Only the local analyzer is at work."),
    ],
)
def test_once_gemini_has_looked_the_stream_no_longer_says_that_it_has_not(
    report: GeminiReport | None, notice: str
) -> None:
    ledger = new_ledger(plan())
    request = AnalyzeWindowInput(
        tenant_id=REQUEST.tenant_id,
        stream_id=REQUEST.stream_id,
        windows=(),
        profile_id="soccer",
        profile_version="1",
    )
    ledger.record_analyzed(request, AnalyzeWindowResult(watermark=10.0, gemini=report))
    assert ledger.record().progress.notice == notice
