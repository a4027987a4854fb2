"""A stream workflow that does nothing but show how it was started and wait to be stopped."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.stream import EndReason, StreamEnd, StreamProgress, StreamStatus
    from domain.stream_input import StopRequest, StreamInput, StreamResult


@workflow.defn(name="StreamWorkflow")
class StandInStreamWorkflow:
    @workflow.init
    def __init__(self, _request: StreamInput) -> None:
        self._progress = StreamProgress(status=StreamStatus.LIVE, position=42.0, segments=21)
        self._stop: StopRequest | None = None

    @workflow.run
    async def run(self, _request: StreamInput) -> StreamResult:
        await workflow.wait_condition(lambda: self._stop is not None)
        message = self._stop.message if self._stop else ""
        return StreamResult(
            end=StreamEnd(reason=EndReason.STOPPED, message=message), progress=self._progress
        )

    @workflow.signal
    def stop(self, request: StopRequest) -> None:
        self._stop = request

    @workflow.query
    def status(self) -> StreamProgress:
        return self._progress
