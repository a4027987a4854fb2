"""A stream's ledger, and short words for what happens to them."""

from __future__ import annotations

from domain.analysis.messages import AnalyzeWindowResult
from domain.clips.models import ClipSpec
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, SelectHighlightsResult, SelectionState
from domain.ingest.messages import FetchWindowResult, IngestCursor
from domain.media.segments import Window
from domain.streams.ledger import StreamLedger
from domain.streams.messages import (
    AnalyzedWindows,
    FollowResult,
    StreamInput,
    StreamState,
    StreamTiming,
)
from domain.streams.status import EndReason, StreamEnd, StreamStatus
from tests.factories.clips import STREAM, TENANT, WHEN

TIMING = StreamTiming(release_interval=12.0, media_horizon=30.0)
OVER = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="the playlist ended")
STOPPED = StreamEnd(reason=EndReason.STOPPED, message="stopped")


def new_ledger(state: StreamState | None = None) -> StreamLedger:
    return StreamLedger(
        StreamInput(
            tenant_id=TENANT,
            stream_id=STREAM,
            playlist_url="https://cdn.example.com/master.m3u8",
            game="valorant",
            profile_id="valorant",
            profile_version="1",
            timing=TIMING,
            state=state or StreamState(),
        )
    )


def reloaded(ledger: StreamLedger) -> StreamLedger:
    """As the next run of the workflow gets them, through Temporal's JSON."""
    return new_ledger(StreamState.model_validate_json(ledger.state().model_dump_json()))


def fetch(
    ledger: StreamLedger,
    *windows: Window | None,
    end: StreamEnd | None = None,
    stalled: bool = False,
) -> None:
    for each in windows:
        cursor = IngestCursor(window_index=each.index + 1 if each else 0)
        ledger.record_fetched(
            FetchWindowResult(cursor=cursor, window=each, end=end, stalled=stalled)
        )


def follow(
    ledger: StreamLedger,
    *windows: Window,
    analyzed: int = 0,
    candidates: tuple[HighlightCandidate, ...] = (),
    listed: float = 10.0,
) -> None:
    """Record a call of `follow_stream`, with one analysis of the next `analyzed` windows."""
    request = ledger.follow_request(analyze=True)
    waiting = [*request.backlog, *windows]
    done = AnalyzedWindows(
        count=analyzed,
        result=AnalyzeWindowResult(
            watermark=waiting[analyzed - 1].end if analyzed else 0.0, candidates=candidates
        ),
        analyzed_at=WHEN,
    )
    cursor = IngestCursor(window_index=windows[-1].index + 1) if windows else request.fetch.cursor
    ledger.record_followed(
        FollowResult(
            cursor=cursor, windows=windows, analyses=(done,) if analyzed else (), listed=listed
        )
    )


def analyze(ledger: StreamLedger, watermark: float | None = None) -> AnalyzeWindowResult:
    request = ledger.analysis_request()
    last = request.windows[-1].end if request.windows else ledger.progress.analyzed
    result = AnalyzeWindowResult(watermark=last if watermark is None else watermark)
    ledger.record_analyzed(request, result)
    return result


def decide(ledger: StreamLedger, *decisions: Decision) -> tuple[ClipSpec, ...]:
    return ledger.record_decisions(
        SelectHighlightsResult(state=SelectionState(), decisions=decisions)
    )


def status(ledger: StreamLedger) -> StreamStatus:
    return ledger.progress.status
