"""Request and response models of API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.request_model import RequestModel, Timestamp
from app.services.api_keys import MadeKey, NewKey, life_of
from domain.fields import Name
from domain.tenants.addresses import network
from domain.tenants.keys import DEFAULT_OVERLAP, LONGEST_OVERLAP, KeyStatus, Scope
from infra.api_keys import KeyMode
from infra.db.tables import ApiKey

_SHOWN_ONCE: Final = "Keep the key now: it is not shown again."
_SHOWN_BEFORE: Final = (
    "The key was shown in the first answer to this request and is not shown again. If that answer "
    "was lost, rotate the key."
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
    """A key to be made."""

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

    name: Name = Field(description="What it is for, for people.")
    scopes: list[Scope] = Field(
        min_length=1, max_length=len(Scope), description="What it may do; `admin` includes all."
    )
    mode: KeyMode = Field(default=KeyMode.LIVE, description="Shows in the key's prefix.")
    allowed_ips: AllowedIps = Field(
        default=[], description="Addresses or networks (CIDR) that it works from; none: anywhere."
    )
    expires_at: Timestamp | None = Field(default=None, description="Null: never.")

    def wanted(self) -> NewKey:
        """Return this as the key ring takes it."""
        return NewKey(
            name=self.name,
            scopes=frozenset(self.scopes),
            mode=self.mode,
            allowed_ips=tuple(self.allowed_ips),
            expires_at=self.expires_at,
        )


class UpdateKeyRequest(RequestModel):
    """What to change of a key; what is left out stays. Scopes stay: for others make a new key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "scoreboard, new hall"}]})

    name: Name = Field(default_factory=str, description="What it is for, for people.")
    allowed_ips: AllowedIps = Field(
        default_factory=list,
        description="Addresses or networks (CIDR) that it works from; empty: anywhere.",
    )
    expires_at: Timestamp | None = Field(default=None, description="A time to come; null: never.")

    def changes(self) -> dict[str, object]:
        """Return what was given."""
        return self.model_dump(exclude_unset=True)


class RotateKeyRequest(RequestModel):
    """How to replace a key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 86400}]})

    overlap: int = Field(
        default=int(DEFAULT_OVERLAP.total_seconds()),
        ge=0,
        le=int(LONGEST_OVERLAP.total_seconds()),
        description="Seconds that the old key still works, unless it would end earlier anyway.",
    )
    expires_at: Timestamp | None = Field(
        default=None,
        description="When the new key ends; by default it lives as long as the old one was to.",
    )


class KeyModel(BaseModel):
    """A key, without its secret part."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    hint: str = Field(description="Prefix and last characters, by which you recognise it.")
    mode: KeyMode
    scopes: list[Scope]
    status: KeyStatus = Field(description="`replaced` still works, until `expires_at`.")
    allowed_ips: list[str] = Field(description="Networks that it works from; empty: anywhere.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    replaced_by: UUID | None = Field(description="The key that a rotation made in its place.")

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return what may be shown of a key."""
        return cls(**_shown(row))


class CreatedKey(KeyModel):
    """A new key, shown this once."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CREATED]})

    key: str | None = Field(
        description="The key itself. Null where a repetition under the same `Idempotency-Key` is "
        "answered: it is not stored, so that it can be shown only once."
    )
    notice: str = Field(description="What to do about it, for people.")

    @classmethod
    def made(cls, made: MadeKey) -> Self:
        """Return the first answer."""
        return cls(**_shown(made.row), key=made.plain.value, notice=_SHOWN_ONCE)

    def repeated(self) -> Self:
        """Return what repetitions are answered, which is all that is stored."""
        return self.model_copy(update={"key": None, "notice": _SHOWN_BEFORE})


def _shown(row: ApiKey) -> dict[str, Any]:
    columns = KeyModel.model_fields.keys() - {"status"}
    return {
        **{name: getattr(row, name) for name in columns},
        "status": life_of(row).status(datetime.now(UTC)),
    }
