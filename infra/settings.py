"""Every setting of the product, each with its meaning beside its default.

Well-known settings keep the names that the rest of the world uses (`DATABASE_URL`,
`TEMPORAL_ADDRESS`, …); ours begin with `HIGHLIGHTS_`. `docs/configuration.md` is generated from
this file by `make docs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.ingest import IngestLimits

DEFAULT_HOME: Final = Path("~/.cache/highlights")
_INGEST: Final = IngestLimits()


class _Section(BaseSettings):
    """A group of settings under one heading of the documentation."""

    model_config = SettingsConfigDict(
        env_prefix="HIGHLIGHTS_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )
    heading: ClassVar[str]


class StateSettings(_Section):
    """Where things are kept on this machine."""

    heading = "State"

    environment: str = Field(
        default="development",
        description="Name of the deployment, written into logs and traces.",
    )
    home: Path = Field(
        default=DEFAULT_HOME,
        description="Directory of all caches and state; moving it moves everything.",
    )
    state_dir: Path | None = Field(
        default=None,
        description="State of this installation (database, clips, logs, secrets); "
        "by default `dev` in the home directory.",
    )
    offline: bool = Field(
        default=False,
        description="Never try to download or build a component.",
    )


class TemporalSettings(_Section):
    """Which Temporal to use; with no address, `highlights dev` starts its own."""

    heading = "Temporal"

    temporal_address: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_ADDRESS",
        description="`host:port` of a Temporal server or of Temporal Cloud.",
    )
    temporal_namespace: str = Field(
        default="default",
        validation_alias="TEMPORAL_NAMESPACE",
        description="Namespace of all workflows.",
    )
    temporal_api_key: SecretStr | None = Field(
        default=None,
        validation_alias="TEMPORAL_API_KEY",
        description="API key of Temporal Cloud; turns TLS on.",
    )
    temporal_tls: bool = Field(
        default=False,
        validation_alias="TEMPORAL_TLS",
        description="Use TLS without a client certificate.",
    )
    temporal_tls_client_cert_path: Path | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_CERT_PATH",
        description="PEM file of the client certificate for mutual TLS.",
    )
    temporal_tls_client_key_path: Path | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_KEY_PATH",
        description="PEM file of the client certificate's private key.",
    )
    temporal_tls_server_ca_cert_path: Path | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        description="PEM file of the authority that signed the server's certificate.",
    )
    temporal_tls_server_name: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_NAME",
        description="Name to expect in the server's certificate.",
    )
    temporal_port: int = Field(
        default=7233, ge=1, le=65535, description="Port of the embedded Temporal server."
    )
    temporal_ui_port: int = Field(
        default=8233, ge=1, le=65535, description="Port of the embedded server's web page."
    )
    temporal_metrics_address: str | None = Field(
        default=None,
        description="`host:port` where worker and API serve the Temporal SDK's Prometheus metrics.",
    )


class DatabaseSettings(_Section):
    """Which PostgreSQL to use; with no URL, `highlights dev` starts its own."""

    heading = "Database"

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="SQLAlchemy URL (`postgresql+asyncpg://…`) of the application's role, "
        "which owns no table, so that row-level security binds it.",
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_OWNER_URL",
        description="The same database as the role that owns the tables; used by "
        "`highlights migrate` only.",
    )
    database_pool_size: PositiveInt = Field(
        default=5, description="Connections kept open by each process."
    )
    database_max_overflow: int = Field(
        default=10, ge=0, description="Further connections opened under load."
    )
    database_pool_timeout: PositiveFloat = Field(
        default=10.0, description="Seconds to wait for a free connection."
    )
    database_transaction_pooler: bool = Field(
        default=False,
        description="Set behind a transaction pooler (PgBouncer, RDS Proxy): turns off prepared "
        "statements and our own pool.",
    )


class StorageSettings(_Section):
    """Where media goes."""

    heading = "Storage"

    segment_store: str | None = Field(
        default=None,
        validation_alias="SEGMENT_STORE",
        description="Path or `s3://bucket/prefix` of the stream's segments; needed as S3 as soon "
        "as workers run on more than one machine. By default `segments` in the state directory.",
    )
    clip_store: str | None = Field(
        default=None,
        validation_alias="CLIP_STORE",
        description="Path or `s3://bucket/prefix` of clips. "
        "By default `clips` in the state directory.",
    )
    s3_endpoint_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        description="Endpoint of an S3-compatible store other than AWS.",
    )
    clip_url_lifetime: PositiveFloat = Field(
        default=3600.0, description="Seconds for which a signed clip URL works."
    )


class ApiSettings(_Section):
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
    amqp_url: SecretStr | None = Field(
        default=None,
        validation_alias="AMQP_URL",
        description="Broker to which lifecycle events are published.",
    )


class IngestSettings(_Section):
    """What one stream may make us do."""

    heading = "Ingest"

    allow_private_urls: bool = Field(
        default=False,
        description="Let tenants name playlists on private addresses and over plain HTTP; "
        "for development and the demo.",
    )
    ingest_window_duration: PositiveFloat = Field(
        default=_INGEST.window_duration, description="Seconds of media in a window."
    )
    ingest_start_timeout: PositiveFloat = Field(
        default=_INGEST.start_timeout, description="Seconds to wait for a stream's first segment."
    )
    ingest_stall_notice: PositiveFloat = Field(
        default=_INGEST.stall_notice,
        description="Seconds without a new segment after which a stream is shown as stalled.",
    )
    ingest_stall_timeout: PositiveFloat = Field(
        default=_INGEST.stall_timeout,
        description="Seconds without a new segment after which a stream is ended.",
    )
    ingest_request_timeout: PositiveFloat = Field(
        default=_INGEST.request_timeout, description="Seconds for one playlist or segment request."
    )
    ingest_max_playlist_bytes: PositiveInt = Field(
        default=_INGEST.max_playlist_bytes, description="Largest playlist read, in bytes."
    )
    ingest_max_segment_bytes: PositiveInt = Field(
        default=_INGEST.max_segment_bytes, description="Largest segment read, in bytes."
    )
    ingest_max_backlog: PositiveFloat = Field(
        default=_INGEST.max_backlog,
        description="Seconds of already published media at most with which a stream is joined.",
    )
    ingest_retention: PositiveFloat = Field(
        default=_INGEST.retention,
        description="Seconds of a stream's media kept in the segment store.",
    )

    def ingest_limits(self) -> IngestLimits:
        """The limits as ingest takes them."""
        return IngestLimits(
            window_duration=self.ingest_window_duration,
            start_timeout=self.ingest_start_timeout,
            stall_notice=self.ingest_stall_notice,
            stall_timeout=self.ingest_stall_timeout,
            request_timeout=self.ingest_request_timeout,
            max_playlist_bytes=self.ingest_max_playlist_bytes,
            max_segment_bytes=self.ingest_max_segment_bytes,
            max_backlog=self.ingest_max_backlog,
            retention=self.ingest_retention,
        )


class WorkerSettings(_Section):
    """How much a worker does at a time."""

    heading = "Worker"

    analyzer_processes: PositiveInt = Field(
        default=2, description="Child processes that decode and analyse media."
    )
    analyzer_memory_bytes: PositiveInt = Field(
        default=2 << 30, description="Address space of each of them (RLIMIT_AS), in bytes."
    )
    analyzer_cpu_seconds: PositiveInt = Field(
        default=600,
        description="CPU time after which each of them is replaced (RLIMIT_CPU), in seconds.",
    )
    analyzer_timeout: PositiveFloat = Field(
        default=30.0, description="Seconds after which the analysis of one window is given up."
    )
    io_concurrency: PositiveInt = Field(
        default=200, description="Activities of the `io` queue at a time; one per live stream."
    )
    analysis_concurrency: PositiveInt = Field(
        default=8, description="Activities of the `analysis` queue at a time."
    )
    render_concurrency: PositiveInt = Field(default=2, description="Clips rendered at a time.")
    render_timeout: PositiveFloat = Field(
        default=120.0, description="Seconds after which the rendering of one clip is given up."
    )
    ffmpeg_path: Path | None = Field(
        default=None,
        description="ffmpeg to render with; by default the one on PATH, else that of "
        "`imageio-ffmpeg`.",
    )
    watermark_path: Path | None = Field(
        default=None, description="PNG laid over the corner of every clip."
    )
    graceful_shutdown_timeout: NonNegativeFloat = Field(
        default=10.0, description="Seconds that running activities have to finish on shutdown."
    )


class GeminiSettings(_Section):
    """The multimodal analyzer; without a key the local one works alone."""

    heading = "Gemini"

    gemini_api_key: SecretStr | None = Field(
        default=None, validation_alias="GEMINI_API_KEY", description="Key of the Gemini API."
    )


class TelemetrySettings(_Section):
    """Logs, traces and metrics."""

    heading = "Telemetry"

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least important level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto` writes for people on a terminal and JSON elsewhere."
    )
    otel_endpoint: str | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OTLP/HTTP collector that receives traces; none by default.",
    )


class Settings(
    StateSettings,
    TemporalSettings,
    DatabaseSettings,
    StorageSettings,
    ApiSettings,
    IngestSettings,
    WorkerSettings,
    GeminiSettings,
    TelemetrySettings,
):
    """All settings, read from the environment once at start."""

    heading = "All"
    sections: ClassVar[tuple[type[_Section], ...]] = (
        StateSettings,
        TemporalSettings,
        DatabaseSettings,
        StorageSettings,
        ApiSettings,
        IngestSettings,
        WorkerSettings,
        GeminiSettings,
        TelemetrySettings,
    )

    def home_path(self) -> Path:
        """The home directory, absolute."""
        return self.home.expanduser().absolute()

    def state_path(self) -> Path:
        """The state directory of this installation, absolute."""
        if self.state_dir is None:
            return self.home_path() / "dev"
        return self.state_dir.expanduser().absolute()

    def segment_location(self) -> str:
        """Path or URL of the segment store."""
        return self.segment_store or str(self.state_path() / "segments")

    def clip_location(self) -> str:
        """Path or URL of the clip store."""
        return self.clip_store or str(self.state_path() / "clips")

    def base_url(self) -> str:
        """URL under which clients reach the API, without a trailing slash."""
        url = self.public_base_url or f"http://{self.api_host}:{self.api_port}"
        return url.rstrip("/")
