"""Request and response models of webhook endpoints and deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from api.request_model import RequestModel, Timestamp
from domain.text import Title, Url
from domain.webhooks.events import DeliveryStatus, DisabledReason, EndpointStatus, EventType
from infra.db.tables import Delivery, DeliveryAttempt, WebhookEndpoint

# Plain text: of members of an enumeration pydantic's messages show the representation.
Subscribable = Literal[
    "stream.started",
    "stream.ended",
    "stream.failed",
    "highlight.pending",
    "highlight.confirmed",
    "highlight.retracted",
    "highlight.relabeled",
    "subject.highlight",
    "clip.ready",
    "clip.failed",
    "export.ready",
    "export.failed",
    "export_batch.finished",
    "usage.threshold",
    "endpoint.disabled",
]
Types = Annotated[
    list[Subscribable],
    Field(max_length=20, description="Event types to subscribe to; empty means all."),
]
_DAY: Final = 86_400
_EXAMPLE: Final[JsonDict] = {
    "url": "https://hooks.example.com/highlights",
    "description": "Production",
    "event_types": ["highlight.confirmed", "clip.ready"],
}


class SubscribeRequest(RequestModel):
    """An endpoint to create."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    url: Url = Field(description="Public https URL that accepts POST requests.")
    description: Title = Field(default="", description="Free text for people.")
    event_types: Types = Field(default=[])


class EndpointPatch(RequestModel):
    """Changes to an endpoint; omitted and null fields stay unchanged."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_types": ["clip.ready"]}]})

    url: Url | None = None
    description: Title | None = None
    event_types: Types | None = None
    status: EndpointStatus | None = Field(
        default=None,
        description="`enabled` re-enables a disabled endpoint; events of the meantime can be "
        "replayed.",
    )


class RotateRequest(RequestModel):
    """How to rotate an endpoint's secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 3600}]})

    overlap: int = Field(
        default=_DAY,
        ge=0,
        le=7 * _DAY,
        description="Seconds for which messages are also signed with the previous secret.",
    )


class ReplayRequest(RequestModel):
    """Events to send again: from `from` until before `to`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "2026-05-02T18:00:00Z",
                    "to": "2026-05-02T20:00:00Z",
                    "types": ["clip.ready"],
                }
            ]
        },
    )

    since: Timestamp = Field(alias="from")
    until: Timestamp = Field(alias="to")
    types: Types = Field(
        default=[], description="Event types; empty means those that the endpoint subscribes to."
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.since >= self.until:
            raise ValueError("`from` must be before `to`")
        return self


class EndpointModel(BaseModel):
    """A webhook endpoint."""

    id: UUID
    url: str
    description: str
    event_types: list[EventType] = Field(description="Empty means all.")
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    failing_since: datetime | None = Field(
        description="Time of the first failed attempt since the last success."
    )
    previous_secret_until: datetime | None = Field(
        description="Until when messages are also signed with the previous secret."
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        """Return an endpoint, without its secret."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class EndpointWithSecret(EndpointModel):
    """A webhook endpoint with its secret, which is shown only once."""

    secret: str | None = Field(
        description="`whsec_…`: verify messages with it, using any Standard Webhooks library. "
        "Null in the response to a retry with the same `Idempotency-Key`.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )


class DeliveryModel(BaseModel):
    """An event for one endpoint, and its status."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID = Field(description="Sent as `webhook-id`.")
    event_type: EventType
    status: DeliveryStatus
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    last_status_code: int | None = Field(description="HTTP status of the last response.")
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Delivery) -> Self:
        """Return a delivery."""
        return cls(**_delivery_values(row))


class AttemptModel(BaseModel):
    """One request to the endpoint."""

    number: int
    at: datetime
    duration: float = Field(description="Seconds.")
    status_code: int | None
    error: str | None
    response: str = Field(description="Beginning of the response body.")


class DeliveryDetail(DeliveryModel):
    """A delivery with its payload and latest attempts, newest first."""

    data: dict[str, Any] | None = Field(
        description="The event's payload; links are signed when sent. Null for keys without the "
        "scope `read`, since it contains highlights and clips."
    )
    history: list[AttemptModel]

    @classmethod
    def with_history(
        cls, row: Delivery, data: dict[str, Any] | None, attempts: list[DeliveryAttempt]
    ) -> Self:
        """Return a delivery with its payload and attempts."""
        return cls(
            **_delivery_values(row),
            data=data,
            history=[
                AttemptModel(
                    number=each.number,
                    at=each.at,
                    duration=each.duration,
                    status_code=each.status_code,
                    error=each.error,
                    response=each.response,
                )
                for each in attempts
            ],
        )


class ReplayResult(BaseModel):
    """Number of events being sent again."""

    deliveries: int


def _delivery_values(row: Delivery) -> dict[str, Any]:
    names = DeliveryModel.model_fields
    return {name: getattr(row, name) for name in names}
