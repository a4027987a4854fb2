"""Spans as a collector receives them: OTLP over HTTP, decoded by the protocol's own messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import structlog
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from infra.redaction import register
from infra.telemetry import traces
from tests.fakes.otlp import Collector


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector(monkeypatch) as collector:
        yield collector


def spans(collector: Collector) -> dict[str, Span]:
    return {each.name: each for each in collector.spans()}


def attributes(span: Span) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


def test_a_moment_is_one_trace_whose_id_is_the_highlights(
    collector: Collector,
) -> None:
    highlight, peak = uuid4(), datetime(2026, 5, 2, 19, 0, tzinfo=UTC)
    traces.start_moment(highlight, peak=peak, score=0.9)
    with traces.moment_span(highlight, "render clip"):
        pass
    found = spans(collector)
    moment, clip = found["moment"], found["render clip"]
    assert moment.trace_id == clip.trace_id == highlight.bytes
    assert (moment.parent_span_id, clip.parent_span_id) == (b"", moment.span_id)
    assert moment.start_time_unix_nano == int(peak.timestamp() * 1e9)


def test_the_steps_of_a_moment_are_linked_to_where_they_happened(
    collector: Collector,
) -> None:
    with traces.request_span("POST"), traces.moment_span(uuid4(), "deliver clip.ready"):
        pass
    found = spans(collector)
    (link,) = found["deliver clip.ready"].links
    assert (link.trace_id, link.span_id) == (found["POST"].trace_id, found["POST"].span_id)


def test_what_is_about_no_highlight_is_not_traced(
    collector: Collector,
) -> None:
    with traces.moment_span(None, "render clip"):
        pass
    assert spans(collector) == {}


def test_spans_have_the_ids_of_the_log(collector: Collector) -> None:
    with structlog.contextvars.bound_contextvars(correlation_id="r-1", tenant_id="t-1"):
        traces.start_moment(uuid4(), peak=None)
    found = attributes(spans(collector)["moment"])
    assert (found["correlation_id"], found["tenant_id"]) == ("r-1", "t-1")


def test_secrets_are_replaced_in_attributes_and_exceptions(
    collector: Collector,
) -> None:
    register("hush-hush-hush-hush")

    def fail() -> None:
        with traces.moment_span(uuid4(), "render clip", url="http://u:hush-hush-hush-hush@h/"):
            raise ValueError("refused with hush-hush-hush-hush")

    with pytest.raises(ValueError, match="refused"):
        fail()
    span = spans(collector)["render clip"]
    assert "refused with" in span.status.message
    assert b"hush-hush" not in span.SerializeToString()
