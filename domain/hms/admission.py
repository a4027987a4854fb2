"""The checks that decide whether a request may deliver events to a connection.

100ms itself offers secret headers and a list of addresses. The signature
(`X-100ms-Signature: sha256=<hex>`) is for customers who relay its events through their own servers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from pydantic import Field, model_validator

from domain.hms.events import HmsEvent
from domain.model import Model
from domain.tenants.addresses import IPAddress, IPNetwork, is_within, network

SIGNATURE_HEADER: Final = "X-100ms-Signature"
DEFAULT_HEADER: Final = "X-Highlights-Secret"
DEFAULT_SOURCES: Final = (
    "34.100.213.146/32",
    "35.200.143.211/32",
    "34.100.191.162/32",
    "34.100.132.35/32",
    "34.93.93.114/32",
    "34.131.109.150/32",
)
"""The addresses of 100ms in the product brief; 100ms's own, longer list is in its dashboard."""

DEFAULT_TOLERANCE: Final = 300.0
"""Seconds; 100ms's last retry comes 14 s after the event."""

_SCHEME: Final = "sha256="


class FailedCheck(StrEnum):
    """The check that a request failed."""

    SOURCE = "source"
    SECRET = "secret"  # noqa: S105 the name of a check
    SIGNATURE = "signature"
    TIMESTAMP = "timestamp"


class Checks(Model):
    """The checks of a connection; at least one is on.

    Attributes:
        source: the client's address must be one of `sources`.
        secret_header: the secret must stand in the header `header_name`.
        signature: the body must be signed with the signing secret.
        timestamp_tolerance: seconds by which a signed event's time may differ from ours; None for
            any. Without a signature a sender could state any time.
        trusted_proxies: networks whose `X-Forwarded-For` is believed.
    """

    source: bool = True
    secret_header: bool = True
    signature: bool = False
    sources: tuple[str, ...] = DEFAULT_SOURCES
    header_name: str = DEFAULT_HEADER
    timestamp_tolerance: float | None = Field(default=DEFAULT_TOLERANCE, gt=0)
    trusted_proxies: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _must_check_something(self) -> Self:
        if not (self.source or self.secret_header or self.signature):
            raise ValueError("at least one of source, secret_header and signature must be on")
        if self.source and not self.sources:
            raise ValueError("the check of the source needs addresses")
        for each in (*self.sources, *self.trusted_proxies):
            network(each)
        return self

    @property
    def tell_tenants_apart(self) -> bool:
        """Return True if passing them proves whose event it is; 100ms's addresses do not."""
        return self.secret_header or self.signature


class Secrets(Model):
    """The values that a connection's requests are compared with; two of each during rotation.

    Attributes:
        header_hashes: keyed hashes of the header's values.
        signing_secrets: the secrets themselves.
    """

    header_hashes: tuple[bytes, ...] = ()
    signing_secrets: tuple[bytes, ...] = ()


class PresentedCredentials(Model):
    """The credentials of a request.

    Attributes:
        source: the client's address; None where it is not known.
        header_hash: keyed hash of the secret header's value; None without one.
        signature: the value of `X-100ms-Signature`.
        body: as it came, byte for byte.
    """

    source: IPAddress | None
    header_hash: bytes | None
    signature: str | None
    body: bytes


def failed_check(
    checks: Checks, secrets: Secrets, presented: PresentedCredentials
) -> FailedCheck | None:
    """Return the first enabled check that fails, or None. The time is checked separately."""
    if checks.source and not _is_from(presented.source, checks.sources):
        return FailedCheck.SOURCE
    if checks.secret_header and not _is_among(presented.header_hash or b"", secrets.header_hashes):
        return FailedCheck.SECRET
    if checks.signature and not _is_signed(presented, secrets.signing_secrets):
        return FailedCheck.SIGNATURE
    return None


def is_timely(
    checks: Checks, *, timestamp: datetime | None, is_replay: bool, now: datetime
) -> bool:
    """Return True if a signed event's time is close enough to `now`.

    Replayed events are old, so they are exempt: a duplicate is found by its id, and the replay flag
    cannot be forged without breaking the signature.
    """
    if not checks.signature or checks.timestamp_tolerance is None or is_replay:
        return True
    if timestamp is None:
        return False
    return abs(now - timestamp) <= timedelta(seconds=checks.timestamp_tolerance)


def serves(event: HmsEvent, *, account_id: str | None, app_id: str | None) -> bool:
    """Return True if an event is of the connection's workspace, by account, app, or both."""
    if account_id is None and app_id is None:
        return False
    return account_id in {None, event.account_id} and app_id in {None, event.app_id}


def sign(body: bytes, secret: bytes) -> str:
    """Return the value of `X-100ms-Signature` for a body."""
    return _SCHEME + hmac.new(secret, body, hashlib.sha256).hexdigest()


def _is_from(source: IPAddress | None, sources: Iterable[str]) -> bool:
    return source is not None and is_within(source, _networks(tuple(sources)))


@lru_cache(maxsize=1024)
def _networks(sources: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    return tuple(network(each) for each in sources)


def _is_among(value: bytes, accepted: Iterable[bytes]) -> bool:
    # All are compared, so that the time taken does not reveal which one matched.
    found = [hmac.compare_digest(value, each) for each in accepted]
    return any(found)


def _is_signed(presented: PresentedCredentials, secrets: Iterable[bytes]) -> bool:
    given = (presented.signature or "").strip().lower().encode(errors="replace")
    return _is_among(given, [sign(presented.body, secret).encode() for secret in secrets])
