"""DeletionWorkflow: deletes a stream with everything that was made of it, until nothing is left."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Deletions
    from domain import task_queues
    from domain.streams.deletion import DeletionInput, DeletionProof
    from workflows import steps


@workflow.defn(name="DeletionWorkflow")
class DeletionWorkflow:
    """Deletes one stream. Its result, which is also a row, is the proof."""

    @workflow.run
    async def run(self, request: DeletionInput) -> DeletionProof:
        """Delete the stream, again until nothing of it is left."""
        return await workflow.execute_activity_method(
            Deletions.delete_stream,
            request,
            task_queue=task_queues.IO,
            start_to_close_timeout=timedelta(seconds=request.timeout),
            heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=request.retry_interval),
                maximum_interval=timedelta(seconds=30),
                non_retryable_error_types=[steps.RECORD_MISSING],
            ),
            summary="until nothing is left",
        )
