"""Settings of the pipeline: Gemini, 100ms, ingest, retention, usage, webhooks and workers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
)
from pydantic_settings import NoDecode

from domain import task_queues
from domain.analysis.gemini.pricing import (
    DEFAULT_MODEL,
    FALLBACK_PRICE,
    GeminiModelChoice,
    ModelPrice,
    PriceTable,
    bare_name,
)
from domain.ingest.messages import IngestLimits
from domain.tenants.retention import DAY, SHORTEST_AUDIT, SHORTEST_INBOUND, RetentionPolicy
from domain.tenants.usage import UsageKind
from infra.settings.base import HostPort, HttpUrl, Program, ReadableFile, SettingsSection

_MODEL_NAME: Final = r"^(models/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class GeminiSettings(SettingsSection):
    """The multimodal analyzer; without a key the local one works alone."""

    heading = "Gemini"

    gemini_api_key: SecretStr | None = Field(
        default=None, validation_alias="GEMINI_API_KEY", description="Key of the Gemini API."
    )
    gemini_base_url: HttpUrl | None = Field(
        default=None, description="Where the Gemini API is, if not at Google."
    )
    gemini_model: str = Field(
        default=DEFAULT_MODEL,
        pattern=_MODEL_NAME,
        description="Model for analysis. `highlights doctor` warns if it is retired or unknown.",
    )
    gemini_temperature: NonNegativeFloat | None = Field(
        default=None, le=2.0, description="Its temperature; by default the model's own."
    )
    gemini_language: str = Field(
        default="English", max_length=40, description="Language of titles and descriptions."
    )
    gemini_by_profile: dict[str, GeminiModelChoice] = Field(
        default_factory=dict,
        description="Other choices for single profiles, as JSON: "
        '`{"soccer": {"model": "gemini-3.8-flash", "temperature": 0.2, "language": "Spanish"}}`.',
    )
    gemini_prices: dict[str, ModelPrice] = Field(
        default_factory=dict,
        description="Dollars for a million tokens by model, as JSON, in place of the list prices "
        'that are built in: `{"gemini-3.8-flash": {"text": 0.75, "audio": 0.75, "output": 3.75}}`.',
    )
    gemini_fallback_price: ModelPrice = Field(
        default=FALLBACK_PRICE,
        description="Price assumed for a model whose price is not known, as JSON in the same form.",
    )
    gemini_call_deadline: PositiveFloat = Field(
        default=30.0, description="Seconds that one call may take."
    )
    gemini_inline_bytes: PositiveInt = Field(
        default=4 << 20,
        le=14 << 20,
        description="Bytes up to which a video is sent inline; a bigger one is uploaded once for "
        "all questions about it.",
    )
    gemini_dollars_per_stream_hour: NonNegativeFloat = Field(
        default=0.25, description="Dollars that a stream may cost for each of its hours."
    )
    gemini_dollars_per_tenant_hour: NonNegativeFloat = Field(
        default=5.0, description="Dollars that all streams of a tenant may cost in an hour of UTC."
    )
    gemini_dollars_per_tenant_month: NonNegativeFloat = Field(
        default=500.0,
        description="Dollars that all streams of a tenant may cost in a month of UTC.",
    )
    gemini_video_share: float = Field(
        default=0.35, gt=0.0, le=1.0, description="Share of a stream that may be watched at most."
    )
    gemini_requests_per_minute: PositiveInt = Field(
        default=150, description="Requests a minute that the project's quota allows."
    )
    gemini_tokens_per_minute: PositiveInt = Field(
        default=1_000_000, description="Tokens a minute that the project's quota allows."
    )
    gemini_tenant_share: float = Field(
        default=0.5, gt=0.0, le=1.0, description="Share of the quota that one tenant may take."
    )

    def gemini_price_table(self) -> PriceTable:
        """Prices of models: the built-in ones, and the operator's above them."""
        return PriceTable(overrides=self.gemini_prices, fallback=self.gemini_fallback_price)

    def gemini_models(self) -> tuple[str, ...]:
        """All models that may be asked, without repetitions."""
        chosen = [each.model for each in self.gemini_by_profile.values() if each.model]
        return tuple(dict.fromkeys(map(bare_name, (self.gemini_model, *chosen))))


