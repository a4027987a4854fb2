"""Requests to addresses that strangers name, kept away from our own network.

The address is checked where the connection is made, on the very address that is connected to, so
that a name which resolves differently a moment later (DNS rebinding) gains nothing. TLS still
verifies the name. Every redirect is a request of its own and is checked again.
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

import httpcore
import httpx

from infra.special_addresses import IPAddress, is_platform_internal, is_public

MAX_REDIRECTS: Final = 3


class UrlForbiddenError(Exception):
    """A URL that we must not request; the message says why, without naming an inner address."""


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
