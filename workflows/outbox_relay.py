"""The relay: what was committed to the outbox and not sent on is sent on."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Webhooks
    from domain import task_queues
    from domain.webhooks.delivery import OutboxRelayInput
    from workflows.steps import cause_of

HEARTBEAT = timedelta(seconds=10)


@workflow.defn(name="OutboxRelayWorkflow")
class OutboxRelayWorkflow:
    """Looks at the outbox again and again, for as long as the installation lives.

    There is one, started by whichever worker comes first. Events are sent by whoever commits
    them; what the relay finds is what that one could not, having died or met an outage.
    """

    @workflow.run
    async def run(self, request: OutboxRelayInput) -> None:
        """Look, wait, look again."""
        while not self._should_rotate(request):
            await self._look(request)
            await workflow.sleep(request.interval, summary="until the next look")
        workflow.continue_as_new(request)

    async def _look(self, request: OutboxRelayInput) -> None:
        """Relay once. What cannot be is left to the next look, when the outage may be over."""
        try:
            await workflow.execute_activity_method(
                Webhooks.relay_events,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=request.pass_timeout),
                heartbeat_timeout=HEARTBEAT,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary="look at the outbox",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("the outbox was not relayed", extra={"cause": cause_of(error)})

    def _should_rotate(self, request: OutboxRelayInput) -> bool:
        info = workflow.info()
        limit = request.history_limit
        return info.is_continue_as_new_suggested() or (
            limit is not None and info.get_current_history_length() >= limit
        )
