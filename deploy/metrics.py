"""The Prometheus beside each service on AWS: its configuration, and the command that starts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.sizes import Service, Sizes

NAME: Final = "metrics"
WRITE_URL: Final = "PROMETHEUS_WRITE_URL"
SCRATCH: Final = "/tmp"  # noqa: S108 - of a container
_CONFIGURATION_OF_COMPOSE: Final = Path(__file__).with_name("monitoring") / "prometheus.yaml"
# JSON is YAML that fits into one line of a shell script.
_SCRIPT: Final = (
    "mkdir -p {scratch}/prometheus && "
    "printf '%s' '{configuration}' | sed -e \"s#WRITE_URL#$PROMETHEUS_WRITE_URL#g\" "
    '-e "s#INSTANCE#$(hostname)#g" -e "s#REGION#$AWS_REGION#g" '
    ">{scratch}/prometheus/prometheus.yaml "
    "&& exec prometheus --config.file={scratch}/prometheus/prometheus.yaml "
    "--storage.tsdb.path={scratch}/prometheus/data --storage.tsdb.retention.time=2h "
    "--web.listen-address=127.0.0.1:9090"
)


def entry_point(sizes: Sizes, service: Service) -> list[str]:
    """Return the command of the container: it writes its configuration, and runs Prometheus."""
    configuration = json.dumps(_configuration(sizes, service))
    return ["/bin/sh", "-c", _SCRIPT.format(scratch=SCRATCH, configuration=configuration)]


def _configuration(sizes: Sizes, service: Service) -> dict[str, Any]:
    """Scrape the two endpoints of the container beside it under the names that the rules use.

    All tasks scrape 127.0.0.1, so the name of the host tells them apart.
    """
    jobs = {
        "highlights-worker" if service.queue else "highlights-api": "HIGHLIGHTS_METRICS_ADDRESS",
        "temporal-sdk": "HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS",
    }
    of_compose = yaml.safe_load(_CONFIGURATION_OF_COMPOSE.read_text("utf-8"))
    return {
        "global": of_compose["global"],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {"targets": [sizes.variables[address]], "labels": {"instance": "INSTANCE"}}
                ],
            }
            for job, address in jobs.items()
        ],
        "remote_write": [{"url": "WRITE_URL", "sigv4": {"region": "REGION"}}],
    }
