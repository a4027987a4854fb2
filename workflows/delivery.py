"""DeliveryWorkflow: delivers the events of one endpoint and ordering key, in order."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Webhooks
    from domain import task_queues
    from domain.webhooks.delivery import (
        AttemptOutcome,
        AttemptRequest,
        DeliveryEntry,
        DeliveryInput,
        DeliveryOrder,
        DeliveryQueue,
        DeliveryResult,
        PostponedAttempt,
        attempt_at,
    )

# Temporal limits a run to 10,000 signals; its continue-as-new suggestion may come too late.
_SIGNALS_PER_RUN = 5_000
_LONGEST_RETRY = timedelta(seconds=30)
_EXTRA_ATTEMPTS = "extra-attempts-take-none-from-the-schedule"


@workflow.defn(name="DeliveryWorkflow")
class DeliveryWorkflow:
    """Delivers the events with one endpoint and one ordering key, one after the other.

    Signal-with-start adds a delivery; the workflow ends when none is left. Other endpoints and
    other keys have workflows of their own, so that they never wait for each other.
    """

    @workflow.init
    def __init__(self, request: DeliveryInput) -> None:
        self._request = request
        self._queue = DeliveryQueue(request.queue, request.result)
        self._signals = 0

    @workflow.run
    async def run(self, request: DeliveryInput) -> DeliveryResult:
        """Deliver until the queue is empty."""
        await workflow.wait_condition(lambda: bool(self._queue))
        while self._queue:
            await self._wait_until_due()
            if self._should_rotate():
                workflow.continue_as_new(
                    request.model_copy(
                        update={"queue": self._queue.entries(), "result": self._queue.result}
                    )
                )
            await self._attempt()
        return self._queue.result

    @workflow.signal
    def deliver(self, order: DeliveryOrder) -> None:
        """Add a delivery."""
        self._signals += 1
        self._queue.add(order)
        workflow.set_current_details(self._queue.report())

    async def _wait_until_due(self) -> None:
        """Wait for the next attempt of the first delivery, which can change while waiting."""
        while not self._should_rotate():
            first = self._queue.first
            wait = first.due - workflow.now() if first.due else timedelta(0)
            if wait <= timedelta(0):
                return
            try:
                await workflow.wait_condition(
                    partial(self._may_go_on, first),
                    timeout=wait,
                    timeout_summary=f"until attempt {first.attempt + 1}",
                )
            except TimeoutError:
                return

    def _may_go_on(self, first: DeliveryEntry) -> bool:
        return self._queue.first != first or self._should_rotate()

    async def _attempt(self) -> None:
        entry, timing = self._queue.begin(), self._request.timing
        began = entry.began or workflow.now()
        next_attempt_at = attempt_at(
            entry.attempt + 1,
            began=began,
            offsets=timing.offsets,
            jitter=timing.jitter,
            chance=workflow.random().random(),
        )
        extra = (
            entry.scheduled is not None
            and entry.scheduled > workflow.now()
            and workflow.patched(_EXTRA_ATTEMPTS)
        )
        if extra:
            next_attempt_at = entry.scheduled
        answer = await workflow.execute_activity_method(
            Webhooks.deliver,
            AttemptRequest(
                tenant_id=self._request.tenant_id,
                endpoint_id=self._request.endpoint_id,
                delivery_id=entry.delivery_id,
                next_attempt_at=next_attempt_at,
            ),
            task_queue=task_queues.DELIVER,
            start_to_close_timeout=timedelta(seconds=timing.attempt_timeout),
            heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=timing.retry_interval),
                maximum_interval=_LONGEST_RETRY,
            ),
            summary=f"attempt {entry.attempt + 1} of {len(timing.offsets)}",
        )
        if isinstance(answer, PostponedAttempt):
            outcome = AttemptOutcome.FAILED
            if next_attempt_at is not None:
                next_attempt_at = max(next_attempt_at, answer.retry_at)
        else:
            outcome = answer
        self._queue.conclude(outcome, began=began, next_attempt_at=next_attempt_at, extra=extra)
        workflow.set_current_details(self._queue.report())

    def _should_rotate(self) -> bool:
        info = workflow.info()
        limit = self._request.history_limit
        return (
            info.is_continue_as_new_suggested()
            or self._signals >= _SIGNALS_PER_RUN
            or (limit is not None and info.get_current_history_length() >= limit)
        )
