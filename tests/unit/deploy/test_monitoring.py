"""Dashboards, alerts and runbooks belong together, and each alert fires when it should."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import dashboards

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "deploy" / "monitoring"
RULES: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text("utf-8"))
TESTS: dict[str, Any] = yaml.safe_load((MONITORING / "rules_test.yaml").read_text("utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
ALERTS = {
    rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule
}


def test_the_dashboards_are_those_that_the_description_gives() -> None:
    found = {each.name: each.read_text("utf-8") for each in dashboards.DIRECTORY.iterdir()}
    assert found == dashboards.files(), "run `make deploy-files`"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_its_runbook(name: str) -> None:
    page = ROOT / ALERTS[name]["annotations"]["runbook_url"]
    assert page.read_text("utf-8").startswith(f"# {name}\n")


def test_every_runbook_is_that_of_an_alert() -> None:
    pages = {each.stem for each in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages - {"README"} == set(ALERTS)


def test_of_each_alert_one_case_fires_and_one_does_not() -> None:
    cases: dict[str, set[bool]] = defaultdict(set)
    for test in TESTS["tests"]:
        for each in test["alert_rule_test"]:
            cases[each["alertname"]].add(bool(each["exp_alerts"]))
    assert cases == {name: {True, False} for name in ALERTS}


@pytest.mark.parametrize(
    "arguments",
    [("test", "rules", "rules_test.yaml"), ("check", "config", "prometheus.yaml")],
    ids=["alerts fire", "the configuration is valid"],
)
def test_prometheus_confirms(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (bin/system-packages)")
    done = subprocess.run(
        [promtool, *arguments], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", ["prometheus", "grafana"])
def test_what_compose_mounts_exists(service: str) -> None:
    mounted = [each for each in COMPOSE["services"][service]["volumes"] if each.startswith("./")]
    assert mounted
    assert all((ROOT / each.partition(":")[0]).exists() for each in mounted)
