"""The product starts from compose.yaml alone: its order, migrations, health checks and commands.

The services run as processes of this machine, with the commands and the environment of the file;
only host names, ports and directories differ. PostgreSQL and RabbitMQ are those of
the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import yaml

from app.dev import temporal as temporal_binary
from app.dev.postgres import PostgresServer, binaries
from app.dev.supervisor import free_ports
from infra.child_process import ChildProcess
from tests.conftest import run_apart
from tests.fakes.rabbitmq import Broker
from tests.fakes.s3_server import find_s3_server
from tests.integration.deploy.dockerfile import ROOT, Stage, read_stages

FILE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]
STAGES: Final = read_stages()
GIVEN: Final = {"HIGHLIGHTS_SIGNING_SECRET": "0123456789abcdef" * 4}
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
_DEADLINE: Final = 90.0
_METRICS: Final = ("HIGHLIGHTS_METRICS_ADDRESS", "HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS")


def interpolated(text: object) -> str:
    """Fill in variables as Compose does; one that is required must be among GIVEN."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        return GIVEN[name] if kind == "?" else GIVEN.get(name, rest or "")

    return _VARIABLE.sub(value, str(text)).replace("$$", "$")


def order() -> list[str]:
    """The services without those of a profile, which are started only on demand."""
    graph = {
        name: set(each.get("depends_on", {}))
        for name, each in SERVICES.items()
        if "profiles" not in each
    }
    return list(TopologicalSorter(graph).static_order())


