"""Prometheus metrics of API and worker, and the endpoint that serves them.

No label names a tenant or a stream: each set of labels is bounded by the code. What belongs to one
tenant or one stream is in PostgreSQL, in the log and in traces.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from infra.errors import PortTakenError

_LATENCY: Final = (0.5, 1, 2, 4, 6, 8, 10, 12, 15, 20, 30, 60, 120, 300, 900)

SECONDS_BEHIND_LIVE: Final = Histogram(
    "highlights_seconds_behind_live",
    "Seconds from the listing of a segment until it was stored or analyzed.",
    ["stage"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 6, 8, 10, 15, 20, 30, 60, 120, 300),
)
MOMENT_TO_PLAYABLE: Final = Histogram(
    "highlights_moment_to_playable_seconds",
    "Seconds from the peak of a live moment (wall clock of the playlist) until it was published "
    "and could be played.",
    buckets=_LATENCY,
)
MOMENT_TO_EXACT: Final = Histogram(
    "highlights_moment_to_exact_seconds",
    "Seconds from the peak of a live moment (wall clock of the playlist) until its rendered clip "
    "was stored.",
    buckets=_LATENCY,
)
STREAMS_FOLLOWED: Final = Gauge(
    "highlights_streams_followed", "Live streams that this worker follows now."
)
HIGHLIGHTS: Final = Counter(
    "highlights_published", "Highlights that were published, by their first status.", ["status"]
)
CLIPS: Final = Counter("highlights_clips", "Clips that were rendered or failed.", ["status"])
GAP_SECONDS: Final = Counter(
    "highlights_gap_seconds", "Seconds of live media that are missing.", ["reason"]
)
MEDIA_SECONDS: Final = Counter(
    "highlights_media_seconds", "Seconds of live media that were stored."
)
GEMINI_CHUNKS: Final = Counter(
    "highlights_gemini_chunks",
    "Chunks by why Gemini analyzed them (moment, ranked, sampled) or did not (all other reasons).",
    ["reason"],
)
GEMINI_TOKENS: Final = Counter(
    "highlights_gemini_tokens", "Tokens of bought answers of Gemini, by price class.", ["kind"]
)
GEMINI_DOLLARS: Final = Counter(
    "highlights_gemini_dollars", "Price of bought answers of Gemini, in US dollars."
)
DELIVERY_LAG: Final = Histogram(
    "highlights_delivery_lag_seconds",
    "Seconds from an event until an endpoint of a tenant accepted it.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400),
)
DELIVERY_ATTEMPTS: Final = Counter(
    "highlights_delivery_attempts", "Requests to endpoints of tenants.", ["outcome"]
)
STORE_SECONDS: Final = Histogram(
    "highlights_store_request_seconds",
    "Seconds of each request to S3, retries apart.",
    ["operation", "outcome"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
API_SECONDS: Final = Histogram(
    "highlights_api_request_seconds",
    "Seconds until the response was sent, by route and status.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUE_BACKLOG: Final = Gauge(
    "highlights_task_queue_backlog",
    "Tasks that no worker has taken yet, as Temporal estimates them.",
    ["task_queue"],
)

DEPENDENCY_UP: Final = Gauge(
    "highlights_dependency_up",
    "1 if the last attempt to use a server succeeded, else 0: postgres, rabbitmq, redis.",
    ["dependency"],
)


@contextmanager
def serve_metrics(address: str | None) -> Iterator[None]:
    """Serve the metrics of this process at `host:port` while the context lasts; None for nowhere.

    A thread serves them, so that a busy event loop does not hide what it is busy with.

    Raises:
        PortTakenError: the address is in use, or not of this machine.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"))
    except OSError as error:
        raise PortTakenError(
            f"Metrics cannot be served at {address}: {error.strerror}.",
            remedy="Stop the program that uses it, or choose another HIGHLIGHTS_METRICS_ADDRESS.",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def seconds_since(moment: datetime) -> float:
    """Return the seconds from a wall clock until now, at least 0."""
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())
