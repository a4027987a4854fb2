"""The documentation of events: the `webhooks` of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from fastapi import FastAPI
from pydantic import BaseModel, Field, create_model

from domain.webhooks.events import MEANINGS, PAYLOADS, EventType

T = TypeVar("T")
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "You have it; any 2xx says so."},
    410: {"description": "You want no more events: the endpoint is disabled."},
    "4XX": {"description": "It is sent again later, as after any other answer and none."},
}


class EventMessage(BaseModel, Generic[T]):
    """What an endpoint receives, signed by the rules of Standard Webhooks."""

    id: UUID = Field(description="The same as `webhook-id`; drop what you have seen.")
    type: EventType
    version: Literal["1"] = Field(description="Within a version fields are only added.")
    timestamp: datetime = Field(description="When it happened.")
    data: T


def document_events(app: FastAPI) -> None:
    """Add to the OpenAPI document what tenants' endpoints receive."""
    for kind in EventType:
        app.webhooks.add_api_route(
            kind.value,
            _receiver(kind),
            methods=["POST"],
            operation_id=f"on{_pascal(kind)}",
            summary=kind.value,
            description=MEANINGS[kind],
            status_code=204,
            tags=["webhooks"],
            responses=_ANSWERS,
            openapi_extra={"security": []},  # signed by us, with no key of the API's
        )


def message_of(kind: EventType) -> type[BaseModel]:
    """Return the model of the messages of one type, such as `ClipReadyEvent`."""
    base: type[BaseModel] = EventMessage.__class_getitem__(PAYLOADS[kind])  # type: ignore[assignment]
    constant: Any = Literal[kind.value]
    message: type[BaseModel] = create_model(
        f"{_pascal(kind)}Event",
        __base__=base,
        __doc__=f"{MEANINGS[kind]} Signed by the rules of Standard Webhooks.",
        type=(constant, ...),
    )
    return message


def _pascal(kind: EventType) -> str:
    return "".join(part.capitalize() for part in kind.value.split("."))


def _receiver(kind: EventType) -> Callable[..., Awaitable[None]]:
    async def receive(body: Any) -> None:  # noqa: ANN401 - annotated below, by its type
        """Stand for a tenant's endpoint in the document."""

    receive.__annotations__["body"] = message_of(kind)
    return receive
