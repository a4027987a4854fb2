"""Every block of the IANA special-purpose registries: its first, its last, and its neighbors."""

from __future__ import annotations

import ipaddress

import pytest

from infra.ssrf import UrlGuard, is_platform_internal, is_public

# Block, and whether the addresses just before and just after it are public.
BLOCKS_V4 = (
    ("0.0.0.0/8", None, True),
    ("10.0.0.0/8", True, True),
    ("100.64.0.0/10", True, True),
    ("127.0.0.0/8", True, True),
    ("169.254.0.0/16", True, True),
    ("172.16.0.0/12", True, True),
    ("192.0.0.0/24", True, True),
    ("192.0.2.0/24", True, True),
    ("192.88.99.0/24", True, True),
    ("192.168.0.0/16", True, True),
    ("198.18.0.0/15", True, True),
    ("198.51.100.0/24", True, True),
    ("203.0.113.0/24", True, True),
    ("224.0.0.0/3", True, None),
)
BLOCKS_V6 = (
    ("::/3", None, True),
    ("64:ff9b:1::/48", False, False),
    ("100::/64", False, False),
    ("100:0:0:1::/64", False, False),
    ("2001::/23", True, True),
    ("2001:2::/48", False, False),
    ("2001:10::/28", False, False),
    ("2001:db8::/32", True, True),
    ("3fff::/20", True, True),
    ("4000::/2", True, False),
    ("5f00::/16", False, False),
    ("8000::/1", False, None),
    ("fc00::/7", False, False),
    ("fe80::/10", False, False),
    ("fec0::/10", False, False),
    ("ff00::/8", False, None),
)


@pytest.mark.parametrize(("block", "before", "after"), BLOCKS_V4 + BLOCKS_V6)
def test_a_block_is_refused_from_its_first_to_its_last_address(
    block: str, before: bool | None, after: bool | None
) -> None:
    network = ipaddress.ip_network(block)
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        assert not is_public(address)
    if before is not None:
        assert is_public(network[0] - 1) is before
    if after is not None:
        assert is_public(network[-1] + 1) is after


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "192.31.196.1",  # AS112, globally reachable
        "192.52.193.1",
        "192.175.48.1",
        "2606:4700:4700::1111",
        "2620:4f:8000::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_the_public_internet_is_reachable(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "form",
    [
        "::ffff:{v4}",
        "::{v4}",  # IPv4-compatible
        "::ffff:0:{v4}",  # IPv4-translated
        "64:ff9b::{v4}",
        "64:ff9b:1::{v4}",
        "2002:{hex}::1",
        "2001:0:{hex}::1",  # a Teredo server
        "2001:0:808:808:0:0:{inverse}",  # a Teredo client
        "2606:4700::5efe:{v4}",  # ISATAP
        "2606:4700::200:5efe:{v4}",
    ],
)
@pytest.mark.parametrize("v4", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.0.0.192"])
def test_an_address_inside_another_is_judged_too(form: str, v4: str) -> None:
    packed = int(ipaddress.IPv4Address(v4))
    inverse = packed ^ 0xFFFF_FFFF
    address = form.format(
        v4=v4,
        hex=f"{packed >> 16:x}:{packed & 0xFFFF:x}",
        inverse=f"{inverse >> 16:x}:{inverse & 0xFFFF:x}",
    )
    assert not is_public(ipaddress.ip_address(address))
    assert not UrlGuard().allows(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "192.0.0.192", "168.63.129.16", "fe80::1%1"]
)
def test_platform_services_are_refused_in_development_too(address: str) -> None:
    assert is_platform_internal(ipaddress.ip_address(address))
    assert not UrlGuard(allow_private=True).allows(ipaddress.ip_address(address))
    assert not UrlGuard().allows(ipaddress.ip_address(address))
