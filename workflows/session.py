"""One 100ms session: processes its stored events in order."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Inbound
    from domain import task_queues
    from domain.hms.messages import SessionInput, SessionResult


# A run takes at most 10,000 signals, and the server's suggestion does not come in time for them.
_SIGNALS_PER_RUN: Final = 5_000


@workflow.defn(name="SessionWorkflow")
class SessionWorkflow:
    """Processes the events of one session, one batch at a time.

    The events and the state of the session's beams are rows in PostgreSQL, so that a signal says
    no more than that there are events to process: a signal that comes twice, late or out of order
    changes nothing. One execution per session means that one process at a time works on it. The
    execution ends after a day without events; a later event starts the next one.
    """

    @workflow.init
    def __init__(self, request: SessionInput) -> None:
        self._request = request
        self._has_events = True  # a new run looks first: the one before may have left some
        self._processed = request.processed
        self._signals = 0

    @workflow.run
    async def run(self, request: SessionInput) -> SessionResult:
        """Process events until none has come for `idle_timeout`."""
        while await self._wait_for_events():
            if self._should_rotate():
                workflow.continue_as_new(
                    SessionInput(
                        ref=request.ref,
                        timing=request.timing,
                        history_limit=request.history_limit,
                        processed=self._processed,
                    )
                )
            await self._process()
        return SessionResult(processed=self._processed)

    @workflow.signal
    def events_stored(self) -> None:
        """Note that events of this session were stored."""
        self._signals += 1
        self._has_events = True

    async def _wait_for_events(self) -> bool:
        try:
            await workflow.wait_condition(
                lambda: self._has_events,
                timeout=timedelta(seconds=self._request.timing.idle_timeout),
                timeout_summary="until the session is idle",
            )
        except TimeoutError:
            return self._has_events
        return True

    async def _process(self) -> None:
        """Process a batch. Failed attempts are retried until PostgreSQL and Temporal answer."""
        timing = self._request.timing
        self._has_events = False  # before the activity reads: a signal from now on is a new look
        found = await workflow.execute_activity_method(
            Inbound.process_session_events,
            self._request.ref,
            task_queue=task_queues.IO,
            start_to_close_timeout=timedelta(seconds=timing.timeout),
            heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=timing.retry_interval),
                maximum_interval=timedelta(seconds=timing.max_retry_interval),
            ),
            summary="process stored events",
        )
        self._processed += found.processed
        self._has_events = self._has_events or found.has_more
        workflow.set_current_details(f"{self._processed} events processed")

    def _should_rotate(self) -> bool:
        info = workflow.info()
        limit = self._request.history_limit
        return (
            info.is_continue_as_new_suggested()
            or self._signals >= _SIGNALS_PER_RUN
            or (limit is not None and info.get_current_history_length() >= limit)
        )
