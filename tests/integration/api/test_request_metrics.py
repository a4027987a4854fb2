"""Requests are measured by route and status, whatever their senders write."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.integration.api.conftest import Account

COUNT = "highlights_api_request_seconds_count"


def count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value(COUNT, labels) or 0.0


async def test_a_request_counts_for_the_template_of_its_path(account: Account) -> None:
    before = count("GET", "/v1/streams/{stream_id}", 404)
    await account.http.get(f"/v1/streams/{uuid4()}")
    assert count("GET", "/v1/streams/{stream_id}", 404) == before + 1


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [("GET", f"/{uuid4()}", ("GET", 404)), ("BREW", "/v1/streams/list", ("other", 405))],
    ids=["an unknown path", "an unknown method"],
)
async def test_what_senders_invent_is_no_label(
    anonymous: httpx.AsyncClient, method: str, path: str, counted: tuple[str, int]
) -> None:
    label, status = counted
    before = count(label, "unmatched", status)
    await anonymous.request(method, path)
    assert count(label, "unmatched", status) == before + 1
