"""Protection of requests to untrusted URLs against server-side request forgery.

The address is checked where the connection is made, on the address that is connected to, so a name
that resolves differently a moment later (DNS rebinding) gains nothing. TLS still verifies the name.
Every redirect is a separate request and is checked again.

The special-purpose address tables are our own, since `ipaddress.is_global` differs between Python
releases. They follow the IANA IPv4 and IPv6 Special-Purpose Address Registries as of 2026 and are
stricter where a registry calls a block globally reachable that cannot host an origin (such as
anycast services of the local network).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import httpcore
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

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


MAX_REDIRECTS: Final = 3


class UrlForbiddenError(Exception):
    """A forbidden URL; the message states the reason without naming an internal address."""


class UrlGuard:
    """What may be requested.

    Args:
        allow_private: let private and loopback addresses and plain HTTP pass, for development.
            Link-local addresses, where clouds keep their credentials, never pass.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private

    def check(self, url: str) -> None:
        """Check what can be seen without resolving the host.

        Raises:
            UrlForbiddenError: the scheme, the form or the address is not allowed.
        """
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise UrlForbiddenError("The URL is malformed.") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and self._allow_private):
            allowed = "http or https" if self._allow_private else "https"
            raise UrlForbiddenError(f"The URL must begin with {allowed}.")
        if not host:
            raise UrlForbiddenError("The URL names no host.")
        if parts.username is not None or parts.password is not None:
            raise UrlForbiddenError("The URL must not contain a user name or password.")
        literal = _literal(host)
        if literal is not None and not self.allows(literal):
            raise UrlForbiddenError("The URL's address is not on the public internet.")

    def allows(self, address: IPAddress) -> bool:
        """Return True if a connection to `address` may be made."""
        if self._allow_private:
            return not is_platform_internal(address)
        return is_public(address)

    async def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of `host` that may be connected to, best first.

        Raises:
            UrlForbiddenError: it has addresses, but none is allowed.
            OSError: it cannot be resolved.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        allowed = tuple(
            each for each in addresses if self.allows(ipaddress.ip_address(each.split("%")[0]))
        )
        if not allowed:
            raise UrlForbiddenError(f"{host} is not on the public internet.")
        return allowed


class GuardedTransport(httpx.AsyncHTTPTransport):
    """An httpx transport that connects only to what the guard allows."""

    def __init__(self, guard: UrlGuard, *, max_connections: int, keepalive: float) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._guard = guard
        # httpx has no parameter for the network backend; the pool is what its own constructor
        # builds, with ours in it.
        self._pool = _pool(context, guard, max_connections=max_connections, keepalive=keepalive)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, a redirect's included, if the guard allows its URL."""
        self._guard.check(str(request.url))
        return await super().handle_async_request(request)


class GuardedConnector(aiohttp.TCPConnector):
    """The connections of aiohttp sessions, only to addresses that the guard allows.

    `refuse_forbidden` must be among the middlewares of its sessions: it checks each URL.

    Args:
        guard: which addresses may be connected to.
        max_connections: connections open at a time.
        keepalive: seconds for which an idle connection is kept.
    """

    def __init__(self, guard: UrlGuard, *, max_connections: int, keepalive: float) -> None:
        def open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
            # The resolver does not see a host of digits only, which need not be a valid address.
            literal = _literal(str(address[4][0]))
            if literal is None or not guard.allows(literal):
                raise UrlForbiddenError("The URL's address is not on the public internet.")
            return socket.socket(*address[:3])

        super().__init__(
            resolver=_GuardedResolver(guard),
            use_dns_cache=False,
            ssl=httpx.create_ssl_context(trust_env=False),
            limit=max_connections,
            keepalive_timeout=keepalive,
            socket_factory=open_socket,
        )


def refuse_forbidden(guard: UrlGuard) -> aiohttp.ClientMiddlewareType:
    """Return what checks the URL of each request of an aiohttp session, redirects included."""

    async def refuse(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        guard.check(str(request.url))
        return await handler(request)

    return refuse


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: UrlGuard) -> None:
        self._guard = guard

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 both are asked for
    ) -> list[ResolveResult]:
        try:
            addresses = await self._guard.resolve(host, port)
        except UnicodeError as error:  # a name that IDNA refuses
            raise OSError(f"{host[:80]} cannot be resolved") from error
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def no_cookies() -> CookieJar:
    """Return a jar that keeps nothing, for a client that several tenants share."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves and checks a host, and connects to the address checked."""

    def __init__(self, guard: UrlGuard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._guard.resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"resolving {host} took too long") from error
        except (OSError, UnicodeError) as error:  # the latter of a name that IDNA refuses
            raise httpcore.ConnectError(f"{host[:80]} cannot be resolved") from error
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _pool(
    context: ssl.SSLContext, guard: UrlGuard, *, max_connections: int, keepalive: float
) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=keepalive,
        http1=True,
        http2=False,
        network_backend=_GuardedBackend(guard),
    )


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