class InboundSettings(SettingsSection):
    """100ms: its API, and how often stored events are relayed and reconciled."""

    heading = "100ms"

    hms_api_url: HttpUrl = Field(
        default="https://api.100ms.live",
        description="100ms's server-side API, asked for live streams where a connection has a "
        "management key.",
    )
    inbound_ack_timeout: PositiveFloat = Field(
        default=0.02,
        validation_alias=AliasChoices(
            "HIGHLIGHTS_INBOUND_ACK_TIMEOUT", "HIGHLIGHTS_INBOUND_PATIENCE"
        ),
        description="Seconds that the response to an event waits for the signal to the workflow of "
        "its session; a slower signal is sent after the response.",
    )
    relay_interval: PositiveFloat = Field(
        default=10.0,
        description="Seconds between passes of the relay, which dispatches events that were stored "
        "and not dispatched.",
    )
    reconcile_interval: PositiveFloat = Field(
        default=60.0, description="Seconds between comparisons of our streams with 100ms's list."
    )


_INGEST: Final = IngestLimits()


class IngestSettings(SettingsSection):
    """Limits of one stream."""

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
        default=_INGEST.request_timeout,
        description="Seconds without a byte after which a playlist or segment request is given up; "
        "more for segments longer than two thirds of it.",
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

    ingest_captions: bool = Field(
        default=_INGEST.captions,
        description="Follow the captions of streams that have some; a stream may say otherwise.",
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
            captions=self.ingest_captions,
        )


_POLICY: Final = RetentionPolicy()


class RetentionSettings(SettingsSection):
    """How long records are kept."""

    heading = "Retention"

    retention_idempotency_keys: float = Field(
        default=_POLICY.idempotency_keys / DAY,
        ge=1,
        description="Days for which an `Idempotency-Key` is remembered; the API promises one.",
    )
    retention_usage_events: float = Field(
        default=_POLICY.usage_events / DAY,
        ge=1,
        description="Days for which single usage events are kept, so that a retry within them "
        "counts once. Their hourly sums stay.",
    )
    retention_events: float = Field(
        default=_POLICY.events / DAY,
        ge=1,
        description="Days for which events are kept, and can be delivered or replayed.",
    )
    retention_hidden_highlights: float = Field(
        default=_POLICY.hidden_highlights / DAY,
        ge=1,
        description="Days for which highlights that were never shown (held, rejected) are kept.",
    )
    retention_feed_events: float = Field(
        default=_POLICY.feed_events / DAY,
        ge=1,
        description="Days for which events of feeds are kept, with their links to highlights.",
    )
    retention_inbound_events: float = Field(
        default=_POLICY.inbound_events / DAY,
        ge=SHORTEST_INBOUND / DAY,
        description="Days for which 100ms's events are kept once they are done; one that came "
        "again later would be taken for new.",
    )
    retention_beams: float = Field(
        default=_POLICY.beams / DAY,
        ge=SHORTEST_INBOUND / DAY,
        description="Days for which a beam of 100ms is remembered after its end; at least as long "
        "as events.",
    )
    retention_closed_sessions: float = Field(
        default=_POLICY.closed_sessions / DAY,
        ge=SHORTEST_INBOUND / DAY,
        description="Days for which a closed session of 100ms is remembered; at least as long as "
        "events.",
    )
    retention_audit_log: float = Field(
        default=_POLICY.audit_log / DAY,
        ge=SHORTEST_AUDIT / DAY,
        description="Days for which the audit log is kept; the database refuses to delete younger "
        "entries than 90 days.",
    )
    maintenance_interval: PositiveFloat = Field(
        default=3600.0, description="Seconds between two rounds that delete old records."
    )

    def retention_policy(self) -> RetentionPolicy:
        """The policy as maintenance takes it."""
        return RetentionPolicy(
            idempotency_keys=self.retention_idempotency_keys * DAY,
            usage_events=self.retention_usage_events * DAY,
            events=self.retention_events * DAY,
            hidden_highlights=self.retention_hidden_highlights * DAY,
            feed_events=self.retention_feed_events * DAY,
            inbound_events=self.retention_inbound_events * DAY,
            beams=self.retention_beams * DAY,
            closed_sessions=self.retention_closed_sessions * DAY,
            audit_log=self.retention_audit_log * DAY,
        )


