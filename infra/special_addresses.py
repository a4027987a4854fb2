"""Addresses that are not on the public internet, after the IANA special-purpose registries.

The tables are our own, since `ipaddress.is_global` differs between Python releases. They follow the
IPv4 and IPv6 Special-Purpose Address Registries as of 2026 and, where a registry calls a block
globally reachable that no origin can be served from (anycast services of the local network), they
are stricter.
"""

from __future__ import annotations

import ipaddress
from typing import Final

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC_V4: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space (carrier-grade NAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocol assignments; 192.0.0.192 serves metadata in a cloud
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay anycast, deprecated
        "192.168.0.0/16",  # private use
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the limited broadcast address
    )
)

_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that IANA allocates; what lies outside is special, or reserved."""

_NOT_PUBLIC_V6: Final = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID, anycast services
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)

_TEREDO: Final = ipaddress.IPv6Network("2001::/32")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")
_LOW_32: Final = 0xFFFF_FFFF
_ISATAP: Final = 0x0000_5EFE
_UNIVERSAL_BIT: Final = 0x0200_0000

_NEVER: Final = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/32",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "168.63.129.16/32",  # Azure's wire server, public by its number
        "192.0.0.192/32",  # Oracle Cloud's metadata
        "::/128",
        "fe80::/10",
        "ff00::/8",
    )
)
"""What is refused even where private addresses are allowed: link-local and platform services."""


def is_public(address: IPAddress) -> bool:
    """Return True if the address and every address embedded in it are on the public internet."""
    return all(_is_plainly_public(each) for each in _meanings(address))


def is_platform_internal(address: IPAddress) -> bool:
    """Return True if the address, or one embedded in it, must never be connected to."""
    return any(_within(each, _NEVER) for each in _meanings(address))


def _is_plainly_public(address: IPAddress) -> bool:
    if _within(address, _NEVER):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not _within(address, _NOT_PUBLIC_V4)
    if address in _NAT64:
        return True  # as public as the IPv4 address in it
    return address in _GLOBAL_UNICAST and not _within(address, _NOT_PUBLIC_V6)


def _within(address: IPAddress, networks: tuple[_Network, ...]) -> bool:
    return any(address.version == each.version and address in each for each in networks)


def _meanings(address: IPAddress) -> tuple[IPAddress, ...]:
    """Return an address and the IPv4 addresses that are embedded in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.scope_id is not None:
        address = ipaddress.IPv6Address(int(address))
    number = int(address)
    low = ipaddress.IPv4Address(number & _LOW_32)
    if address in _MAPPED:
        return (low,)
    embedded: list[IPAddress] = []
    if address in _NAT64 or (number >> 32 & _LOW_32) & ~_UNIVERSAL_BIT == _ISATAP:
        embedded.append(low)
    if address in _SIX_TO_FOUR:
        embedded.append(ipaddress.IPv4Address(number >> 80 & _LOW_32))
    if address in _TEREDO:
        embedded.append(ipaddress.IPv4Address(number >> 64 & _LOW_32))
        embedded.append(ipaddress.IPv4Address(~number & _LOW_32))
    return (address, *embedded)
