"""`python -m benchmarks.inbound.worker`: the worker that processes sessions, and nothing else.

Workflows of streams are started and signaled; here they only wait. Settings come from the
environment, as the product's do.
"""

from __future__ import annotations

import asyncio
import signal
from unittest.mock import patch

from temporalio.worker import Worker

from app.worker import workflow_runner
from benchmarks.inbound.idle_stream import IdleStreamWorkflow
from benchmarks.inbound.processing import opened
from benchmarks.inbound.served import BOUNDLESS
from domain import task_queues
from domain.tenants.usage import PLANS, PlanName
from infra.settings import Settings
from infra.telemetry import logs
from infra.temporal.client import connect
from workflows.session import SessionWorkflow


async def work() -> None:
    """Work until SIGINT."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopping.set)
    settings = Settings()
    client = await connect(settings)
    assert settings.database_url is not None  # noqa: S101
    url = settings.database_url.get_secret_value()
    async with (
        opened(client, url, settings) as activities,
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[SessionWorkflow, IdleStreamWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(
            client,
            task_queue=task_queues.IO,
            activities=[activities.process_session_events],
            max_concurrent_activities=settings.io_concurrency,
        ),
    ):
        await stopping.wait()


if __name__ == "__main__":
    logs.configure(Settings(), component="worker")
    with patch.dict(PLANS, {PlanName.ENTERPRISE: BOUNDLESS}):
        asyncio.run(work())
