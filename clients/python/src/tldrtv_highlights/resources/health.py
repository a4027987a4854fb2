"""Whether the service lives and can work; no key is needed."""

from __future__ import annotations

from tldrtv_highlights._endpoint import Sent
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Health, Readiness


class HealthChecks(Resource[Transport]):
    """For monitoring."""

    @operation("GET /healthz", Health)
    def live(self) -> Sent:
        """Ask whether the API's process answers."""
        return Sent()

    @operation("GET /readyz", Readiness, statuses=frozenset({200, 503}))
    def ready(self) -> Sent:
        """Ask whether requests can be served, part by part."""
        return Sent()
