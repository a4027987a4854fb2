"""What a number of concurrent streams takes: work, machines, dollars; which limit comes first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from benchmarks.scale.figures import ScaleFigures
from deploy.sizes import Service, Sizes

HOUR: Final = 3600.0
_ENVIRONMENT: Final = "prod"
_FOLLOWER: Final = "worker-io"


@dataclass(frozen=True)
class Limit:
    """Something that ends growth, and the number of streams at which it does."""

    name: str
    streams: int
    remedy: str


class Fleet:
    """A number of streams on the services of deploy/sizes.yaml.

    Args:
        figures: of a stream, prices and limits.
        sizes: of the services.
        streams: live at the same time.
    """

    def __init__(self, figures: ScaleFigures, sizes: Sizes, streams: int) -> None:
        self._figures, self._sizes, self.streams = figures, sizes, streams

    def per_second(self, name: str) -> float:
        """Return the mean rate of something that figures.yaml has for a stream-hour."""
        return self.streams * self._figures[name] / HOUR

    @property
    def follow_cores(self) -> float:
        """Cores that ingest, analysis and workflows use."""
        return self.streams * (self._figures["media_core"] + self._figures["worker_core"])

    @property
    def render_cores(self) -> float:
        """Cores that rendering uses."""
        return self.per_second("clips") * self._figures["render_seconds"]

    @property
    def streams_per_task(self) -> int:
        """Streams that a task of worker-io follows, renderings of their clips included."""
        cores = self._follower.cpu / 1024 * self._follower.cpu_target / 100
        return int(cores / ((self.follow_cores + self.render_cores) / self.streams))

    @property
    def follower_tasks(self) -> int:
        """Tasks of worker-io; at least those of deploy/sizes.yaml, and as many as it takes."""
        return max(self._least(self._follower), math.ceil(self.streams / self.streams_per_task))

    @property
    def follower_mib(self) -> float:
        """Memory that a full task of worker-io uses, without caches."""
        figures = self._figures
        children = int(self._follower.variables["HIGHLIGHTS_ANALYZER_PROCESSES"])
        followed = min(self.streams, self.streams_per_task)
        return (
            figures["worker_base_mib"]
            + children * figures["media_child_mib"]
            + followed * figures["worker_mib"]
            + figures["render_slots"] * figures["render_mib"]
        )

    @property
    def connections(self) -> int:
        """Database connections if every pool is full."""
        others = sum(self._least(each) for each in self._others)
        return int((self.follower_tasks + others) * self._figures["connections"])

    @property
    def requests_per_second(self) -> float:
        """Requests to Temporal: each action, a workflow task per three events, reconciliation."""
        figures = self._figures
        events = figures["stream_events"] + figures["clip_events"]
        hourly = figures["actions"] + events / 3 + HOUR / figures["reconcile_seconds"]
        return self.streams * hourly / HOUR

    @property
    def clip_gb_per_hour(self) -> float:
        """Clips that are stored."""
        return self.per_second("clips") * HOUR * self._figures["clip_bytes"] / 1e9

    @property
    def stored_gb(self) -> float:
        """Segments in S3 at a time."""
        seconds = self._figures["media_minutes"] * 60
        return self.streams * self._figures["megabits"] / 8 * seconds / 1000

    def dollars(self) -> dict[str, float]:
        """Return what an hour of one stream costs, by item, without Gemini."""
        figures = self._figures
        month = self.streams * figures["hours_per_month"]
        gigabytes = figures["megabits"] / 8 * HOUR / 1000
        history = figures["history_bytes"] / 1e9
        vcpus = max(2.0, self.streams * figures["database_core"] / figures["database_busy"])
        return {
            "Fargate": self._fargate() / self.streams,
            "Temporal Cloud: actions": figures.actions_price(month * figures["actions"]) / month,
            "Temporal Cloud: histories": history
            * figures["retention_days"]
            * 24
            * figures["retained_gb_hour"],
            "NAT gateway": gigabytes * figures["nat_gb"],
            "S3: requests": figures["s3_puts"] / 1000 * figures["thousand_puts"]
            + figures["s3_gets"] / 1000 * figures["thousand_gets"],
            "S3: clips, for a month": figures["clips"]
            * figures["clip_bytes"]
            / 1e9
            * figures["s3_gb_month"],
            "Aurora": figures["database_copies"]
            * vcpus
            * figures["database_vcpu_hour"]
            / self.streams,
        }

    def limits(self) -> list[Limit]:
        """Return what ends growth, the first one first; the number of this fleet does not count."""
        figures = self._figures
        most = self._follower.count[_ENVIRONMENT][1]
        interpreter = int(1 / figures["worker_core"])
        others = sum(self._least(each) for each in self._others)
        free = figures["database_connections"] / figures["connections"] - others
        vcpus = figures["database_vcpus"] * figures["database_busy"] / figures["database_core"]
        found = [
            Limit(
                f"one process of `worker-io`: its interpreter uses a core at {interpreter} streams",
                interpreter,
                f"nothing: a task scales out at {self.streams_per_task} streams",
            ),
            Limit(
                f"`worker-io` has at most {most} tasks",
                most * self.streams_per_task,
                "raise `count` in `deploy/sizes.yaml`, and the account's quota of Fargate vCPUs",
            ),
            self._rate("actions_per_second", "actions", "500 actions/s of a new namespace"),
            Limit(
                "2,000 requests/s of a namespace",
                int(figures["requests_per_second"] / self.requests_per_second * self.streams),
                "the same",
            ),
            Limit(
                "a pass of reconciliation, which asks for one workflow after the other, takes "
                "longer than its interval",
                int(figures["reconcile_seconds"] / figures["describe_seconds"]),
                "raise `HIGHLIGHTS_EXECUTION_RECONCILE_INTERVAL`; lost workflows are found later",
            ),
            self._rate("puts_per_second", "s3_puts", "3,500 PUT/s of a prefix in S3"),
            Limit(
                "5,000 connections of one PostgreSQL, if every pool is full",
                int(free * self.streams_per_task),
                "RDS Proxy and `HIGHLIGHTS_DATABASE_TRANSACTION_POOLER=true`",
            ),
            Limit(
                "half of the CPU of the largest writer (64 vCPU)",
                int(vcpus),
                "a database for a share of the tenants",
            ),
            Limit(
                "100 Gbit/s of one NAT gateway",
                int(figures["nat_gigabits"] * 1000 / figures["megabits"]),
                "one gateway per zone, or public subnets for `worker-io`",
            ),
        ]
        return sorted(found, key=lambda each: each.streams)

    def _rate(self, limit: str, work: str, name: str) -> Limit:
        remedies = {
            "actions_per_second": "ask Temporal for more before the event; it also grows with use. "
            "Beyond, a namespace for a share of the tenants",
            "puts_per_second": "nothing as a rule: S3 splits prefixes, of one tenant too, and "
            "`SlowDown` is retried",
        }
        streams = int(self._figures[limit] * HOUR / self._figures[work])
        return Limit(name, streams, remedies[limit])

    @property
    def _follower(self) -> Service:
        return self._sizes.services[_FOLLOWER]

    @property
    def _others(self) -> list[Service]:
        return [each for name, each in self._sizes.services.items() if name != _FOLLOWER]

    @staticmethod
    def _least(service: Service) -> int:
        return service.count[_ENVIRONMENT][0]

    def _fargate(self) -> float:
        """Dollars an hour of all tasks."""
        tasks = [(self._follower, self.follower_tasks)]
        tasks += [(each, self._least(each)) for each in self._others]
        return sum(
            number
            * (
                each.cpu / 1024 * self._figures["vcpu_hour"]
                + each.memory / 1024 * self._figures["gib_hour"]
            )
            for each, number in tasks
        )
