"""Webhooks: where you are told of what happens; for keys with the scope `webhooks`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tldrtv_highlights._endpoint import Identity, Sent, given, keyed
from tldrtv_highlights._events import tenant_event
from tldrtv_highlights._resource import Resource, Transport, following, listing, operation
from tldrtv_highlights.models import (
    Delivery,
    DeliveryDetail,
    EgressAddresses,
    Page,
    ReplayResult,
    WebhookEndpoint,
    WebhookEndpointWithSecret,
)


class Webhooks(Resource[Transport]):
    """Webhook endpoints, and deliveries to them."""

    @operation("POST /v1/webhooks/subscribe", WebhookEndpointWithSecret, creates=True)
    def subscribe(
        self,
        url: str,
        *,
        description: str | None = None,
        event_types: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Create an endpoint. The response has its secret, which is shown once.

        Args:
            url: a public https URL that takes POST requests.
            description: for people.
            event_types: such as `clip.ready`; by default all.
            idempotency_key: by default a new one, so that a lost answer subscribes nothing twice.
        """
        return Sent(
            body=given(url=url, description=description, event_types=event_types),
            headers=keyed(idempotency_key),
        )

    @listing("GET /v1/webhooks", Page[WebhookEndpoint])
    def list(self, *, limit: int | None = None) -> Sent:
        """Iterate over endpoints, newest first; `limit` is the size of a page."""
        return Sent(query={"limit": limit})

    @operation("GET /v1/webhooks/{endpoint_id}", WebhookEndpoint)
    def get(self, endpoint_id: Identity) -> Sent:
        """Read an endpoint with its event types and state."""
        return Sent(path={"endpoint_id": endpoint_id})

    @operation("PATCH /v1/webhooks/{endpoint_id}", WebhookEndpoint)
    def update(
        self,
        endpoint_id: Identity,
        *,
        url: str | None = None,
        description: str | None = None,
        event_types: Sequence[str] | None = None,
        status: str | None = None,
    ) -> Sent:
        """Change an endpoint; `status` `disabled` stops calling it, `enabled` resumes."""
        return Sent(
            path={"endpoint_id": endpoint_id},
            body=given(url=url, description=description, event_types=event_types, status=status),
        )

    @operation("POST /v1/webhooks/{endpoint_id}/rotate", WebhookEndpointWithSecret, creates=True)
    def rotate(
        self,
        endpoint_id: Identity,
        *,
        overlap: int | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Replace an endpoint's secret and show it; for `overlap` s (by default a day) both sign.

        Args:
            endpoint_id: the endpoint.
            overlap: seconds for which the former secret signs too.
            idempotency_key: by default a new one, so that a lost answer makes no third secret.
        """
        return Sent(
            path={"endpoint_id": endpoint_id},
            body=given(overlap=overlap),
            headers=keyed(idempotency_key),
        )

    @operation("DELETE /v1/webhooks/{endpoint_id}", type(None), repeatable=False)
    def delete(self, endpoint_id: Identity) -> Sent:
        """Remove an endpoint with all its deliveries."""
        return Sent(path={"endpoint_id": endpoint_id})

    @operation("POST /v1/webhooks/{endpoint_id}/test", Delivery, repeatable=False)
    def test(self, endpoint_id: Identity) -> Sent:
        """Send an event of type `endpoint.test`; read the delivery for the endpoint's answer."""
        return Sent(path={"endpoint_id": endpoint_id})

    @operation("POST /v1/webhooks/{endpoint_id}/replay", ReplayResult)
    def replay(
        self,
        endpoint_id: Identity,
        *,
        since: datetime,
        until: datetime,
        types: Sequence[str] | None = None,
    ) -> Sent:
        """Send the events of a range of time again; by default all event types of the endpoint."""
        return Sent(
            path={"endpoint_id": endpoint_id},
            body=given(**{"from": since, "to": until}, types=types),
        )

    @listing("GET /v1/webhooks/deliveries", Page[Delivery])
    def deliveries(
        self,
        *,
        endpoint_id: Identity | None = None,
        status: str | None = None,
        event_type: str | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over deliveries to all endpoints, newest first."""
        return Sent(
            query={
                "endpoint_id": endpoint_id,
                "status": status,
                "event_type": event_type,
                "limit": limit,
            }
        )

    @listing("GET /v1/webhooks/{endpoint_id}/deliveries", Page[Delivery])
    def deliveries_of(
        self,
        endpoint_id: Identity,
        *,
        status: str | None = None,
        event_type: str | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over deliveries to one endpoint, newest first."""
        return Sent(
            path={"endpoint_id": endpoint_id},
            query={"status": status, "event_type": event_type, "limit": limit},
        )

    @operation("GET /v1/webhooks/deliveries/{delivery_id}", DeliveryDetail)
    def get_delivery(self, delivery_id: Identity) -> Sent:
        """Read what is sent, and the endpoint's response to each attempt."""
        return Sent(path={"delivery_id": delivery_id})

    @operation("POST /v1/webhooks/deliveries/{delivery_id}/redeliver", Delivery)
    def redeliver(self, delivery_id: Identity) -> Sent:
        """Send an event to its endpoint again, or now instead of later."""
        return Sent(path={"delivery_id": delivery_id})

    @following("GET /v1/webhooks/events", tenant_event)
    def follow(
        self,
        *,
        types: Sequence[str] | None = None,
        since: datetime | None = None,
        last_event_id: str | None = None,
    ) -> Sent:
        """Iterate over the events of your webhooks, without an endpoint; it does not end.

        A lost connection is made again. An event may then come twice. The key needs the scopes
        `webhooks` and `read`.

        Args:
            types: such as `clip.ready`; by default all.
            since: begin with the events of this time; by default from now on.
            last_event_id: of the last event seen earlier; replaces `since`.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        return Sent(query={"types": types, "since": since}, headers=headers)

    @operation("GET /v1/egress", EgressAddresses)
    def egress(self) -> Sent:
        """Read the networks that webhooks and requests for your streams come from."""
        return Sent()
