"""Where a request comes from, when proxies that we trust stand before us.

Each proxy appends the address it was called from to `X-Forwarded-For`, so the header is true from
the right for as long as the hops are ours, and anyone's invention left of that.
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
    """Return the address nearest to the client that someone we trust has seen.

    That is the first one from the right that is no trusted proxy. A hop that cannot be read
    (`unknown`, say) ends the search: what lies beyond it has no witness.

    Args:
        peer: the other end of the connection.
        forwarded_for: the values of `X-Forwarded-For` in the order of their header lines, each
            with one or more hops.
        trusted: the networks of our proxies.

    Raises:
        ValueError: `peer` is no address.
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
    """Return the network that a text such as `203.0.113.0/24` names; one address is one too.

    Raises:
        ValueError: it names none, or an address within a network.
    """
    named = ip_network(text.strip())
    if isinstance(named, IPv6Network) and named.subnet_of(_MAPPED):
        mapped = _address(str(named.network_address))
        return ip_network(f"{mapped}/{named.prefixlen - _MAPPED.prefixlen}")
    return named


def is_within(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    """Tell whether an address lies in one of the networks."""
    return any(address in network for network in networks)


def is_part(part: IPNetwork, networks: Iterable[IPNetwork]) -> bool:
    """Return True if a network lies in one of the others.

    One that only several of them cover together counts as none.
    """
    return any(
        part.network_address in whole and part.broadcast_address in whole for whole in networks
    )


def _from_the_right(values: Sequence[str]) -> Iterator[str]:
    for value in reversed(values):
        yield from reversed(value.split(","))


def _address(text: str) -> IPAddress:
    """Return the address of a hop, which may have a port, in the one form we compare.

    An IPv4 client of a socket that listens on both versions shows as `::ffff:192.0.2.1`, and a
    zone (`fe80::1%eth0`) means something on the machine that wrote it only.
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
