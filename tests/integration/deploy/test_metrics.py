"""The Prometheus beside a service on AWS: its command, with a real Prometheus on both sides."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.dev.supervisor import free_ports
from deploy import metrics
from deploy.sizes import Sizes
from infra.child_process import ChildProcess
from infra.telemetry.metrics import serve_metrics

SIZES = Sizes.read()


@dataclass(frozen=True)
class Workspace:
    """A Prometheus that receives, in place of Amazon's, and the addresses of the other side."""

    url: str
    ours: str
    sdk: str

    async def wait_for(self, expression: str) -> list[dict[str, str]]:
        """Return the labels of what an expression finds, once it finds something."""
        async with asyncio.timeout(60):
            while True:
                if found := await self._query(expression):
                    return found
                await asyncio.sleep(0.2)

    async def _query(self, expression: str) -> list[dict[str, str]]:
        try:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"{self.url}/api/v1/query", params={"query": expression})
        except httpx.TransportError:
            return []
        if answer.status_code != httpx.codes.OK:
            return []
        return [each["metric"] for each in answer.json()["data"]["result"]]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus here (bin/system-packages)")
    own, beside, ours, sdk = (f"127.0.0.1:{port}" for port in free_ports(4))
    (tmp_path / "empty.yaml").write_text("{}", "utf-8")
    receiver = ChildProcess(
        [
            program,
            "--web.enable-remote-write-receiver",
            f"--config.file={tmp_path / 'empty.yaml'}",
            f"--storage.tsdb.path={tmp_path / 'received'}",
            f"--web.listen-address={own}",
        ],
        log=tmp_path / "receiver.log",
    )
    sidecar = ChildProcess(
        entry_point(tmp_path, beside, ours, sdk),
        log=tmp_path / "sidecar.log",
        env={
            "PATH": f"{Path(program).parent}:/usr/bin:/bin",
            metrics.WRITE_URL: f"http://{own}/api/v1/write",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        },
    )
    yield Workspace(f"http://{own}", ours, sdk)
    sidecar.stop()
    receiver.stop()


def entry_point(directory: Path, address: str, ours: str, sdk: str) -> list[str]:
    """Return the command as it is written, with other addresses, and scraping each second."""
    shell, flag, script = metrics.entry_point(SIZES, SIZES.services["worker-io"])
    script = script.replace(metrics.SCRATCH, str(directory)).replace("127.0.0.1:9090", address)
    script = script.replace(SIZES.variables["HIGHLIGHTS_METRICS_ADDRESS"], ours)
    script = script.replace(SIZES.variables["HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS"], sdk)
    return [shell, flag, re.sub(r'(_interval": )"\w+"', r'\1"1s"', script)]


async def test_the_metrics_of_a_service_reach_the_workspace_under_the_names_of_the_rules(
    workspace: Workspace,
) -> None:
    with serve_metrics(workspace.ours):
        found = await workspace.wait_for("highlights_streams_followed")
        down = await workspace.wait_for('up{job="temporal-sdk"} == 0')
    assert found[0]["job"] == "highlights-worker"
    assert found[0]["instance"] == down[0]["instance"] == socket.gethostname()
