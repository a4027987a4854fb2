"""Request and response models of API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.request_model import RequestModel, Timestamp
from app.services.api_keys import MadeKey, NewKey, life_of
from domain.tenants.addresses import network
from domain.tenants.keys import DEFAULT_OVERLAP, LONGEST_OVERLAP, KeyStatus, Scope
from domain.text import Name
from infra.api_keys import KeyMode
from infra.db.tables import ApiKey

_SHOWN_ONCE: Final = "Store the key now: it is not shown again."
_SHOWN_BEFORE: Final = (
    "The key was in the first response to this request and is not shown again. If you lost it, "
    "rotate the key."
)
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "name": "scoreboard",
    "hint": "hl_live_…W5Kz",
    "mode": "live",
    "scopes": ["read"],
    "status": "active",
    "allowed_ips": ["203.0.113.0/24"],
    "created_at": "2026-05-02T19:00:00Z",
    "expires_at": "2026-08-01T00:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
    "replaced_by": None,
}
_CREATED: Final = _EXAMPLE | {
    "key": "hl_live_0123456789ABCDEFGHIJKLMNOPQRSTUV0hMyTG",
    "notice": _SHOWN_ONCE,
}

Network = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(lambda text: str(network(text))),
]
AllowedIps = Annotated[list[Network], Field(max_length=50)]


class CreateKeyRequest(RequestModel):
    """A key to create."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "scoreboard",
                    "scopes": ["read"],
                    "allowed_ips": ["203.0.113.0/24"],
                    "expires_at": "2126-08-01T00:00:00Z",
                }
            ]
        },
    )

    name: Name = Field(description="Display name, such as its purpose.")
    scopes: list[Scope] = Field(
        min_length=1, max_length=len(Scope), description="Permissions; `admin` includes all others."
    )
    mode: KeyMode = Field(default=KeyMode.LIVE, description="Shown in the key's prefix.")
    allowed_ips: AllowedIps = Field(
        default=[], description="Addresses or networks (CIDR) it may be used from; empty: any."
    )
    expires_at: Timestamp | None = Field(default=None, description="Null for no expiry.")

    def wanted(self) -> NewKey:
        """Return the key to create."""
        return NewKey(
            name=self.name,
            scopes=frozenset(self.scopes),
            mode=self.mode,
            allowed_ips=tuple(self.allowed_ips),
            expires_at=self.expires_at,
        )


class UpdateKeyRequest(RequestModel):
    """Changes to a key; omitted fields stay unchanged. Scopes cannot be changed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "scoreboard, new hall"}]})

    name: Name = Field(default_factory=str, description="Display name, such as its purpose.")
    allowed_ips: AllowedIps = Field(
        default_factory=list,
        description="Addresses or networks (CIDR) it may be used from; empty: any.",
    )
    expires_at: Timestamp | None = Field(
        default=None, description="A future time; null for no expiry."
    )

    def changes(self) -> dict[str, object]:
        """Return the fields that the request sets."""
        return self.model_dump(exclude_unset=True)


class RotateKeyRequest(RequestModel):
    """How to rotate a key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 86400}]})

    overlap: int = Field(
        default=int(DEFAULT_OVERLAP.total_seconds()),
        ge=0,
        le=int(LONGEST_OVERLAP.total_seconds()),
        description="Seconds for which the old key stays valid, unless it expires earlier.",
    )
    expires_at: Timestamp | None = Field(
        default=None,
        description="Expiry of the new key; defaults to the same lifetime as the old one.",
    )


class KeyModel(BaseModel):
    """A key, without its secret part."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    hint: str = Field(description="Prefix and last characters, to recognize the key.")
    mode: KeyMode
    scopes: list[Scope]
    status: KeyStatus = Field(description="A `replaced` key stays valid until `expires_at`.")
    allowed_ips: list[str] = Field(description="Networks it may be used from; empty: any.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Accurate to the minute.")
    replaced_by: UUID | None = Field(description="The key that replaced it in a rotation.")

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return the public part of a key."""
        return cls(**_shown(row))


class CreatedKey(KeyModel):
    """A new key; this response is the only one that contains it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CREATED]})

    key: str | None = Field(
        description="The key. Null in the response to a retry with the same `Idempotency-Key`: it "
        "is not stored and can be shown only once."
    )
    notice: str = Field(description="What to do with the key, for people.")

    @classmethod
    def made(cls, made: MadeKey) -> Self:
        """Return the response to the request that created the key."""
        return cls(**_shown(made.row), key=made.plain.value, notice=_SHOWN_ONCE)

    def repeated(self) -> Self:
        """Return the response to retries, which is the only one stored."""
        return self.model_copy(update={"key": None, "notice": _SHOWN_BEFORE})


def _shown(row: ApiKey) -> dict[str, Any]:
    columns = KeyModel.model_fields.keys() - {"status"}
    return {
        **{name: getattr(row, name) for name in columns},
        "status": life_of(row).status(datetime.now(UTC)),
    }
