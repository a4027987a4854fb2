"""The addresses that requests come from, as tenants read them for their firewalls."""

from __future__ import annotations

from ipaddress import ip_network

from infra.settings import Settings
from tests.integration.api.conftest import Account, OpenClient


async def test_the_networks_of_the_setting_are_shown(
    settings: Settings, open_client: OpenClient, account: Account
) -> None:
    networks = (ip_network("203.0.113.7/32"), ip_network("2001:db8:7::/48"))
    configured = settings.model_copy(update={"egress_addresses": networks})
    async with open_client(configured) as client:
        answer = await client.get("/v1/egress", headers={"Authorization": f"Bearer {account.key}"})
    assert answer.json() == {"addresses": ["203.0.113.7/32", "2001:db8:7::/48"]}


async def test_an_installation_without_fixed_addresses_says_so(account: Account) -> None:
    assert (await account.http.get("/v1/egress")).json() == {"addresses": []}
