"""A stream's books, and short words for what happens to them."""

from __future__ import annotations

from domain.analysis.messages import AnalyzeWindowResult
from domain.clips.models import ClipSpec
from domain.highlights.selection import Decision, SelectHighlightsResult, SelectionState
from domain.ingest.messages import FetchWindowResult, IngestCursor
from domain.media.segments import Window
from domain.streams.ledger import StreamLedger
from domain.streams.messages import StreamInput, StreamState, StreamTiming
from domain.streams.status import EndReason, StreamEnd, StreamStatus
from tests.unit.domain.clip_cases import STREAM, TENANT

TIMING = StreamTiming(release_interval=12.0, media_horizon=30.0)
OVER = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="the playlist ended")
STOPPED = StreamEnd(reason=EndReason.STOPPED, message="stopped")


def ledger(state: StreamState | None = None) -> StreamLedger:
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


def reloaded(books: StreamLedger) -> StreamLedger:
    """As the next run of the workflow gets them, through Temporal's JSON."""
    return ledger(StreamState.model_validate_json(books.state().model_dump_json()))


def fetch(
    books: StreamLedger,
    *windows: Window | None,
    end: StreamEnd | None = None,
    stalled: bool = False,
) -> None:
    for each in windows:
        cursor = IngestCursor(window_index=each.index + 1 if each else 0)
        books.fetched(FetchWindowResult(cursor=cursor, window=each, end=end, stalled=stalled))


def analyze(books: StreamLedger, watermark: float | None = None) -> AnalyzeWindowResult:
    request = books.analysis_request()
    last = request.windows[-1].end if request.windows else books.progress.analyzed
    result = AnalyzeWindowResult(watermark=last if watermark is None else watermark)
    books.analyzed(request, result)
    return result


def decide(books: StreamLedger, *decisions: Decision) -> tuple[ClipSpec, ...]:
    return books.decided(SelectHighlightsResult(state=SelectionState(), decisions=decisions))


def status(books: StreamLedger) -> StreamStatus:
    return books.progress.status
