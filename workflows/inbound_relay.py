"""Delivering inbound events that could not be delivered when they came, again and again."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Inbound
    from domain import task_queues
    from domain.hms.messages import RelayInput, RelayReport
    from workflows.steps import cause_of


@workflow.defn(name="InboundRelayWorkflow")
class InboundRelayWorkflow:
    """Started by a schedule that starts the next one when this one ends, however it ends.

    One execution makes many passes, so that the list of executions stays short.
    """

    @workflow.run
    async def run(self, request: RelayInput) -> RelayReport:
        """Deliver what waits, pass after pass; what fails waits for the next pass."""
        total = RelayReport()
        for number in range(request.passes):
            if number:
                if workflow.info().is_continue_as_new_suggested():
                    break
                await workflow.sleep(request.interval, summary="until the next pass")
            total = total.then(await self._relay(request, is_only=request.passes == 1))
            workflow.set_current_details(
                f"{total.delivered} events of {total.tenants} tenants delivered, "
                f"{total.left} lanes left for the next round"
            )
        return total

    async def _relay(self, request: RelayInput, *, is_only: bool) -> RelayReport:
        try:
            return await workflow.execute_activity_method(
                Inbound.relay_inbound,
                request,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=request.timeout),
                heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=request.retry_interval),
                    maximum_attempts=request.attempts,
                ),
                summary="deliver what waits",
            )
        except ActivityError as error:
            if is_cancelled_exception(error) or is_only:
                raise
            workflow.logger.warning("events were not relayed", extra={"cause": cause_of(error)})
            return RelayReport()
