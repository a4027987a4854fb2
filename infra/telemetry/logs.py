"""Logs: one line format for our code and for libraries, with correlation ids, without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import Processor

from infra.redaction import print_exceptions_redacted, redact, register_environment
from infra.settings import Settings
from infra.telemetry.traces import export_traces

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

    Spans are sent to the collector, if there is one.

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
        export_traces(settings.otel_endpoint, settings.environment, component)


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
