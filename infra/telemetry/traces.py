"""Traces: spans of requests and Temporal calls, and one trace for each moment.

Without a collector every function here does nothing. The trace of a moment has the highlight's id
(without hyphens) as its trace id, so it is found without a search, and spans of different processes
join it without passing anything on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from infra.redaction import redact

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.util.types import AttributeValue

_COPIED: Final = ("correlation_id", "tenant_id", "stream_id")
_LOW_64_BITS: Final = (1 << 64) - 1
_new_moment: ContextVar[UUID | None] = ContextVar("new_moment", default=None)
_tracer: Final = trace.get_tracer("highlights")


def export_traces(endpoint: str, environment: str, component: str) -> None:
    """Send the spans of this process to a collector.

    Args:
        endpoint: URL of an OTLP/HTTP collector, without `/v1/traces`.
        environment: name of the deployment.
        component: name of this process.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    trace.set_tracer_provider(tracer_provider(exporter, environment, component))


def tracer_provider(exporter: SpanExporter, environment: str, component: str) -> TracerProvider:
    """Return a provider whose spans have the ids of the log, and no secrets."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace import Span as RecordedSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.trace import Status

    class MomentIds(RandomIdGenerator):
        """Gives the first span of a moment's trace the ids that follow from its highlight."""

        def generate_trace_id(self) -> int:
            moment = _new_moment.get()
            return super().generate_trace_id() if moment is None else _ids(moment)[0]

        def generate_span_id(self) -> int:
            moment = _new_moment.get()
            return super().generate_span_id() if moment is None else _ids(moment)[1]

    class LoggedIds(SpanProcessor):
        """Copies the ids that log lines have."""

        def on_start(self, span: RecordedSpan, parent_context: Context | None = None) -> None:
            del parent_context
            bound = structlog.contextvars.get_contextvars()
            span.set_attributes({name: str(bound[name]) for name in _COPIED if name in bound})

    class Redacted(SpanExporter):
        """Replaces secrets in attributes, exceptions and descriptions."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return exporter.export([self._redacted(each) for each in spans])

        def shutdown(self) -> None:
            exporter.shutdown()

        def _redacted(self, span: ReadableSpan) -> ReadableSpan:
            status = span.status
            return ReadableSpan(
                name=redact(span.name),
                context=span.get_span_context(),
                parent=span.parent,
                resource=span.resource,
                attributes=_redacted(span.attributes),
                events=[
                    Event(each.name, _redacted(each.attributes), each.timestamp)
                    for each in span.events
                ],
                links=span.links,
                kind=span.kind,
                status=Status(
                    status.status_code, status.description and redact(status.description)
                ),
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )

    provider = TracerProvider(
        resource=Resource.create(
            {
                "service.name": f"highlights-{component}",
                "deployment.environment.name": environment,
            }
        ),
        id_generator=MomentIds(),
    )
    provider.add_span_processor(LoggedIds())
    provider.add_span_processor(BatchSpanProcessor(Redacted()))
    return provider


@contextmanager
def request_span(method: str) -> Iterator[Span]:
    """Trace an HTTP request. Trace headers of clients are ignored: they are not trusted."""
    with _tracer.start_as_current_span(method, context=Context(), kind=SpanKind.SERVER) as span:
        yield span


def start_moment(highlight: UUID, *, peak: datetime | None, **attributes: AttributeValue) -> None:
    """Begin the trace of a moment: a span from its peak until now, when it is published.

    Args:
        highlight: id of the highlight.
        peak: wall clock of the peak; without it the span has no duration.
        attributes: of the span.
    """
    token = _new_moment.set(highlight)
    try:
        span = _tracer.start_span(
            "moment",
            context=Context(),
            links=_links(),
            attributes={"highlight_id": str(highlight), **attributes},
            start_time=None if peak is None else int(peak.timestamp() * 1e9),
        )
    finally:
        _new_moment.reset(token)
    span.end()


@contextmanager
def moment_span(highlight: UUID | None, name: str, **attributes: AttributeValue) -> Iterator[None]:
    """Trace a step of a moment, in the moment's trace, with a link to the current span.

    Args:
        highlight: id of the highlight; for None nothing is traced.
        name: of the step.
        attributes: of the span.
    """
    if highlight is None:
        yield
        return
    trace_id, span_id = _ids(highlight)
    flags = TraceFlags(TraceFlags.SAMPLED)
    moment = NonRecordingSpan(SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags))
    with _tracer.start_as_current_span(
        name,
        context=trace.set_span_in_context(moment, Context()),
        links=_links(),
        attributes={"highlight_id": str(highlight), **attributes},
    ):
        yield


def _ids(highlight: UUID) -> tuple[int, int]:
    """Return the trace id of a moment and the id of its first span."""
    return highlight.int, highlight.int & _LOW_64_BITS


def _links() -> list[Link]:
    current = trace.get_current_span().get_span_context()
    return [Link(current)] if current.is_valid else []


def _redacted(attributes: Mapping[str, AttributeValue] | None) -> dict[str, AttributeValue]:
    return {
        name: redact(value) if isinstance(value, str) else value
        for name, value in (attributes or {}).items()
    }
