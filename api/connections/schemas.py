"""Request and response models of 100ms connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from api.errors.handlers import message_of
from api.errors.problems import FieldProblem, InvalidRequestProblem
from api.request_model import RequestModel
from domain.highlights.publication import PolicyRequest, PublicationPolicy
from domain.hms.admission import DEFAULT_HEADER, DEFAULT_TOLERANCE, SIGNATURE_HEADER, Checks
from domain.hms.beam import Outcome
from domain.text import Name, Title
from infra.db.repositories.publication.policies import read_policy, stored_policy
from infra.db.tables import Connection, InboundEvent
from infra.encryption import ConnectionSecrets, PlainSecrets

_Network = Annotated[str, StringConstraints(max_length=50, pattern=r"^[0-9A-Fa-f:.]+(/\d{1,3})?$")]
_HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
_Key = Annotated[SecretStr, Field(min_length=1, max_length=500)]


class ChecksPatch(RequestModel):
    """Checks to make of each event; omitted fields stay unchanged or have their defaults."""

    source: bool | None = Field(
        default=None, description="The sender's address must be one of `sources`."
    )
    secret_header: bool | None = Field(
        default=None, description="The secret must be in the header `header_name`."
    )
    signature: bool | None = Field(
        default=None,
        description=f"The body must be signed: `{SIGNATURE_HEADER}: sha256=<HMAC-SHA256, hex>`.",
    )
    sources: list[_Network] | None = Field(
        default=None, max_length=200, description="Addresses and networks (CIDR)."
    )
    header_name: _HeaderName | None = Field(
        default=None, description="Name of the secret header.", examples=[DEFAULT_HEADER]
    )
    timestamp_tolerance: float | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="Maximum clock difference of a signed event in seconds; null for no limit.",
        examples=[DEFAULT_TOLERANCE],
    )
    trusted_proxies: list[_Network] | None = Field(
        default=None,
        max_length=50,
        description="Networks of your proxies, whose `X-Forwarded-For` is trusted.",
    )

    def given(self) -> dict[str, object]:
        """Return the fields that the request sets."""
        return {
            name: value
            for name, value in self.model_dump(exclude_unset=True).items()
            if value is not None or name == "timestamp_tolerance"
        }


class ManagementKeyModel(RequestModel):
    """100ms access key and app secret, used to look for missed events."""

    access_key: Name
    secret: _Key


class ConnectionPatch(RequestModel):
    """Changes to a connection; omitted fields stay unchanged."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"game": "soccer", "checks": {"signature": True}}]},
    )

    name: Name | None = Field(default=None, description="Display name.")
    account_id: Name | None = Field(default=None, description="Account id of the 100ms workspace.")
    app_id: Name | None = Field(default=None, description="App id of the 100ms workspace.")
    checks: ChecksPatch | None = None
    management: ManagementKeyModel | None = Field(default=None, description="Null removes it.")
    game: Name | None = Field(
        default=None,
        description="Game or sport of its streams; without one, the title decides.",
    )
    title: Title | None = Field(
        default=None, description="Title of its streams; `{room}` is replaced by the room id."
    )
    policy: PolicyRequest | None = Field(
        default=None,
        description="What may be shown of the highlights of its streams that start from now on. A "
        "field that you leave out is that of your own policy; null states nothing.",
    )


