"""The embedded Temporal server, real."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from app.dev.supervisor import free_ports
from app.dev.temporal import SEARCH_ATTRIBUTES, TemporalBinary, TemporalServer
from infra.errors import NotConfiguredError, StartFailedError
from infra.settings import Settings
from infra.temporal.client import connect


async def test_our_search_attributes_are_registered(temporal_client: Client) -> None:
    answer = await temporal_client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    assert set(SEARCH_ATTRIBUTES) <= set(answer.custom_attributes)


def test_a_server_that_dies_at_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "temporal"
    program.write_text("#!/bin/sh\necho the disk is full >&2\nexit 1\n")
    program.chmod(0o755)
    (port,) = free_ports(1)
    server = TemporalServer(
        TemporalBinary(program, "PATH", "fake"),
        port=port,
        ui_port=None,
        database=None,
        log=tmp_path / "log",
    )
    with pytest.raises(StartFailedError, match="the disk is full"):
        server.wait_ready()
    server.stop()


async def test_connecting_to_nothing_says_which_setting_to_check() -> None:
    (port,) = free_ports(1)
    with pytest.raises(StartFailedError, match="TEMPORAL_ADDRESS"):
        await connect(
            Settings(temporal_address=f"127.0.0.1:{port}"),
            patience=timedelta(milliseconds=300),
        )


async def test_connecting_without_an_address_says_what_to_set() -> None:
    with pytest.raises(NotConfiguredError, match="TEMPORAL_ADDRESS"):
        await connect(Settings())


async def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    certificate = tmp_path / "cert"
    certificate.touch()
    settings = Settings(temporal_address="x:1", temporal_tls_client_cert_path=certificate)
    with pytest.raises(NotConfiguredError, match="TEMPORAL_TLS_CLIENT_KEY_PATH"):
        await connect(settings)
