"""A stream's workflow to which something happens while it continues as new."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.streams.messages import StreamInput, StreamWorkflowResult
    from workflows.stream import StreamWorkflow


@workflow.defn(name="StreamWorkflow")
class SlowHandOver(StreamWorkflow):
    """Waits for what a test sends when it is about to continue as new: a stop, or a clip's end."""

    @workflow.init
    def __init__(self, request: StreamInput) -> None:
        super().__init__(request)
        self._waits = False

    @workflow.run
    async def run(self, request: StreamInput) -> StreamWorkflowResult:
        """Follow the stream."""
        return await super().run(request)

    @workflow.query
    def is_handing_over(self) -> bool:
        """Return True if only that is missing."""
        return self._waits

    async def _hand_over_clips(self) -> None:
        await super()._hand_over_clips()
        self._waits = True
        await workflow.wait_condition(lambda: self._stop is not None or bool(self._discards))
