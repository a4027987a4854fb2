"""The relay: dispatches what was committed to PostgreSQL and not dispatched."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Inbound, Webhooks
    from domain import task_queues
    from domain.hms.messages import RelayInput, RelayReport
    from domain.webhooks.delivery import OutboxRelayInput
    from workflows.steps import cause_of

HEARTBEAT = timedelta(seconds=10)


@workflow.defn(name="InboundRelayWorkflow")
class RelayWorkflow:
    """Dispatches inbound events to their sessions, and outbound events to their deliveries.

    Both are normally dispatched by the process that committed them; the relay finds what was left
    because that process died or Temporal was away. Started by a schedule that starts the next
    execution when this one ends, however it ends. One execution makes many passes, so that the list
    of executions stays short.
    """

    @workflow.run
    async def run(self, request: RelayInput) -> RelayReport:
        """Make the passes; what fails is left to the next pass."""
        total = RelayReport()
        for number in range(request.passes):
            if number:
                if workflow.info().is_continue_as_new_suggested():
                    break
                await workflow.sleep(request.interval, summary="until the next pass")
            total = total.then(await self._relay(request, is_only=request.passes == 1))
            workflow.set_current_details(
                f"{total.delivered} sessions of {total.tenants} tenants signaled, "
                f"{total.left} left for the next pass"
            )
        return total

    async def _relay(self, request: RelayInput, *, is_only: bool) -> RelayReport:
        if not workflow.patched("relays-outbound"):
            return await self._relay_inbound(request, is_only=is_only)
        report, _ = await asyncio.gather(
            self._relay_inbound(request, is_only=is_only), self._relay_outbound(request)
        )
        return report

    async def _relay_inbound(self, request: RelayInput, *, is_only: bool) -> RelayReport:
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
                summary="dispatch pending inbound events",
            )
        except ActivityError as error:
            if is_cancelled_exception(error) or is_only:
                raise
            workflow.logger.warning("events were not relayed", extra={"cause": cause_of(error)})
            return RelayReport()

    async def _relay_outbound(self, request: RelayInput) -> None:
        try:
            await workflow.execute_activity_method(
                Webhooks.relay_events,
                task_queue=task_queues.IO,
                start_to_close_timeout=timedelta(seconds=request.timeout),
                heartbeat_timeout=timedelta(seconds=request.heartbeat_timeout),
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary="dispatch the outbox",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("the outbox was not relayed", extra={"cause": cause_of(error)})


@workflow.defn(name="OutboxRelayWorkflow")
class OutboxRelayWorkflow:
    """Retired in favor of `RelayWorkflow`. Executions of an earlier release end by themselves."""

    @workflow.run
    async def run(self, request: OutboxRelayInput) -> None:
        """Return at once, unless this run was started by the earlier release."""
        if workflow.patched("relayed-by-schedule"):
            return
        while not self._should_rotate(request):
            await self._relay(request)
            await workflow.sleep(request.interval, summary="until the next look")
        workflow.continue_as_new(request)

    async def _relay(self, request: OutboxRelayInput) -> None:
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