# What a provider bills us is in dollars already.
_PASSED_ON: Final = {UsageKind.GEMINI_COST_USD: Decimal(1)}


class UsageSettings(SettingsSection):
    """What usage costs."""

    heading = "Usage"

    usage_prices: dict[UsageKind, Annotated[Decimal, Field(ge=0)]] | None = Field(
        default=None,
        description="Price in US dollars of one unit of each kind of usage, as a JSON object: "
        '`{"analyzed_seconds": 0.0005, "clip_rendered": 0.01}`. What is not named costs nothing; '
        'by default `{"gemini_cost_usd": 1}`.',
    )

    usage_flush_interval: float = Field(
        default=5.0,
        ge=0.1,
        le=300,
        description="Seconds between two writings of the requests that a process of the API has "
        "counted. One that is killed loses those since the last.",
    )

    def price_table(self) -> Mapping[UsageKind, Decimal]:
        """The price in US dollars of a unit of each kind that has one."""
        return _PASSED_ON if self.usage_prices is None else self.usage_prices


class WebhookSettings(SettingsSection):
    """Events sent to tenants' webhook endpoints."""

    heading = "Webhooks"

    webhook_endpoints: PositiveInt = Field(
        default=20, description="Endpoints that a tenant may have."
    )
    webhook_timeout: PositiveFloat = Field(
        default=15.0,
        le=45.0,
        description="Seconds for one request to an endpoint, its answer included.",
    )
    webhook_concurrency: PositiveInt = Field(
        default=50, description="Requests to endpoints that a worker makes at a time."
    )
    webhook_endpoint_concurrency: PositiveInt = Field(
        default=4, description="Of these, requests to one and the same endpoint."
    )
    webhook_relay_interval: PositiveFloat = Field(
        default=10.0,
        description="Seconds between passes of the relay over outbound events. One relay serves "
        "both directions, at the shorter interval.",
    )


def _task_queue(name: str) -> str:
    if name not in task_queues.ALL:
        raise ValueError(f"must be task queues, of {', '.join(task_queues.ALL)}")
    return name


def _queues(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class WorkerSettings(SettingsSection):
    """Which task queues a worker serves, and how much it does at a time."""

    heading = "Worker"

    worker_queues: Annotated[
        tuple[Annotated[str, AfterValidator(_task_queue)], ...],
        NoDecode,
        BeforeValidator(_queues),
    ] = Field(
        default=task_queues.ALL,
        min_length=1,
        description="Task queues that a worker serves, separated by commas. A worker of "
        "`highlights-io` also serves a separate rendering queue if media is in S3.",
    )
    worker_health_address: HostPort | None = Field(
        default=None,
        description="`host:port` where a worker answers health checks: 200 while it serves its "
        "queues, 503 when it has stopped.",
    )
    backlog_interval: PositiveFloat | None = Field(
        default=None,
        description="Seconds between log lines with the number of tasks that wait in each queue "
        "served. CloudWatch reads them as a metric; off by default.",
    )
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
    ffmpeg_path: Program | None = Field(
        default=None,
        description="ffmpeg (7.0 or later) to render with; by default the one that the package "
        "`imageio-ffmpeg` holds. One on PATH is not used.",
    )
    watermark_path: ReadableFile | None = Field(
        default=None, description="PNG laid over the corner of every clip."
    )
    execution_reconcile_interval: PositiveFloat = Field(
        default=15.0,
        description="Seconds between comparisons of streams, clips, deliveries and backfills that "
        "are under way with the workflows that should be working on them.",
    )
    graceful_shutdown_timeout: NonNegativeFloat = Field(
        default=10.0, description="Seconds that running activities have to finish on shutdown."
    )
