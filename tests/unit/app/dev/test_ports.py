"""Ports: taken ones are named together with what to change."""

from __future__ import annotations

import socket

import pytest

from app.dev.supervisor import accepts, free_ports, require_free
from infra.errors import PortTakenError


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        require_free(port, purpose="a test", setting="--port")


def test_a_taken_port_is_named_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError) as caught:
            require_free(port, purpose="the API", setting="--api-port")
    assert f"Port {port}" in caught.value.message
    assert "--api-port" in caught.value.remedy


def test_accepts_returns_true_if_a_server_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert accepts(port)
    assert not accepts(port)
