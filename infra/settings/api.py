"""The HTTP API."""

from __future__ import annotations

from pydantic import Field, SecretStr

from infra.settings.section import SettingsSection


class ApiSettings(SettingsSection):
    """The HTTP API."""

    heading = "API"

    api_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    api_port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    public_base_url: str | None = Field(
        default=None,
        description="URL under which clients reach the API, used in links; "
        "by default made from host and port.",
    )
    signing_secret: SecretStr | None = Field(
        default=None,
        description="Secret (32 bytes or more) that signs clip URLs and hashes API keys; generated "
        "into the state directory when not set. All processes must share it.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis that holds rate limits when the API runs in several processes.",
    )
