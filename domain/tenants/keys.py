"""What an API key may do.

The life of an API key: it works, is replaced, expires, or is revoked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.model import Model
from domain.tenants.addresses import IPAddress, is_part, is_within, network


class Scope(StrEnum):
    """A right of an API key; `admin` includes all others."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    WEBHOOKS = "webhooks"


def permits(granted: frozenset[Scope], needed: Scope) -> bool:
    """Tell whether a key with the scopes `granted` may do what needs `needed`."""
    return needed in granted or Scope.ADMIN in granted


DEFAULT_OVERLAP: Final = timedelta(hours=24)
"""How long a replaced key still works: a day, so that every deployment can take the new one."""


LONGEST_OVERLAP: Final = timedelta(days=30)


_NEVER: Final = datetime.max.replace(tzinfo=UTC)


LEAST_ADMINISTRATION: Final = timedelta(days=30)
"""How long a tenant must still be able to administer its keys after a change, if it was before."""


class KeyChangeRefusedError(Exception):
    """A key may not be changed like this; the subclass says why."""


class KeyEndedError(KeyChangeRefusedError):
    """The key is revoked or has expired, which is for good."""


class KeyReplacedError(KeyChangeRefusedError):
    """The key has a successor already."""


class LastAdministratorError(KeyChangeRefusedError):
    """Without this key no one could administer the tenant's keys any more."""


class KeyStatus(StrEnum):
    """What has become of a key."""

    ACTIVE = "active"
    REPLACED = "replaced"  # rotated; it works until its overlap ends
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeyLife(Model):
    """When a key was made, and what ends it."""

    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    replaced_by: UUID | None = None
    allowed_ips: tuple[str, ...] = ()

    def usable_from(self, address: IPAddress | None) -> bool:
        """Return True if the key may be used from an address; None stands for an unknown one."""
        if not self.allowed_ips:
            return True
        return address is not None and is_within(address, map(network, self.allowed_ips))

    def reaches_within(self, other: KeyLife) -> bool:
        """Return True if the other key may be used from everywhere that this one may."""
        own, others = (list(map(network, key.allowed_ips)) for key in (self, other))
        return not others or (bool(own) and all(is_part(part, others) for part in own))

    def status(self, now: datetime) -> KeyStatus:
        """Return what the key is at `now`."""
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE if self.replaced_by is None else KeyStatus.REPLACED

    def works(self, now: datetime) -> bool:
        """Tell whether the key opens anything at `now`."""
        return self.status(now) in {KeyStatus.ACTIVE, KeyStatus.REPLACED}

    def require_working(self, now: datetime) -> None:
        """Let only a key be changed that still opens something.

        Raises:
            KeyEndedError: it is revoked or has expired.
        """
        if not self.works(now):
            raise KeyEndedError(f"The key is {self.status(now)}, which is for good.")

    def end_after_rotation(self, now: datetime, *, overlap: timedelta) -> datetime:
        """Return when this key ends if it is replaced at `now`: never later than it would anyway.

        Raises:
            KeyEndedError: it has ended already.
            KeyReplacedError: it has a successor already.
        """
        self.require_working(now)
        if self.replaced_by is not None:
            raise KeyReplacedError(f"The key was replaced by {self.replaced_by}.")
        end = now + overlap
        return end if self.expires_at is None else min(end, self.expires_at)

    def end_of_successor(self, now: datetime) -> datetime | None:
        """Return when a key made at `now` ends that is given as long a life as this one had."""
        return None if self.expires_at is None else now + (self.expires_at - self.created_at)


def require_administrator(
    before: Mapping[UUID, KeyLife],
    after: Mapping[UUID, KeyLife],
    now: datetime,
    *,
    address: IPAddress | None,
) -> None:
    """Refuse a change of keys after which nobody could administer a tenant's keys for long.

    A key can be bound to addresses that the tenant does not have, and which those are cannot be
    known. So a key counts as usable from the address of the change if it may be used from there.
    Neither the time for which some key is usable from that address, nor the time for which any key
    works at all, may become short; a key that the change itself binds to other addresses does not
    count for the latter. It is no concern of this change if the time was short before.

    Args:
        before: the tenant's keys with the scope `admin` before the change, by id.
        after: the same and new ones, after it.
        now: the time of the change.
        address: where the change comes from; None if that is not known.

    Raises:
        LastAdministratorError: the last key that could make others ends with this change, or soon.
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
