"""Client addresses behind trusted proxies, and IP networks.

Each proxy appends its peer's address to `X-Forwarded-For`. So the header is reliable from the
right, as far as the hops are trusted; the rest can be forged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def client_address(
    peer: str, forwarded_for: Sequence[str], trusted: Sequence[IPNetwork]
) -> IPAddress:
    """Return the client's address: the first one from the right that is not a trusted proxy.

    A hop that cannot be parsed (`unknown`, for example) ends the search, because nothing confirms
    the hops before it.

    Args:
        peer: address of the other end of the connection.
        forwarded_for: values of `X-Forwarded-For` in header order, each with one or more hops.
        trusted: networks of our proxies.

    Raises:
        ValueError: `peer` is not an address.
    """
    seen = _address(peer)
    for hop in _from_the_right(forwarded_for):
        if not is_within(seen, trusted):
            break
        try:
            seen = _address(hop)
        except ValueError:
            break
    return seen


def network(text: str) -> IPNetwork:
    """Return the network written as `203.0.113.0/24`; a single address is a network too.

    Raises:
        ValueError: the text is not a network, or is an address within a network.
    """
    named = ip_network(text.strip())
    if isinstance(named, IPv6Network) and named.subnet_of(_MAPPED):
        mapped = _address(str(named.network_address))
        return ip_network(f"{mapped}/{named.prefixlen - _MAPPED.prefixlen}")
    return named


def is_within(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    """Return True if the address lies in one of the networks."""
    return any(address in network for network in networks)


def is_part(part: IPNetwork, networks: Iterable[IPNetwork]) -> bool:
    """Return True if the network lies within one of the others.

    A network that only several of them cover together does not count.
    """
    return any(
        part.network_address in whole and part.broadcast_address in whole for whole in networks
    )


def _from_the_right(values: Sequence[str]) -> Iterator[str]:
    for value in reversed(values):
        yield from reversed(value.split(","))


def _address(text: str) -> IPAddress:
    """Return the address of a hop, which may have a port, in canonical form.

    An IPv4 client of a dual-stack socket appears as `::ffff:192.0.2.1`, and a zone (`fe80::1%eth0`)
    has a meaning only on its own machine.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
