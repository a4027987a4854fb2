"""Logs, traces and metrics of every process, configured once at start."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor
from temporalio.client import Interceptor
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from infra.redaction import print_exceptions_redacted, redact, register_environment
from infra.settings import Settings

# Local variables hold secrets and media: they stay out of the log.
_TRACEBACK: Final = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
_NOISY: Final = (
    "alembic",
    "asyncio",
    "botocore",
    "boto3",
    "httpcore",
    "httpx",
    "libav",
    "opentelemetry",
    "sqlalchemy",
    "uvicorn.access",
)


def configure(settings: Settings, *, component: str) -> None:
    """Send structlog and standard logging, ours and libraries', through one formatter to stderr.

    Calling it again replaces the earlier configuration. Secrets are replaced in every line, and in
    the tracebacks of uncaught exceptions.

    Args:
        settings: level, format and collector.
        component: name of this process in logs and traces, such as `worker`.
    """
    register_environment()
    print_exceptions_redacted()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(allow=("temporal_workflow", "temporal_activity")),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Origin(component=component, environment=settings.environment),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderer(settings),
                _redacted,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    if settings.otel_endpoint is not None:
        _export_traces(settings.otel_endpoint, settings.environment, component)


def bind_correlation(**ids: str) -> None:
    """Add ids (`request_id`, `tenant_id`, `stream_id`, …) to every later log line of this task."""
    structlog.contextvars.bind_contextvars(**ids)


def correlation() -> dict[str, str]:
    """The ids bound so far, to be handed on to a workflow or an activity."""
    return {key: str(value) for key, value in structlog.contextvars.get_contextvars().items()}


def temporal_interceptors(settings: Settings) -> list[Interceptor]:
    """Interceptors for the Temporal client and, through it, its workers."""
    if settings.otel_endpoint is None:
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor()]


def temporal_runtime(settings: Settings) -> Runtime:
    """The SDK's runtime: core logs into ours, metrics to Prometheus when an address is set.

    One is enough for a process; each holds a thread pool.
    """
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(
                    logger=logging.getLogger("temporalio.core"), prepend_target_on_message=False
                ),
            ),
            metrics=(
                PrometheusConfig(
                    bind_address=settings.temporal_metrics_address, durations_as_seconds=True
                )
                if settings.temporal_metrics_address
                else None
            ),
        )
    )


class _Origin:
    """Names the process in every line."""

    def __init__(self, *, component: str, environment: str) -> None:
        self._fields = {"component": component, "environment": environment}

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for key, value in self._fields.items():
            event.setdefault(key, value)
        return event


def _redacted(_logger: object, _method: str, rendered: Any) -> str:  # noqa: ANN401
    """Replace secrets in a rendered line: last, so that nothing comes after it."""
    return redact(str(rendered))


def _renderer(settings: Settings) -> list[Processor]:
    chosen = settings.log_format
    if chosen == "auto":
        chosen = "console" if sys.stderr.isatty() else "json"
    if chosen == "console":
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [
        structlog.processors.EventRenamer("message"),
        structlog.processors.ExceptionRenderer(_TRACEBACK),
        structlog.processors.JSONRenderer(default=str),
    ]


def _export_traces(endpoint: str, environment: str, component: str) -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": f"highlights-{component}",
                "deployment.environment.name": environment,
            }
        )
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
