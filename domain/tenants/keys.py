"""API keys: scopes, lifetime, rotation and allowed addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.model import Model
from domain.tenants.addresses import IPAddress, is_part, is_within, network


class Scope(StrEnum):
    """A scope of an API key; `admin` includes all others."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    WEBHOOKS = "webhooks"


def permits(granted: frozenset[Scope], needed: Scope) -> bool:
    """Return True if the scopes `granted` include what requires `needed`."""
    return needed in granted or Scope.ADMIN in granted


DEFAULT_OVERLAP: Final = timedelta(hours=24)
"""How long a replaced key still works: a day, so that every deployment can take the new one."""


LONGEST_OVERLAP: Final = timedelta(days=30)


_NEVER: Final = datetime.max.replace(tzinfo=UTC)


LEAST_ADMINISTRATION: Final = timedelta(days=30)
"""How long a tenant must still be able to administer its keys after a change, if it was before."""


class KeyChangeRefusedError(Exception):
    """The change of a key is rejected; the subclass is the reason."""


class KeyEndedError(KeyChangeRefusedError):
    """The key is revoked or expired, which is final."""


class KeyReplacedError(KeyChangeRefusedError):
    """The key was already rotated."""


class LastAdministratorError(KeyChangeRefusedError):
    """Without this key the tenant's keys could not be administered."""


class KeyStatus(StrEnum):
    """Status of a key."""

    ACTIVE = "active"
    REPLACED = "replaced"  # rotated; it works until its overlap ends
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeyLife(Model):
    """Lifetime of a key: creation, expiry, revocation and replacement."""

    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: UUID | None = None
    allowed_ips: tuple[str, ...] = ()

    def usable_from(self, address: IPAddress | None) -> bool:
        """Return True if the key may be used from `address`; None is an unknown address."""
        if not self.allowed_ips:
            return True
        return address is not None and is_within(address, map(network, self.allowed_ips))

    def reaches_within(self, other: KeyLife) -> bool:
        """Return True if the other key may be used from every address that this one may."""
        own, others = (list(map(network, key.allowed_ips)) for key in (self, other))
        return not others or (bool(own) and all(is_part(part, others) for part in own))

    def status(self, now: datetime) -> KeyStatus:
        """Return the status at `now`."""
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE if self.replaced_by is None else KeyStatus.REPLACED

    def works(self, now: datetime) -> bool:
        """Return True if the key is accepted at `now`."""
        return self.status(now) in {KeyStatus.ACTIVE, KeyStatus.REPLACED}

    def require_working(self, now: datetime) -> None:
        """Raise unless the key is accepted at `now`.

        Raises:
            KeyEndedError: it is revoked or expired.
        """
        if not self.works(now):
            raise KeyEndedError(f"The key is {self.status(now)}, which is for good.")

    def end_after_rotation(self, now: datetime, *, overlap: timedelta) -> datetime:
        """Return when this key ends if it is rotated at `now`; never later than before.

        Raises:
            KeyEndedError: it has ended already.
            KeyReplacedError: it was rotated already.
        """
        self.require_working(now)
        if self.replaced_by is not None:
            raise KeyReplacedError(f"The key was replaced by {self.replaced_by}.")
        end = now + overlap
        return end if self.expires_at is None else min(end, self.expires_at)

    def end_of_successor(self, now: datetime) -> datetime | None:
        """Return the expiry of a successor created at `now`, with the same lifetime as this key."""
        return None if self.expires_at is None else now + (self.expires_at - self.created_at)


def require_administrator(
    before: Mapping[UUID, KeyLife],
    after: Mapping[UUID, KeyLife],
    now: datetime,
    *,
    address: IPAddress | None,
) -> None:
    """Reject a change of keys that would leave a tenant without an administrator key soon.

    A key can be bound to addresses that the tenant does not have, which cannot be verified. So a
    key counts as usable if it may be used from the address of this change. Neither the time during
    which some key is usable from that address, nor the time during which any key is accepted, may
    become short; a key that the change itself binds to other addresses does not count for the
    latter. A time that was short before is no reason to reject the change.

    Args:
        before: the tenant's keys with scope `admin` before the change, by id.
        after: those keys and new ones, after the change.
        now: time of the change.
        address: address that the change comes from; None if unknown.

    Raises:
        LastAdministratorError: the last key that can create others would end now or soon.
    """
    _require_as_long(
        [key for key in before.values() if key.usable_from(address)],
        [key for key in after.values() if key.usable_from(address)],
        now,
    )
    trusted = [
        key
        for key_id, key in after.items()
        if key_id not in before or before[key_id].reaches_within(key) or key.usable_from(address)
    ]
    _require_as_long(before.values(), trusted, now)


def _require_as_long(before: Iterable[KeyLife], after: Iterable[KeyLife], now: datetime) -> None:
    if _last_end(after, now) < min(_last_end(before, now), now + LEAST_ADMINISTRATION):
        raise LastAdministratorError


def _last_end(keys: Iterable[KeyLife], now: datetime) -> datetime:
    ends = [key.expires_at or _NEVER for key in keys if key.works(now)]
    return max(ends, default=now)
