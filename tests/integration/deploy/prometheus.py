"""A real Prometheus with the rules of deploy/monitoring, whose windows and waits are seconds."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import httpx
import pytest
import yaml

from app.dev.supervisor import free_ports
from infra.child_process import ChildProcess

MONITORING: Final = Path(__file__).parents[3] / "deploy" / "monitoring"


class Prometheus:
    """A Prometheus with our rules, sped up, that scrapes what serves metrics at its addresses.

    Args:
        directory: where its files are written.
        with_api: scrape an API too.

    Attributes:
        ours: address for the metrics of a worker.
        sdk: address for those of Temporal's SDK.
        api: address for those of an API.
    """

    def __init__(self, directory: Path, *, with_api: bool = False) -> None:
        program = shutil.which("prometheus")
        if program is None:
            pytest.skip("no prometheus here (bin/system-packages)")
        self.ours, self.sdk, self.api, own = (f"127.0.0.1:{port}" for port in free_ports(4))
        self.url = f"http://{own}"
        rules = (MONITORING / "rules.yaml").read_text("utf-8")
        rules = re.sub(r"\[\d+[mh]\]", "[10s]", re.sub(r"for: \d+m", "for: 1s", rules))
        (directory / "rules.yaml").write_text(rules, "utf-8")
        configuration = yaml.safe_load((MONITORING / "prometheus.yaml").read_text("utf-8"))
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        targets = {"highlights-worker": self.ours, "temporal-sdk": self.sdk}
        if with_api:
            targets["highlights-api"] = self.api
        configuration["scrape_configs"] = [
            each | {"static_configs": [{"targets": [targets[each["job_name"]]]}]}
            for each in configuration["scrape_configs"]
            if each["job_name"] in targets
        ]
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration), "utf-8")
        self.process = ChildProcess(
            [
                program,
                f"--config.file={directory / 'prometheus.yaml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={own}",
            ],
            log=directory / "prometheus.log",
        )

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire now; none while Prometheus starts."""
        return {each["alertname"] for each in await self.alerts()}

    async def alerts(self) -> list[dict[str, str]]:
        """Return the labels of the alerts that fire now; none while Prometheus starts."""
        async with httpx.AsyncClient() as client:
            try:
                answer = await client.get(f"{self.url}/api/v1/alerts")
            except httpx.TransportError:
                return []
        if answer.status_code != httpx.codes.OK:
            return []
        alerts = answer.json()["data"]["alerts"]
        return [each["labels"] for each in alerts if each["state"] == "firing"]

    async def until(
        self, check: Callable[[set[str]], bool], *, meanwhile: Callable[[], Awaitable[object]]
    ) -> None:
        """Call `meanwhile` until the alerts that fire pass the check."""
        async with asyncio.timeout(60):
            while not check(await self.firing()):
                await meanwhile()
                await asyncio.sleep(0.2)
