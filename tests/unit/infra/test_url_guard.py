"""Which addresses may be requested, and that the one checked is the one connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.ssrf import GuardedTransport, UrlForbiddenError, UrlGuard

NEVER = (
    "169.254.169.254",  # AWS, Google Cloud and Azure metadata
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",  # noqa: S104 an address to refuse, not to listen on
    "::",
    "168.63.129.16",  # Azure's wire server
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",  # 169.254.169.254 through NAT64
    "2002:a9fe:a9fe::1",  # 169.254.169.254 through 6to4
)
PRIVATE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba Cloud metadata
    "::1",
    "fd00:ec2::254",  # AWS metadata over IPv6
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
)
PUBLIC = ("8.8.8.8", "34.100.213.146", "2606:4700:4700::1111", "::ffff:8.8.8.8")


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_allowed(address: str) -> None:
    assert not UrlGuard(allow_private=True).allows(ipaddress.ip_address(address))
    assert not UrlGuard().allows(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_allowed_by_a_setting_only(address: str) -> None:
    assert not UrlGuard().allows(ipaddress.ip_address(address))
    assert UrlGuard(allow_private=True).allows(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert UrlGuard().allows(ipaddress.ip_address(address))


@given(
    address=st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8")
)
def test_no_spelling_of_a_private_address_passes(address: ipaddress.IPv4Address) -> None:
    packed = int(address)
    spellings = (
        f"[::ffff:{address}]",
        f"[64:ff9b::{packed >> 16:x}:{packed & 0xFFFF:x}]",
        f"[2002:{packed >> 16:x}:{packed & 0xFFFF:x}::1]",
        str(address),
    )
    for spelling in spellings:
        with pytest.raises(UrlForbiddenError):
            UrlGuard().check(f"https://{spelling}/live.m3u8")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://example.com",
        "//example.com/x",
        "example.com/x",
        "",
        "https://",
        "https://:443/x",
        "https://user@example.com/x",
        "https://user:password@example.com/x",
        "https://example.com:99999/x",
        "https://[::1/x",
    ],
)
def test_other_forms_of_url_are_refused(url: str) -> None:
    with pytest.raises(UrlForbiddenError):
        UrlGuard().check(url)


def test_plain_http_is_for_development() -> None:
    UrlGuard(allow_private=True).check("http://127.0.0.1:8000/live.m3u8")
    UrlGuard().check("https://cdn.100ms.live/beam/x/master.m3u8")


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f.1", "127.1"])
async def test_a_name_for_a_private_address_is_refused_when_it_is_resolved(name: str) -> None:
    with pytest.raises(UrlForbiddenError):
        await UrlGuard().resolve(name, 443)


async def test_the_address_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that would lead elsewhere when resolved again is resolved once."""
    real: Any = socket.getaddrinfo
    asked: list[str] = []

    def rebinding(host: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 as the original
        if host != "rebind.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = GuardedTransport(UrlGuard(allow_private=True), max_connections=1, keepalive=1.0)
    async with server, httpx.AsyncClient(transport=transport, trust_env=False) as client:
        assert (await client.get(f"http://rebind.example:{port}/")).text == "ok"
        assert len(asked) == 1
        with pytest.raises(UrlForbiddenError):
            await client.get(f"http://rebind.example:{port}/")
