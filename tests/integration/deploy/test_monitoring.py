"""What dashboards and alerts read exists: metrics of the processes, and rows of the tenant."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import yaml
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError

from app.container import Container
from app.dev.postgres import DatabaseUrls
from app.dev.supervisor import free_ports
from app.worker import ingest_activities, running, workers
from deploy.monitoring.dashboards import DASHBOARDS, Panel
from domain import task_queues
from domain.streams.reconciliation import ReconcileExecutionsInput
from infra.db.migration import migrate
from infra.settings import Settings
from infra.telemetry.metrics import serve_metrics
from infra.telemetry.temporal import temporal_runtime
from infra.temporal.client import connect
from workflows.reconcile import ReconcileExecutionsWorkflow

RULES = Path(__file__).parents[3] / "deploy" / "monitoring" / "rules.yaml"
NAMES = re.compile(r"(?<![\w:.])(?:highlights|temporal|process)[:_][\w:]+")
PANELS = [(board, panel) for board in DASHBOARDS for panel in board.panels]


def named(*texts: str) -> set[str]:
    return {name for text in texts for name in NAMES.findall(text)}


def rules() -> Iterator[dict[str, str]]:
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        yield from group["rules"]


def exposed(text: str) -> set[str]:
    """Return the names of all samples, also of those that have no value yet."""
    found = set()
    for line in text.splitlines():
        kind, _, rest = line.removeprefix("# ").partition(" ")
        if line.startswith("#") and kind == "TYPE":
            name, _, form = rest.partition(" ")
            endings = ("_bucket", "_sum", "_count") if form == "histogram" else ("",)
            found |= {name + ending for ending in endings}
    return found


async def scrape(address: str) -> str:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{address}/metrics")
    return answer.raise_for_status().text


async def drive(client: Client, settings: Settings) -> None:
    """Let the real worker run a workflow; and let one call of each kind fail."""
    async with Container(settings, client=client) as container:
        ingest = ingest_activities(container)
        async with running(workers(container, client, ingest)):
            await client.execute_workflow(
                ReconcileExecutionsWorkflow.run,
                ReconcileExecutionsInput(),
                id=f"reconcile-{uuid4()}",
                task_queue=task_queues.ORCHESTRATION,
            )
        await ingest.close()
    with pytest.raises(RPCError):
        await client.get_workflow_handle("missing").describe()
    with pytest.raises(RPCError):
        await client.get_workflow_handle("missing").result()  # a long poll


async def test_every_metric_of_panels_and_rules_is_exposed(
    empty_database: DatabaseUrls, temporal_client: Client, tmp_path: Path
) -> None:
    # Without what other tests left behind, which reconciliation would repair.
    await migrate(empty_database.owner)
    ours, sdk = (f"127.0.0.1:{port}" for port in free_ports(2))
    settings = Settings(
        temporal_address=temporal_client.service_client.config.target_host,
        temporal_metrics_address=sdk,
        database_url=SecretStr(empty_database.application),
        clip_store=str(tmp_path / "clips"),
        segment_store=str(tmp_path / "segments"),
    )
    client = await connect(settings, runtime=temporal_runtime(settings))
    async with asyncio.timeout(180):
        await drive(client, settings)
    with serve_metrics(ours):
        text = await scrape(sdk)
        found = exposed(text) | exposed(await scrape(ours))
    assert 'status_code="NOT_FOUND"' in text  # the form in which the alerts name them
    found |= {rule["record"] for rule in rules() if "record" in rule}
    wanted = named(*(rule["expr"] for rule in rules()))
    wanted |= named(*(query for _, panel in PANELS for query in panel.queries.values()))
    assert len(wanted) > 20
    assert wanted - found == set()


@pytest.mark.parametrize(
    "panel",
    [panel for board, panel in PANELS if board.source == "postgres"],
    ids=lambda panel: panel.title,
)
async def test_a_panel_reads_the_rows_of_one_tenant(
    panel: Panel, postgres: DatabaseUrls, tenant: UUID, stream: UUID, other_tenant: UUID
) -> None:
    (query,) = panel.queries.values()
    connection = await asyncpg.connect(postgres.application.replace("+asyncpg", ""))

    async def rows(tenant_id: UUID) -> list[asyncpg.Record]:
        text = query.replace("${tenant}", str(tenant_id)).replace("${stream}", str(stream))
        found: list[asyncpg.Record] = await connection.fetch(text)
        return found

    try:
        assert await rows(other_tenant) == []
        found = await rows(tenant)
    finally:
        await connection.close()
    assert bool(found) is (panel.title in {"Stream", "Streams by status", "Latest streams"})
