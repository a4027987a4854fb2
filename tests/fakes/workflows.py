"""A stream workflow that does nothing but show how it was started and wait to be stopped."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.streams.backfill.messages import BackfillInput
    from domain.streams.messages import (
        ClipCorrection,
        RecordingReady,
        SourceFailure,
        StopRequest,
        StreamInput,
        StreamWorkflowResult,
    )
    from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus


@workflow.defn(name="StreamWorkflow")
class FakeStreamWorkflow:
    @workflow.init
    def __init__(self, _request: StreamInput) -> None:
        self._progress = StreamProgress(status=StreamStatus.LIVE, position=42.0, segments=21)
        self._end: StreamEnd | None = None
        self._recordings: list[RecordingReady] = []
        self._corrections: list[ClipCorrection] = []

    @workflow.run
    async def run(self, _request: StreamInput) -> StreamWorkflowResult:
        await workflow.wait_condition(lambda: self._end is not None)
        assert self._end is not None
        return StreamWorkflowResult(end=self._end, progress=self._progress)

    @workflow.signal
    def stop(self, request: StopRequest) -> None:
        self._end = StreamEnd(reason=EndReason.STOPPED, message=request.message)

    @workflow.signal
    def source_failed(self, failure: SourceFailure) -> None:
        message = f"{failure.error_type}: {failure.message}"
        self._end = StreamEnd(reason=EndReason.SOURCE_FAILED, message=message)

    @workflow.signal
    def recording_ready(self, recording: RecordingReady) -> None:
        self._recordings.append(recording)

    @workflow.signal
    def correct_clip(self, request: ClipCorrection) -> None:
        self._corrections.append(request)

    @workflow.query
    def corrections(self) -> list[ClipCorrection]:
        return self._corrections

    @workflow.query
    def recordings(self) -> list[RecordingReady]:
        return self._recordings

    @workflow.query
    def status(self) -> StreamProgress:
        return self._progress


@workflow.defn(name="BackfillWorkflow")
class FakeBackfillWorkflow:
    @workflow.run
    async def run(self, request: BackfillInput) -> BackfillInput:
        return request
