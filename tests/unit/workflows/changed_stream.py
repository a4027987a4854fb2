"""A stream's workflow after a careless change: same steps, another order."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.streams.messages import StreamInput, StreamWorkflowResult
    from workflows.stream import StreamWorkflow


@workflow.defn(name="StreamWorkflow")
class ChangedStreamWorkflow(StreamWorkflow):
    """Writes its state down before it fetches anything."""

    @workflow.init
    def __init__(self, request: StreamInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: StreamInput) -> StreamWorkflowResult:
        """Record, then follow the stream."""
        await self._record()
        return await super().run(request)
