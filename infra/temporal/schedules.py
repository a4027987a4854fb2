"""Temporal Schedules of ours, made by whoever starts first and kept up to date by the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydantic import BaseModel
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from domain import task_queues

_RPC_TIMEOUT: Final = timedelta(seconds=5)
_CATCH_UP: Final = timedelta(minutes=1)
"""A round missed for longer than this is not made up for: the next one does its work."""


@dataclass(frozen=True, kw_only=True)
class IntervalSchedule:
    """Rounds of a workflow, one every so often and never two at once.

    Attributes:
        id: of the schedule, and the beginning of its workflows' ids.
        workflow: its name.
        request: what each round is started with.
        every: time between the beginnings of two rounds.
        note: for who looks at it in Temporal's page.
    """

    id: str
    workflow: str
    request: BaseModel
    every: timedelta
    note: str


async def ensure_schedule(client: Client, rounds: IntervalSchedule) -> None:
    """Make a schedule, or bring it up to date; one that an operator has paused stays paused.

    Raises:
        temporalio.service.RPCError: Temporal does not answer, or does not permit it.
    """
    wanted = _schedule(rounds)
    try:
        await client.create_schedule(rounds.id, wanted, rpc_timeout=_RPC_TIMEOUT)
    except ScheduleAlreadyRunningError:

        def bring_up_to_date(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(
                Schedule(
                    action=wanted.action,
                    spec=wanted.spec,
                    policy=wanted.policy,
                    state=found.description.schedule.state,
                )
            )

        await client.get_schedule_handle(rounds.id).update(
            bring_up_to_date, rpc_timeout=_RPC_TIMEOUT
        )


def _schedule(rounds: IntervalSchedule) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            rounds.workflow,
            rounds.request,
            id=rounds.id,
            task_queue=task_queues.ORCHESTRATION,
            static_summary=rounds.note,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=rounds.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )
