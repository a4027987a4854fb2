"""A round of maintenance deletes what is old, and tries again where it failed."""

from __future__ import annotations

from uuid import uuid4

from temporalio.client import Client

from domain import task_queues
from domain.tenants.retention import (
    ExpireRecordsInput,
    MaintenanceInput,
    RecordKind,
    RetentionPolicy,
)
from tests.fakes.scripted_stream import Script, failing, running
from workflows.maintenance import MaintenanceWorkflow


async def test_a_round_asks_for_what_the_policy_says_until_it_is_done(
    temporal_client: Client,
) -> None:
    script = Script()
    script.before["expire_records"] = failing(2)
    wanted = ExpireRecordsInput(policy=RetentionPolicy(usage_events=1e7), batch=7)
    async with running(temporal_client, script):
        result = await temporal_client.execute_workflow(
            MaintenanceWorkflow.run,
            MaintenanceInput(expire=wanted, retry_interval=0.01),
            id=f"maintenance-{uuid4()}",
            task_queue=task_queues.ORCHESTRATION,
        )
    assert script.expired == [wanted]
    assert result.deleted == {RecordKind.USAGE_EVENTS: 2}