class ConnectionRequest(ConnectionPatch):
    """A 100ms workspace to connect."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Cup",
                    "account_id": "60b8e13a6eb86d8101b57354",
                    "checks": {"source": True, "secret_header": True},
                    "game": "soccer",
                    "title": "Cup, room {room}",
                }
            ]
        },
    )

    name: Name = Field(description="Display name.")


class ChecksModel(BaseModel):
    """Checks made of each event."""

    source: bool
    secret_header: bool
    signature: bool
    sources: list[str]
    header_name: str
    timestamp_tolerance: float | None
    trusted_proxies: list[str]


class SecretsModel(BaseModel):
    """Secrets that the sender needs; shown once."""

    header_name: str
    header_value: str = Field(description="Value of the secret header in 100ms's dashboard.")
    signing_secret: str = Field(description="Signing key, UTF-8.")


class ConnectionModel(BaseModel):
    """A connected 100ms workspace."""

    id: UUID
    name: str
    webhook_url: str = Field(description="The webhook URL for 100ms's dashboard.")
    account_id: str | None
    app_id: str | None
    checks: ChecksModel
    management_access_key: str | None
    game: str | None
    title: str
    policy: PublicationPolicy | None
    previous_secrets_until: datetime | None = Field(
        description="Until when the secrets before the last rotation stay valid."
    )
    created_at: datetime
    updated_at: datetime
    secrets: SecretsModel | None = Field(
        default=None,
        description="Only in the response that created them; they cannot be read again.",
    )

    @classmethod
    def of(cls, row: Connection, *, base_url: str, secrets: PlainSecrets | None = None) -> Self:
        """Return a connection, with its secrets if they are new."""
        checks = Checks.model_validate(row.checks)
        shown = None
        if secrets is not None:
            shown = SecretsModel(
                header_name=checks.header_name,
                header_value=secrets.header,
                signing_secret=secrets.signing,
            )
        return cls(
            id=row.id,
            name=row.name,
            webhook_url=f"{base_url}/v1/webhooks/100ms/{row.id}",
            account_id=row.account_id,
            app_id=row.app_id,
            checks=ChecksModel.model_validate(checks.model_dump(mode="json")),
            management_access_key=row.management_access_key,
            game=row.game,
            title=row.title,
            policy=read_policy(row.policy),
            previous_secrets_until=row.previous_until,
            created_at=row.created_at,
            updated_at=row.updated_at,
            secrets=shown,
        )


class InboundEventModel(BaseModel):
    """An event received by a connection, and its outcome."""

    id: str
    type: str
    stream_id: UUID | None = Field(description="The stream that the event is about.")
    outcome: Outcome | None = Field(description="Null until the event is processed.")
    detail: str
    is_replay: bool
    attempts: int
    occurred_at: datetime | None
    received_at: datetime
    delivered_at: datetime | None

    @classmethod
    def of(cls, row: InboundEvent) -> Self:
        """Return an event."""
        return cls(
            id=row.event_id,
            type=row.type,
            stream_id=row.stream_id,
            outcome=None if row.outcome is None else Outcome(row.outcome),
            detail=row.detail,
            is_replay=row.is_replay,
            attempts=row.attempts,
            occurred_at=row.occurred_at,
            received_at=row.received_at,
            delivered_at=row.delivered_at,
        )


class InboundEventList(BaseModel):
    """A connection's latest events, newest first."""

    data: list[InboundEventModel]


def plain_columns(body: ConnectionPatch) -> dict[str, Any]:
    """Return the columns that a request sets directly; null clears a nullable one."""
    given = body.model_dump(
        exclude_unset=True, include={"name", "account_id", "app_id", "game", "title"}
    )
    columns = {
        name: value
        for name, value in given.items()
        if value is not None or name in {"account_id", "app_id", "game"}
    }
    if "policy" in body.model_fields_set:
        columns["policy"] = stored_policy(body.policy)
    return columns


@contextmanager
def invalid_checks_as_problem() -> Iterator[None]:
    """Turn checks that contradict each other into an InvalidRequestProblem."""
    try:
        yield
    except ValidationError as error:
        raise InvalidRequestProblem(
            errors=[
                FieldProblem(
                    pointer="/".join(("/checks", *(str(part) for part in each["loc"]))),
                    detail=message_of(each),
                )
                for each in error.errors()
            ]
        ) from error


def management_columns(
    body: ConnectionPatch, secrets: ConnectionSecrets, *, connection_id: UUID
) -> dict[str, str | bytes | None]:
    """Return the columns of the management key, if the request sets or removes it."""
    if "management" not in body.model_fields_set:
        return {}
    if body.management is None:
        return {"management_access_key": None, "management_secret": None}
    secret = body.management.secret.get_secret_value()
    return {
        "management_access_key": body.management.access_key,
        "management_secret": secrets.encrypt(secret, connection_id=connection_id),
    }