class Machine:
    """The services of the file that run so far, each at an address of this machine."""

    def __init__(self, directory: Path, home: Path, server: PostgresServer, broker: Broker) -> None:
        self._directory, self._home, self._broker = directory, home, broker
        self._postgres = server
        self._processes: list[ChildProcess] = []
        ports = free_ports(5)
        others = [f"127.0.0.1:{port}" for port in free_ports(6)]
        self.metrics = {
            "api": others[:2],
            "worker": others[2:4],
            "migrate": others[4:],
        }
        self.replaced: dict[str, str] = dict(
            zip(
                ("temporal:7233", "s3:7070", "api:8000", "worker:8001"),
                (f"127.0.0.1:{port}" for port in ports),
                strict=False,
            )
        )

    def start(self, name: str) -> None:
        """Start one service, and wait for what others wait for."""
        service = SERVICES[name]
        starts = {"postgres": self._start_postgres, "rabbitmq": self._start_rabbitmq}
        (starts.get(name) or (lambda: self._start_process(name)))()
        if service.get("restart") == "no":
            assert self._processes[-1].wait() == 0, self._processes[-1].last_words()
            return
        if name == "rabbitmq":
            return  # started and awaited by its fixture; its check knows one node per machine
        deadline = time.monotonic() + _DEADLINE
        while (done := self._check(name)).returncode:
            assert time.monotonic() < deadline, f"{name}: {done.stderr}"
            time.sleep(0.2)

    def run(self, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the environment of a service."""
        program, *arguments = (self._native(name, interpolated(each)) for each in argv)
        return subprocess.run(
            [self._program(program), *arguments],
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.stop()

    def _check(self, name: str) -> subprocess.CompletedProcess[str]:
        check = SERVICES[name].get("healthcheck", {}).get("test") or self._stage(name).health
        return self.run(name, *(check[1:] if check[0] == "CMD" else check))

    def _start_postgres(self) -> None:
        database = f"compose_{uuid4().hex}"
        url = urlsplit(run_apart(self._postgres.prepare(database)).owner)
        options = parse_qs(url.query)
        self._socket = options["host"][0]
        for role in ("highlights_owner", "highlights_app"):
            password = interpolated(SERVICES["postgres"]["environment"]["APP_PASSWORD"])
            self.replaced[f"{role}:{password}@postgres:5432/highlights"] = (
                f"{role}@/{database}?host={self._socket}"
            )
        (script,) = (each for each in SERVICES["postgres"]["volumes"] if "initdb" in each)
        psql = [
            str(binaries() / "psql"),
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self._socket,
            "-U",
            "postgres",
        ]
        done = subprocess.run(
            [*psql, "-d", database, "-f", str(ROOT / script.partition(":")[0])],
            env=self._environment("postgres"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _start_rabbitmq(self) -> None:
        url = urlsplit(self._broker.url)
        self.replaced["highlights:highlights@rabbitmq:5672"] = url.netloc

    def _start_process(self, name: str) -> None:
        service = SERVICES[name]
        argv = [*service.get("entrypoint", []), *(service.get("command") or self._stage(name).cmd)]
        if name == "temporal":
            argv = ["temporal", *argv, "--port", self.replaced["temporal:7233"].partition(":")[2]]
            argv += ["--headless"]
        program, *arguments = (self._native(name, interpolated(each)) for each in argv)
        self._processes.append(
            ChildProcess(
                [self._program(program), *arguments],
                log=self._directory / f"{name}.log",
                env=self._environment(name),
            )
        )

    def _stage(self, name: str) -> Stage:
        return STAGES[SERVICES[name]["build"]["target"]]

    def _environment(self, name: str) -> Mapping[str, str]:
        service = SERVICES[name]
        built = self._stage(name).env if "build" in service else {}
        environment = {**built, **service.get("environment", {})}
        native = {
            key: self._native(name, interpolated(value)) for key, value in environment.items()
        }
        native["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        if "build" in service:
            native["HIGHLIGHTS_HOME"] = str(self._directory / name)
            port = self.replaced["api:8000"].partition(":")[2]
            native |= {"HIGHLIGHTS_API_PORT": port, "HIGHLIGHTS_API_HOST": "127.0.0.1"}
            for variable, address in zip(_METRICS, self.metrics[name], strict=True):
                native[variable] = address
            native |= {"HOME": str(self._directory), "AWS_EC2_METADATA_DISABLED": "true"}
        return native

    def _native(self, name: str, text: str) -> str:
        replaced = dict(self.replaced)
        for port in ("8000", "8001", "7233", "7070"):
            for service, address in self.replaced.items():
                if service == f"{name}:{port}" or (name == "worker" and port in service):
                    replaced[f"127.0.0.1:{port}"] = address
        if name == "s3":
            replaced[":7070"] = f":{self.replaced['s3:7070'].partition(':')[2]}"
            replaced = {"127.0.0.1:7070": self.replaced["s3:7070"], ":7070": replaced[":7070"]}
        for directory in ("/data", "/metadata"):
            replaced[directory] = str(self._directory / f"{name}{directory.replace('/', '-')}")
            if name in {"s3", "temporal"}:
                Path(replaced[directory]).mkdir(exist_ok=True)
        if name == "postgres":
            replaced["127.0.0.1"] = getattr(self, "_socket", "")
        pattern = "|".join(re.escape(each) for each in sorted(replaced, key=len, reverse=True))
        return re.sub(pattern, lambda found: replaced[found.group()], text)

    def _program(self, name: str) -> str:
        if name == "temporal":
            binary = temporal_binary.find_binary(self._home)
            assert binary is not None
            return str(binary.path)
        if name == "pg_isready":
            return str(binaries() / name)
        return (
            shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or name
        )


@pytest.fixture
def machine(
    tmp_path: Path,
    home: Path,
    postgres_server: PostgresServer,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Machine]:
    monkeypatch.setenv("PATH", f"{find_s3_server(home).parent}:{os.environ['PATH']}:/usr/sbin")
    machine = Machine(tmp_path, home, postgres_server, broker)
    yield machine
    machine.stop()


def test_the_services_start_in_their_order_and_a_tenant_can_use_the_api(machine: Machine) -> None:
    for name in order():
        machine.start(name)
    created = machine.run("api", "highlights", "keys", "create", "--tenant", "my-tenant")
    assert created.returncode == 0, created.stderr
    url = f"http://{machine.replaced['api:8000']}"
    assert httpx.get(f"{url}/readyz").json()["ready"]
    answer = httpx.get(
        f"{url}/v1/highlights/list", headers={"Authorization": f"Bearer {created.stdout.strip()}"}
    )
    assert (answer.status_code, answer.json()["data"]) == (200, [])
    for name, (ours, sdk) in machine.metrics.items():
        if name != "migrate":
            assert "highlights_api_request_seconds" in httpx.get(f"http://{ours}/metrics").text
            assert "temporal_request" in httpx.get(f"http://{sdk}/metrics").text


def hosts(values: Sequence[object]) -> set[str]:
    """The services that values name as a host."""
    text = " ".join(interpolated(value) for value in values)
    return {name for name in SERVICES if re.search(rf"(//|@|\s|^){name}:\d+", text)}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_until_what_it_names_is_healthy(name: str) -> None:
    service = SERVICES[name]
    waits = service.get("depends_on", {})
    named = hosts(list(service.get("environment", {}).values()))
    assert named <= {each for each, how in waits.items() if how["condition"] == "service_healthy"}
    if name in {"api", "worker"}:
        assert waits["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", [name for name, each in SERVICES.items() if "build" in each])
def test_our_services_run_without_privileges_and_write_to_named_places_only(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    places = [each.partition(":")[0] for each in service["tmpfs"]]
    places += [each.split(":")[1] for each in service.get("volumes", [])]
    assert sorted(places) == sorted(STAGES["worker"].volumes)
