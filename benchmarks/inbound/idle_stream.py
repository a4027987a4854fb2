"""A stream workflow that only waits."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.streams.messages import StreamInput


@workflow.defn(name="StreamWorkflow")
class IdleStreamWorkflow:
    """Waits until it is terminated."""

    @workflow.run
    async def run(self, _request: StreamInput) -> None:
        """Wait."""
        await workflow.wait_condition(lambda: False)
