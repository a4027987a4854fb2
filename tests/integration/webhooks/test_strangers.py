"""An endpoint's URL leads nowhere but to public addresses, and its answer costs little."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from temporalio.client import Client

from domain.ids import delivery_workflow_id
from infra.db.tables import Delivery
from tests.factories.rows import usage_event
from tests.fakes.webhook_receiver import Receiver, answering, receiver
from tests.integration.webhooks.conftest import MakePost, Post


async def outcome(post: Post, client: Client, url: str) -> Delivery:
    """Send one event to a URL until it is given up."""
    endpoint = await post.endpoint(url)
    told = usage_event(post.tenant_id)
    await post.tell(told)
    workflow = delivery_workflow_id(
        tenant_id=post.tenant_id, endpoint_id=endpoint, ordering_key=told.ordering_key
    )
    await client.get_workflow_handle(workflow).result()
    (delivery,) = await post.sent(endpoint)
    return delivery


def port_of(hook: Receiver) -> int:
    return int(hook.url.split(":")[2].split("/")[0])


async def test_a_private_address_is_not_connected_to(
    open_post: MakePost, temporal_client: Client
) -> None:
    async with open_post(allow_private=False) as post, receiver() as hook:
        url = f"https://127.0.0.1:{port_of(hook)}/"
        delivery = await outcome(post, temporal_client, url)
        assert hook.received == []
    assert delivery.status == "failed"
    assert "public internet" in (delivery.last_error or "")


async def test_a_public_name_that_leads_to_a_private_address_is_not_connected_to(
    open_post: MakePost, temporal_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does when a name was rebound after the endpoint was made."""
    real: Any = socket.getaddrinfo

    def rebound(host: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 as the original
        if host != "rebind.example":
            return real(host, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", args[0]))]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    async with open_post(allow_private=False) as post, receiver() as hook:
        url = f"https://rebind.example:{port_of(hook)}/"
        delivery = await outcome(post, temporal_client, url)
        assert hook.received == []
    assert delivery.last_error == "rebind.example is not on the public internet."


async def test_plain_http_is_not_sent_to(open_post: MakePost, temporal_client: Client) -> None:
    async with open_post(allow_private=False) as post:
        delivery = await outcome(post, temporal_client, "http://example.com/")
    assert delivery.last_error == "The URL must begin with https."


async def test_a_redirect_is_a_failure_and_is_not_followed(
    post: Post, temporal_client: Client
) -> None:
    async with receiver() as inner:
        headers = f"Location: {inner.url}\r\n"
        async with receiver(answering(307), headers=headers) as hook:
            delivery = await outcome(post, temporal_client, hook.url)
        assert inner.received == []
    assert (delivery.status, delivery.last_status_code) == ("failed", 307)
    assert "redirects are not followed" in (delivery.last_error or "")
