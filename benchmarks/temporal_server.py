"""The embedded Temporal server: activities per second, and fairness between two tenants.

`python -m benchmarks.temporal_server [PATH …]` measures the server that `highlights dev` would
start, on a SQLite file, and each other Temporal CLI named, one after the other in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from app.dev import temporal as temporal_binary
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalBinary, TemporalServer
from infra.settings import Settings
from infra.temporal.client import connect

WORKFLOWS, ACTIVITIES = 32, 20
QUEUE, SLOW_QUEUE = "benchmark", "benchmark-slow"
CROWD, LATE = 48, 24
"""Activities that one tenant has waiting when the second comes, and of those made next."""

_order: list[str] = []


@activity.defn
async def nothing(tenant: str) -> None:
    """Return at once; on the slow queue, note whose turn it was."""
    if tenant:
        _order.append(tenant)
        await asyncio.sleep(0.02)


@workflow.defn
class Busy:
    """Runs activities: one after the other, or all at a time on the slow queue."""

    @workflow.run
    async def run(self, tenant: str, count: int) -> None:
        """Run `count` activities."""
        limit = timedelta(seconds=60)
        if not tenant:
            for _ in range(count):
                await workflow.execute_activity(nothing, "", start_to_close_timeout=limit)
            return
        waiting = [
            workflow.execute_activity(
                nothing, tenant, task_queue=SLOW_QUEUE, start_to_close_timeout=limit
            )
            for _ in range(count)
        ]
        await asyncio.gather(*waiting)


async def throughput(client: Client) -> float:
    """Return activities a second of workflows that run side by side."""
    began = time.monotonic()
    await asyncio.gather(
        *(
            client.execute_workflow(
                Busy.run, args=["", ACTIVITIES], id=str(uuid4()), task_queue=QUEUE
            )
            for _ in range(WORKFLOWS)
        )
    )
    return WORKFLOWS * ACTIVITIES / (time.monotonic() - began)


async def fairness(client: Client) -> int:
    """Return how many of the next activities are the second tenant's, on one slot."""
    _order.clear()

    async def tenant(name: str) -> None:
        await client.execute_workflow(
            Busy.run,
            args=[name, CROWD],
            id=str(uuid4()),
            task_queue=QUEUE,
            priority=Priority(fairness_key=name),
        )

    first = asyncio.create_task(tenant("first"))
    while len(_order) < 2:  # noqa: ASYNC110 - of a benchmark
        await asyncio.sleep(0.01)
    second = asyncio.create_task(tenant("second"))
    while "second" not in _order:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    came = _order.index("second")
    await asyncio.gather(first, second)
    return _order[came : came + LATE].count("second")


async def measure(binary: TemporalBinary, folder: Path) -> None:
    """Print the figures of one server."""
    (port,) = free_ports(1)
    began = time.monotonic()
    server = TemporalServer(
        binary, port=port, ui_port=None, database=folder / "temporal.db", log=folder / "log"
    )
    try:
        server.wait_ready()
        client = await connect(Settings(temporal_address=server.address))
        ready = time.monotonic() - began
        runner = UnsandboxedWorkflowRunner()
        async with (
            Worker(
                client, task_queue=QUEUE, workflows=[Busy], activities=[nothing],
                workflow_runner=runner,
            ),
            Worker(
                client, task_queue=SLOW_QUEUE, activities=[nothing], max_concurrent_activities=1
            ),
        ):  # fmt: skip
            await throughput(client)  # warm
            rate = await throughput(client)
            fair = await fairness(client)
    finally:
        server.stop()
    print(
        f"{binary.version}: ready after {ready:.1f} s, {rate:.0f} activities/s, "
        f"{fair} of {LATE} to the tenant that came second"
    )


async def main() -> None:
    """Measure each server in turn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.temporal_server")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="other Temporal CLIs")
    found = temporal_binary.find_binary(Settings().home_path())
    binaries = [found] if found else []
    binaries += [
        TemporalBinary(path=each, version=each.name, source="setting")
        for each in parser.parse_args().paths
    ]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for binary in binaries:
        with tempfile.TemporaryDirectory() as folder:
            await measure(binary, Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
