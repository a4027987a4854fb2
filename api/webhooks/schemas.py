"""Request and response models of webhook endpoints and deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from api.request_model import RequestModel, Timestamp
from domain.fields import Title, Url
from domain.webhooks.endpoints import DeliveryStatus, DisabledReason, EndpointStatus
from domain.webhooks.events import EventType
from infra.db.tables import Delivery, DeliveryAttempt, WebhookEndpoint

# Plain text: of members of an enumeration pydantic's messages show the representation.
Subscribable = Literal[
    "stream.started",
    "stream.ended",
    "stream.failed",
    "highlight.pending",
    "highlight.confirmed",
    "highlight.retracted",
    "clip.ready",
    "clip.failed",
    "usage.threshold",
    "endpoint.disabled",
]
Types = Annotated[
    list[Subscribable],
    Field(max_length=20, description="Which events to be told of; none means all."),
]
_DAY: Final = 86_400
_EXAMPLE: Final[JsonDict] = {
    "url": "https://hooks.example.com/highlights",
    "description": "Production",
    "event_types": ["highlight.confirmed", "clip.ready"],
}


class SubscribeRequest(RequestModel):
    """Where to be told of what."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    url: Url = Field(description="Public https URL that takes POST requests.")
    description: Title = Field(default="", description="For people.")
    event_types: Types = Field(default=[])


class EndpointPatch(RequestModel):
    """What to change of an endpoint; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"event_types": ["clip.ready"]}]})

    url: Url | None = None
    description: Title | None = None
    event_types: Types | None = None
    status: EndpointStatus | None = Field(
        default=None,
        description="`enabled` calls an endpoint again that was disabled; what was meant for it "
        "meanwhile can be replayed.",
    )


class RotateRequest(RequestModel):
    """How to replace an endpoint's secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 3600}]})

    overlap: int = Field(
        default=_DAY,
        ge=0,
        le=7 * _DAY,
        description="Seconds for which messages are signed with the former secret too.",
    )


class ReplayRequest(RequestModel):
    """Which events to send once more: from an instant on, before another."""

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
        default=[], description="Of these types; none means those that the endpoint asks for."
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
    event_types: list[EventType] = Field(description="None means all.")
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    failing_since: datetime | None = Field(
        description="The first failed attempt after its last success."
    )
    previous_secret_until: datetime | None = Field(
        description="Until when the former secret signs too, after a rotation."
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        """Return an endpoint, without its secret."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class EndpointWithSecret(EndpointModel):
    """A webhook endpoint with its secret, which is shown now and not again."""

    secret: str | None = Field(
        description="`whsec_…`: verify what you receive with it, by any library of Standard "
        "Webhooks. Null where a repetition under the same `Idempotency-Key` is answered.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    )


class DeliveryModel(BaseModel):
    """An event for one endpoint, and how far it has come."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID = Field(description="What the receiver sees as `webhook-id`.")
    event_type: EventType
    status: DeliveryStatus
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    last_status_code: int | None = Field(description="What the endpoint answered.")
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
    response: str = Field(description="How the answer's body begins.")


class DeliveryDetail(DeliveryModel):
    """A delivery with what is sent and its latest attempts, newest first."""

    data: dict[str, Any] | None = Field(
        description="The event's payload; links are signed when sent. Null for a key without the "
        "scope `read`: it holds highlights and clips."
    )
    history: list[AttemptModel]

    @classmethod
    def with_history(
        cls, row: Delivery, data: dict[str, Any] | None, attempts: list[DeliveryAttempt]
    ) -> Self:
        """Return a delivery with all that is known of it."""
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
    """How many events are being sent once more."""

    deliveries: int


def _delivery_values(row: Delivery) -> dict[str, Any]:
    names = DeliveryModel.model_fields
    return {name: getattr(row, name) for name in names}
