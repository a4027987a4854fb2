"""The OpenAPI document keeps to Redocly's recommended rules, warnings included."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
CLI = "node_modules/@redocly/cli/bin/cli.js"


def linter(home: Path) -> list[str]:
    """The command, or a skip: Node.js is not among what every machine has."""
    node = shutil.which("node")
    installed = next((home / "tools").glob(f"openapi-*/{CLI}"), None)
    if node is None or installed is None:
        pytest.skip("no OpenAPI linter here: it needs Node.js (bin/locked-tools openapi)")
    config = ROOT / "tools" / "openapi" / "redocly.yaml"
    return [node, str(installed), "lint", f"--config={config}", "--format=json"]


def problems(command: list[str], document: Path) -> list[str]:
    run = subprocess.run(
        [*command, str(document)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
    )
    found = json.loads(run.stdout)["problems"]
    assert (run.returncode == 0) == (found == []), run.stderr
    return [f"{each['ruleId']} at {each['location'][0]['pointer']}" for each in found]


async def test_the_document_has_no_problems(
    anonymous: httpx.AsyncClient, home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "openapi.json"
    path.write_bytes((await anonymous.get("/openapi.json")).content)
    assert problems(linter(home), path) == []


async def test_the_linter_sees_an_example_that_breaks_its_schema(
    anonymous: httpx.AsyncClient, home: Path, tmp_path: Path
) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    document["components"]["schemas"]["Stream"]["examples"][0]["segments"] = "many"
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    found = problems(linter(home), path)
    assert found
    assert all(each.startswith("no-invalid-schema-examples") for each in found)
