"""Reads deploy/sizes.yaml: what each service is given in each environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict

FILE: Final = Path(__file__).with_name("sizes.yaml")
SHUTDOWN: Final = 90
"""Seconds that a worker's tasks have to finish on a stop, before others repeat them."""
BACKLOG_INTERVAL: Final = 30
HEALTH_PORT: Final = 8001
SMALLEST_DISK: Final = 21
"""GiB that Fargate gives at least to who asks for a size."""


class Section(BaseModel):
    """A part of the file; unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Environment(Section):
    """What differs between test and prod."""

    temporal: Literal["cloud", "self-hosted"]
    variables: Mapping[str, str]


class Secrets(Section):
    """Names of secrets, by who needs them."""

    service: Sequence[str]
    api: Sequence[str]
    worker: Sequence[str]
    broker: Sequence[str]
    migrate: Sequence[str]
    cloud: Sequence[str]


class Webhooks(Section):
    """The path of 100ms's webhooks, and what the firewall lets through."""

    path: str
    source_ranges: Sequence[str]
    requests_per_5_minutes: int


class Size(Section):
    """CPU in 1/1024 vCPU, memory in MiB, disk in GiB."""

    cpu: int
    memory: int
    disk: int = SMALLEST_DISK


class Service(Size):
    """One service: an API has a port, a worker a task queue."""

    count: Mapping[str, tuple[int, int]]
    cpu_target: int
    port: int | None = None
    queue: str | None = None
    backlog_target: int | None = None
    broker: bool = False
    variables: Mapping[str, str] = {}

    @property
    def image(self) -> str:
        """Target of the Dockerfile."""
        return "worker" if self.queue else "api"


class Job(Size):
    """A task that runs a command once.

    Attributes:
        secrets: groups of secrets that it is given.
        uses_servers: True if it has the variables and rights of a service.
    """

    command: Sequence[str]
    secrets: Sequence[str]
    uses_servers: bool = False


class Metrics(Section):
    """The Prometheus beside each service, and what its task may do with the workspace."""

    image: str
    actions: Sequence[str]


class Sizes(Section):
    """The whole file."""

    application: str
    environments: Mapping[str, Environment]
    imports: Mapping[str, str]
    ports: Mapping[str, int]
    exports: Mapping[str, str]
    variables: Mapping[str, str]
    imported_variables: Mapping[str, str]
    secrets: Secrets
    object_actions: Sequence[str]
    bucket_actions: Sequence[str]
    webhooks: Webhooks
    services: Mapping[str, Service]
    metrics: Metrics
    jobs: Mapping[str, Job]

    @classmethod
    def read(cls) -> Sizes:
        """Read the file.

        Raises:
            pydantic.ValidationError: something is missing or unknown.
        """
        return cls.model_validate(yaml.safe_load(FILE.read_text("utf-8")))

    def literal_variables(self, env: str, name: str) -> dict[str, str]:
        """Return the variables of a service or job that need no import."""
        found = {key: value.format(env=env) for key, value in self.variables.items()}
        if name in self.jobs:
            found = {"HIGHLIGHTS_ENVIRONMENT": found["HIGHLIGHTS_ENVIRONMENT"]}
            used = self.jobs[name].uses_servers
            return {**found, **(self.environments[env].variables if used else {})}
        service = self.services[name]
        found |= self.environments[env].variables
        if service.queue is not None:
            found |= {
                "HIGHLIGHTS_WORKER_QUEUES": service.queue,
                "HIGHLIGHTS_BACKLOG_INTERVAL": str(BACKLOG_INTERVAL),
                "HIGHLIGHTS_GRACEFUL_SHUTDOWN_TIMEOUT": str(SHUTDOWN),
            }
        return {**found, **service.variables}

    def secret_names(self, env: str, name: str) -> list[str]:
        """Return the secrets of a service or job."""
        cloud = ["cloud"] if self.environments[env].temporal == "cloud" else []
        if name in self.jobs:
            job = self.jobs[name]
            groups = [*job.secrets, *(cloud if job.uses_servers else ())]
        else:
            service = self.services[name]
            groups = ["service", "worker" if service.queue else "api"]
            groups += [*(["broker"] if service.broker else ()), *cloud]
        return [secret for group in groups for secret in getattr(self.secrets, group)]

    def uses_servers(self, name: str) -> bool:
        """Return True if a service or job has the imported variables and the rights on media."""
        return name in self.services or self.jobs[name].uses_servers

    def secret_parameter(self, env: str, name: str) -> str:
        """Return the name of a secret's parameter in SSM."""
        return f"/copilot/{self.application}/{env}/secrets/{name}"

    def api_endpoint(self, env: str) -> str:
        """Return the URL of the API inside the VPC, where Cloud Map names it."""
        port = self.services["api"].port
        return f"http://api.{env}.{self.application}.local:{port}"
