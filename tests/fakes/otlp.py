"""A collector that receives traces by OTLP over HTTP and decodes them."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from infra.telemetry import traces


class Collector:
    """Listens while its context lasts, and receives the spans of this process meanwhile."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._requests: list[ExportTraceServiceRequest] = []
        received = self._requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        exporter = OTLPSpanExporter(
            endpoint=f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"
        )
        self._provider = traces.tracer_provider(exporter, "test", "worker")
        patch.setattr(traces, "_tracer", self._provider.get_tracer("highlights"))

    def spans(self) -> list[Span]:
        """Return all spans that have ended so far."""
        self._provider.force_flush()
        return [
            span
            for request in self._requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._provider.shutdown()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
