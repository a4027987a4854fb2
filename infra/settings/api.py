"""The HTTP API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from domain.client_address import IPNetwork, network
from infra.settings.section import SettingsSection
from infra.settings.values import HttpUrl, LongSecret, Origin, RedisUrl


def _networks(value: object) -> object:
    return [network(part) for part in value.split(",")] if isinstance(value, str) else value


def _parts(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class ApiSettings(SettingsSection):
    """The HTTP API."""

    heading = "API"

    api_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    api_port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    public_base_url: HttpUrl | None = Field(
        default=None,
        description="URL under which clients reach the API, used in links; "
        "by default made from host and port.",
    )
    trusted_proxies: Annotated[tuple[IPNetwork, ...], NoDecode, BeforeValidator(_networks)] = Field(
        default=(),
        description="Networks (CIDR, separated by commas) of the proxies and load balancers "
        "before the API, whose `X-Forwarded-For` is believed; without any, a client's address is "
        "that of its connection.",
    )
    signing_secret: LongSecret | None = Field(
        default=None,
        description="Secret (32 bytes or more) that signs clip URLs and hashes API keys; generated "
        "into the state directory when not set. All processes must share it.",
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_parts)] = Field(
        default=(),
        description="Origins whose pages may call the API from a browser, such as "
        "`https://app.example.com`, separated by commas; `*` for all.",
    )
    redis_url: RedisUrl | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis that holds rate limits when the API runs in several processes.",
    )
