"""The client's address: read from the right, for as long as the hops are ours."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tenants.addresses import IPAddress, client_address, is_within, network

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXY = "10.1.2.3"
CLIENT = "203.0.113.9"

proxies = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8"))
strangers = st.one_of(
    st.ip_addresses(network="203.0.113.0/24"), st.ip_addresses(network="2001:db8::/32")
)


def test_without_proxies_it_is_the_peer() -> None:
    assert client_address(CLIENT, [], []) == ip_address(CLIENT)


def test_an_untrusted_client_cannot_state_its_address() -> None:
    assert client_address(CLIENT, ["198.51.100.1"], PROXIES) == ip_address(CLIENT)


def test_a_trusted_proxy_says_whom_it_saw() -> None:
    assert client_address(PROXY, [CLIENT], PROXIES) == ip_address(CLIENT)


def test_header_lines_and_hops_are_read_in_their_order() -> None:
    forwarded = ["192.0.2.1, 198.51.100.1", f"{CLIENT},10.9.9.9"]
    assert client_address(PROXY, forwarded, PROXIES) == ip_address(CLIENT)


def test_a_request_of_a_proxys_own_has_the_proxys_address() -> None:
    assert client_address(PROXY, ["10.4.4.4, 10.5.5.5"], PROXIES) == ip_address("10.4.4.4")


@pytest.mark.parametrize("hop", ["", "unknown", "_hidden", "1.2.3", "::g", "1.2.3.4.5"])
def test_what_lies_beyond_an_unreadable_hop_has_no_witness(hop: str) -> None:
    forwarded = [f"198.51.100.1, {hop}, 10.9.9.9"]
    assert client_address(PROXY, forwarded, PROXIES) == ip_address("10.9.9.9")


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        (" 203.0.113.9 ", CLIENT),
        ("203.0.113.9:51034", CLIENT),
        ("::ffff:203.0.113.9", CLIENT),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[::ffff:203.0.113.9]:443", CLIENT),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_the_forms_in_which_proxies_write_an_address(hop: str, address: str) -> None:
    assert client_address(PROXY, [hop], PROXIES) == ip_address(address)
    assert client_address(hop, [], PROXIES) == ip_address(address)


def test_a_proxy_is_known_in_the_form_of_the_other_version_too() -> None:
    assert client_address(f"::ffff:{PROXY}", [CLIENT], PROXIES) == ip_address(CLIENT)


@pytest.mark.parametrize("peer", ["", "testclient", "/run/api.sock"])
def test_a_peer_without_an_address_is_an_error(peer: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        client_address(peer, [CLIENT], PROXIES)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        (" 203.0.113.9 ", "203.0.113.9/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_read_in_the_form_that_addresses_have(text: str, named: str) -> None:
    assert network(text) == ip_network(named)


@pytest.mark.parametrize("text", ["", "home", "203.0.113.9/24", "203.0.113.0/33", "10.0.0.0-9"])
def test_what_names_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host bits set|does not appear to be"):
        network(text)


@settings(deadline=None)
@given(
    st.lists(st.one_of(strangers, proxies, st.text(max_size=20)), max_size=5),
    strangers,
    st.lists(proxies, min_size=1, max_size=5),
    st.data(),
)
def test_nothing_that_a_client_writes_changes_its_address(
    invented: list[object], client: IPAddress, chain: list[IPAddress], data: st.DataObject
) -> None:
    *hops, peer = chain
    written = [str(each) for each in (*invented, client, *hops)]
    lines: list[str] = []
    while written:
        size = data.draw(st.integers(1, len(written)))
        lines.append(", ".join(written[:size]))
        written = written[size:]
    assert client_address(str(peer), lines, PROXIES) == client


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4), proxies)
def test_whatever_is_forwarded_there_is_an_answer(forwarded: list[str], peer: IPAddress) -> None:
    assert client_address(str(peer), forwarded, PROXIES)


@settings(deadline=None)
@given(strangers, proxies)
def test_an_address_lies_in_the_networks_of_its_own_version(
    stranger: IPAddress, proxy: IPAddress
) -> None:
    assert is_within(proxy, PROXIES)
    assert not is_within(stranger, PROXIES)
    assert not is_within(proxy, [])
