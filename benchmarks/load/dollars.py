"""Dollars of a stream-hour at list prices, which benchmarks/scale/figures.yaml has with sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.scale.figures import ScaleFigures

_COMPUTE: Final = ("worker", "media children", "api")


def dollars_of_hour(
    prices: ScaleFigures,
    *,
    cpu: Mapping[str, float],
    memory: Mapping[str, float],
    hourly: Mapping[str, float],
) -> dict[str, float]:
    """Return the dollars of one stream for an hour, by item.

    Temporal is that of Temporal Cloud, so its own processes cost nothing; its first tier is taken.
    Compute is Fargate's, all of it in use; the database is planned with the share of its CPU that
    figures.yaml assumes.

    Args:
        prices: list prices.
        cpu: percent of a core, by kind of process.
        memory: MiB, by kind of process.
        hourly: figures of `Span.hourly`; requests to S3 are counted only if there is an S3 server.
    """
    cores = sum(cpu.get(kind, 0.0) for kind in _COMPUTE) / 100
    gib = sum(memory.get(kind, 0.0) for kind in _COMPUTE) / 1024
    database = cpu.get("postgres", 0.0) / 100 / prices["database_busy"]
    found = {
        "Temporal": hourly["Temporal actions"] * prices.action_tiers[0][1] / 1e6,
        "compute": cores * prices["vcpu_hour"] + gib * prices["gib_hour"],
        "database": database * prices["database_vcpu_hour"],
    }
    if "S3 reads" in hourly:
        writes = hourly["S3 writes and lists"] * prices["thousand_puts"]
        found["S3 requests"] = (writes + hourly["S3 reads"] * prices["thousand_gets"]) / 1000
    return found
