"""How many tasks wait in each task queue, as log lines that CloudWatch reads as metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from domain import task_queues
from infra.telemetry.metrics import QUEUE_BACKLOG

METRIC_NAMESPACE: Final = "Highlights"
BACKLOG_METRIC: Final = "task_queue_backlog"
_RPC_TIMEOUT: Final = timedelta(seconds=5)

_log = structlog.get_logger(__name__)


async def log_backlogs(client: Client, queues: Sequence[str], *, interval: float) -> None:
    """Log the backlog of each queue every `interval` seconds, until canceled.

    The lines have CloudWatch's embedded metric format: from the log group of an ECS service it
    makes the metric `task_queue_backlog` by `environment` (that of every log line) and
    `task_queue`. Elsewhere they are ordinary log lines.
    """
    while True:
        for queue in queues:
            try:
                backlog = await read_backlog(client, queue)
            except RPCError as error:
                _log.warning("backlog_unknown", task_queue=queue, error=error.message)
                continue
            QUEUE_BACKLOG.labels(queue).set(backlog)
            _log.info(
                "task_queue_backlog",
                task_queue=queue,
                **{BACKLOG_METRIC: backlog, "_aws": _embedded_metric()},
            )
        await asyncio.sleep(interval)


async def read_backlog(client: Client, queue: str) -> int:
    """Return the number of tasks that no worker has taken yet, as the server estimates it.

    Raises:
        temporalio.service.RPCError: Temporal does not answer, or does not permit it.
    """
    workflows = queue == task_queues.ORCHESTRATION
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=(
                TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
                if workflows
                else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
            ),
            report_stats=True,
        ),
        timeout=_RPC_TIMEOUT,
    )
    return described.stats.approximate_backlog_count


def _embedded_metric() -> dict[str, object]:
    return {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": METRIC_NAMESPACE,
                "Dimensions": [["environment", "task_queue"]],
                "Metrics": [{"Name": BACKLOG_METRIC, "Unit": "Count"}],
            }
        ],
    }
