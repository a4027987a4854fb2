"""Connections are counted by tenant, and given back whatever ends them."""

from __future__ import annotations

from uuid import UUID

import pytest

from api.errors.problems import TooManyConnectionsProblem
from api.middleware.rate_limits import ConnectionLimiter

ONE, OTHER = UUID(int=1), UUID(int=2)


def test_one_tenants_connections_do_not_count_for_another() -> None:
    connections = ConnectionLimiter(1)
    with (
        connections.hold(ONE),
        connections.hold(OTHER),
        pytest.raises(TooManyConnectionsProblem),
        connections.hold(ONE),
    ):
        pass


def test_a_connection_that_breaks_is_given_back() -> None:
    connections = ConnectionLimiter(1)
    for _ in range(3):
        with pytest.raises(ConnectionResetError), connections.hold(ONE):
            raise ConnectionResetError
