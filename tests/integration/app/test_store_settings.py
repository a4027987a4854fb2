"""Doctor, API and worker say the same of each store setting."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.dev.postgres import DatabaseUrls
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from app.doctor import examine
from app.startup import check_stores
from infra.errors import StartFailedError
from infra.settings import Settings
from tests.fakes.s3_server import REGION, S3Server
from tests.fakes.scripted_s3 import ScriptedS3, refusal

HIGHLIGHTS = str(Path(sys.executable).with_name("highlights"))
DEADLINE = 120.0  # each starts three processes, which takes a minute of a busy machine
SETTINGS = ("SEGMENT_STORE", "CLIP_STORE")
COMPONENTS = {"Segment store": "SEGMENT_STORE", "Clip store": "CLIP_STORE"}


@pytest.fixture
def environment(
    s3_server: S3Server, postgres: DatabaseUrls, temporal_server: TemporalServer
) -> dict[str, str]:
    return {
        **os.environ,
        **s3_server.environment(),
        "DATABASE_URL": postgres.application,
        "TEMPORAL_ADDRESS": temporal_server.address,
        "HIGHLIGHTS_API_PORT": str(free_ports(1)[0]),
        "HIGHLIGHTS_LOG_FORMAT": "json",
        "HIGHLIGHTS_GRACEFUL_SHUTDOWN_TIMEOUT": "0",
    }


async def doctor(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what the doctor finds of each store, by its setting."""
    process = await asyncio.create_subprocess_exec(
        *(HIGHLIGHTS, "doctor", "--json"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    return {
        COMPONENTS[found["component"]]: found
        for found in json.loads(output)
        if found["component"] in COMPONENTS
    }


async def logged(command: str, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Start a process, and return what it logs of each store; then end it."""
    process = await asyncio.create_subprocess_exec(
        *(HIGHLIGHTS, command), env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    found: dict[str, dict[str, Any]] = {}
    try:
        async with asyncio.timeout(DEADLINE):
            while len(found) < len(SETTINGS):
                line = await process.stderr.readline()
                assert line, f"{command} has ended"
                if line.startswith(b"{") and (entry := json.loads(line))["message"] == "store":
                    found[entry["setting"]] = entry
    finally:
        process.kill()
        await process.communicate()
    return found


async def refused_start(command: str, environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Start a process that is expected to end; return its exit code and last words."""
    process = await asyncio.create_subprocess_exec(
        *(HIGHLIGHTS, command), env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), DEADLINE)
    return process.returncode, said.decode()


async def test_good_stores_are_described_alike(
    environment: dict[str, str], s3_server: S3Server
) -> None:
    environment |= {name: f"s3://{s3_server.make_bucket()}/x" for name in SETTINGS}
    by_doctor, by_worker, by_api = await asyncio.gather(
        doctor(environment), logged("worker", environment), logged("serve", environment)
    )
    for name in SETTINGS:
        found = f"S3 in {REGION}, encryption: bucket, tags"
        assert by_doctor[name]["state"] == "ok"
        assert (by_doctor[name]["where"], by_doctor[name]["version"]) == (environment[name], found)
        for log in (by_worker, by_api):
            assert (log[name]["where"], log[name]["found"]) == (environment[name], found)


async def test_a_bad_store_is_refused_alike(
    environment: dict[str, str], s3_server: S3Server
) -> None:
    bad = "CLIP_STORE"
    environment |= {
        "SEGMENT_STORE": f"s3://{s3_server.make_bucket()}/x",
        bad: "s3://no-such-bucket",
    }
    by_doctor, *refusals = await asyncio.gather(
        doctor(environment),
        refused_start("worker", environment),
        refused_start("serve", environment),
    )
    problem = f"{bad} cannot be used: Bucket no-such-bucket does not exist. Create it"
    assert by_doctor[bad]["advice"].startswith(problem)
    assert by_doctor[bad]["state"] == "missing"
    for code, said in refusals:
        assert code not in (0, None)
        assert problem in " ".join(said.split())


async def test_a_store_that_is_away_keeps_no_process_from_starting(
    environment: dict[str, str],
) -> None:
    (port,) = free_ports(1)
    environment["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{port}"
    environment |= dict.fromkeys(SETTINGS, "s3://bucket/x")
    by_doctor, by_worker, by_api = await asyncio.gather(
        doctor(environment), logged("worker", environment), logged("serve", environment)
    )
    for name in SETTINGS:
        for log in (by_worker, by_api):
            assert log[name]["problem"].startswith("S3 cannot be reached for s3://bucket/x: ")
            assert log[name]["problem"] in by_doctor[name]["advice"]


@pytest.fixture
def scripted() -> Iterator[ScriptedS3]:
    server = ScriptedS3()
    yield server
    server.close()


FAULTS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "bucket": ({}, "Bucket no-such-bucket does not exist."),
    "region": ({"AWS_REGION": "us-west-2"}, f"is in region {REGION}"),
    "denied": (
        {"AWS_ACCESS_KEY_ID": "stranger", "AWS_SECRET_ACCESS_KEY": "stranger-secret"},
        "S3 denies ListObjectsV2",
    ),
    "credentials": ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "does not accept our AWS credentials"),
    "clock": ({}, "The clock of this machine is wrong"),
    "throttled": ({}, "S3 still asks for fewer requests"),
    "unreachable": ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "S3 cannot be reached"),
    "no url": ({"AWS_ENDPOINT_URL_S3": "nowhere"}, "The client of S3 cannot be made"),
}
ANSWERS = {"clock": refusal(403, "RequestTimeTooSkewed"), "throttled": refusal(503, "SlowDown")}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_doctor_says_of_a_fault_what_a_start_says(
    s3_server: S3Server, scripted: ScriptedS3, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """API and worker start with `check_stores`, as the tests above show."""
    changes, words = FAULTS[fault]
    bucket = "no-such-bucket" if fault == "bucket" else s3_server.make_bucket()
    if fault in ANSWERS:
        scripted.answers(ANSWERS[fault])
        changes = {"AWS_ENDPOINT_URL_S3": scripted.url}
    for name, value in {**s3_server.environment(), **changes}.items():
        monkeypatch.setenv(name, value)
    settings = Settings(segment_store=f"s3://{bucket}/x", clip_store=f"s3://{bucket}/y")
    found = await asyncio.to_thread(lambda: list(examine(settings)))
    advice = {each.component: each.advice for each in found if each.component in COMPONENTS}
    said: list[str] = []
    with capture_logs() as logs:
        try:
            await check_stores(settings)
        except StartFailedError as error:
            said.append(f"{error.message} {error.remedy}")
    said += [str(each["problem"]) for each in logs]
    assert said
    assert all(words in each for each in said)
    advised = " ".join(advice.values())
    assert all(each in advised for each in said)
