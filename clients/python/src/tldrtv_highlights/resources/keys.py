"""API keys: made, rotated, changed and revoked; for keys with the scope `admin`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tldrtv_highlights._endpoint import (
    UNSET,
    Identity,
    Sent,
    Unset,
    changed,
    given,
    keyed,
)
from tldrtv_highlights._resource import Resource, Transport, listing, operation
from tldrtv_highlights.models import CreatedKey, Key, Page


class Keys(Resource[Transport]):
    """API keys, and what they may do."""

    @operation("POST /v1/keys", CreatedKey, creates=True)
    def create(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        mode: str | None = None,
        allowed_ips: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Create a key. It is shown once.

        Args:
            name: what it is for, for people.
            scopes: what it may do: `read`, `write`, `webhooks`; `admin` includes all.
            mode: `live` (the default) or `test`; shows in the key's prefix.
            allowed_ips: addresses or networks that it works from; by default anywhere.
            expires_at: by default never.
            idempotency_key: by default a new one, so that a lost answer makes no second key.
        """
        return Sent(
            body=given(
                name=name,
                scopes=scopes,
                mode=mode,
                allowed_ips=allowed_ips,
                expires_at=expires_at,
            ),
            headers=keyed(idempotency_key),
        )

    @listing("GET /v1/keys", Page[Key])
    def list(self, *, limit: int | None = None) -> Sent:
        """Iterate over keys, newest first; `limit` is the size of a page."""
        return Sent(query={"limit": limit})

    @operation("GET /v1/keys/{key_id}", Key)
    def get(self, key_id: Identity) -> Sent:
        """Read a key with its scopes, expiry and last use."""
        return Sent(path={"key_id": key_id})

    @operation("PATCH /v1/keys/{key_id}", Key)
    def update(
        self,
        key_id: Identity,
        *,
        name: str | Unset = UNSET,
        allowed_ips: Sequence[str] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
    ) -> Sent:
        """Change a key. Arguments that you leave out stay, None clears."""
        return Sent(
            path={"key_id": key_id},
            body=changed(name=name, allowed_ips=allowed_ips, expires_at=expires_at),
        )

    @operation("POST /v1/keys/{key_id}/rotate", CreatedKey, creates=True)
    def rotate(
        self,
        key_id: Identity,
        *,
        overlap: int | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Create a key's successor. It is shown once.

        Args:
            key_id: the key to replace.
            overlap: seconds that the old key still works; by default a day.
            expires_at: when the new key ends; by default when the old one was to.
            idempotency_key: by default a new one, so that a lost answer makes no second key.
        """
        return Sent(
            path={"key_id": key_id},
            body=given(overlap=overlap, expires_at=expires_at),
            headers=keyed(idempotency_key),
        )

    @operation("POST /v1/keys/{key_id}/revoke", Key)
    def revoke(self, key_id: Identity) -> Sent:
        """Revoke a key at once."""
        return Sent(path={"key_id": key_id})
