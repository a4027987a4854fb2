"""The endpoint of metrics, and those that the Temporal SDK serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.dev.supervisor import free_ports
from infra.errors import PortTakenError
from infra.settings import Settings
from infra.telemetry.metrics import seconds_since, serve_metrics
from infra.telemetry.temporal import temporal_runtime


@pytest.fixture
def address() -> str:
    (port,) = free_ports(1)
    return f"127.0.0.1:{port}"


def test_metrics_are_served_while_the_context_lasts(address: str) -> None:
    with serve_metrics(address):
        text = httpx.get(f"http://{address}/metrics").text
    assert "# TYPE highlights_seconds_behind_live histogram" in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}/metrics")


def test_without_an_address_nothing_is_served() -> None:
    with serve_metrics(None):
        pass


@contextmanager
def sdk_metrics(address: str) -> Iterator[None]:
    temporal_runtime(Settings(temporal_metrics_address=address))
    yield


@pytest.mark.parametrize(
    ("serve", "setting"),
    [
        (serve_metrics, "HIGHLIGHTS_METRICS_ADDRESS"),
        (sdk_metrics, "HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS"),
    ],
)
def test_an_address_in_use_is_an_error_that_names_the_setting(
    address: str, serve: Callable[[str], AbstractContextManager[None]], setting: str
) -> None:
    with (
        serve_metrics(address),
        pytest.raises(PortTakenError, match=f"{address}.*in use.*{setting}"),
        serve(address),
    ):
        pass


def test_a_clock_that_is_ahead_gives_no_negative_seconds() -> None:
    now = datetime.now(UTC)
    assert seconds_since(now + timedelta(minutes=1)) == 0.0
    assert seconds_since(now - timedelta(seconds=5)) >= 5.0
