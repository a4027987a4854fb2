"""Every setting of the product, each with its meaning beside its default.

Well-known settings keep the names that the rest of the world uses (`DATABASE_URL`,
`TEMPORAL_ADDRESS`, …); ours begin with `HIGHLIGHTS_`. `docs/configuration.md` is generated from
this file by `make docs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from infra.settings.base import PREFIX, SettingsSection
from infra.settings.pipeline import (
    GeminiSettings,
    InboundSettings,
    IngestSettings,
    RetentionSettings,
    UsageSettings,
    WebhookSettings,
    WorkerSettings,
)
from infra.settings.services import (
    DEFAULT_HOME,
    AmqpSettings,
    ApiSettings,
    DatabaseSettings,
    EventSettings,
    LimitSettings,
    StateSettings,
    StorageSettings,
    TelemetrySettings,
    TemporalSettings,
)
from infra.storage.s3 import S3Location, S3Options

__all__ = ["DEFAULT_HOME", "Settings"]


class Settings(
    StateSettings,
    TemporalSettings,
    DatabaseSettings,
    StorageSettings,
    ApiSettings,
    LimitSettings,
    IngestSettings,
    InboundSettings,
    WorkerSettings,
    GeminiSettings,
    WebhookSettings,
    EventSettings,
    UsageSettings,
    RetentionSettings,
    AmqpSettings,
    TelemetrySettings,
):
    """All settings, read from the environment once at start."""

    heading = "All"
    sections: ClassVar[tuple[type[SettingsSection], ...]] = (
        StateSettings,
        TemporalSettings,
        DatabaseSettings,
        StorageSettings,
        ApiSettings,
        LimitSettings,
        IngestSettings,
        InboundSettings,
        WorkerSettings,
        GeminiSettings,
        WebhookSettings,
        EventSettings,
        UsageSettings,
        RetentionSettings,
        AmqpSettings,
        TelemetrySettings,
    )

    @classmethod
    def variables(cls) -> dict[str, tuple[str, ...]]:
        """Return the environment variables of each setting, the usual one first, by its name."""
        return {name: _variables(name, field) for name, field in cls.model_fields.items()}

    def home_path(self) -> Path:
        """The home directory, absolute."""
        return self.home.expanduser().absolute()

    def state_path(self) -> Path:
        """The state directory of this installation, absolute."""
        if self.state_dir is None:
            return self.home_path() / "dev"
        return self.state_dir.expanduser().absolute()

    def segment_location(self) -> Path | S3Location:
        """Where segments are stored."""
        return self._store(self.segment_store, "segments")

    def clip_location(self) -> Path | S3Location:
        """Where clips are stored."""
        return self._store(self.clip_store, "clips")

    def s3_options(self) -> S3Options:
        """How objects are written to S3."""
        return S3Options(
            encryption=self.s3_encryption, kms_key_id=self.s3_kms_key_id, tags=self.s3_tags
        )

    def _store(self, configured: str | None, name: str) -> Path | S3Location:
        if configured is None:
            return self.state_path() / name
        return S3Location.parse(configured) if "://" in configured else Path(configured)

    def base_url(self) -> str:
        """URL under which clients reach the API, without a trailing slash."""
        url = self.public_base_url or f"http://{self.api_host}:{self.api_port}"
        return url.rstrip("/")

    def media_origins(self) -> tuple[str, ...]:
        """Origins besides the API from which the console loads media, without repetitions.

        Where streams may come from this machine, the console may show them.
        """
        found = list(self.console_media_origins)
        if self.allow_private_urls:
            found += ["http://127.0.0.1:*", "http://localhost:*"]
        if self.clip_cdn_url is not None:
            found.append(urlsplit(self.clip_cdn_url)._replace(path="", query="").geturl())
        return tuple(dict.fromkeys(found))


def _variables(name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (alias,) if isinstance(alias, str) else (f"{PREFIX}{name.upper()}",)
