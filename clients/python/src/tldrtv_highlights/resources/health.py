"""Whether the service lives and can work; no key is needed."""

from __future__ import annotations

from tldrtv_highlights._endpoint import Sent
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Health, Readiness


class HealthChecks(Resource[Transport]):
    """For monitoring."""

    @operation("GET /healthz", Health)
    def live(self) -> Sent:
        """Check that the API's process responds."""
        return Sent()

    @operation("GET /readyz", Readiness, statuses=frozenset({200, 503}))
    def ready(self) -> Sent:
        """Check each part that requests need."""
        return Sent()
