"""API keys."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class Key(Model):
    """A key, without its secret part; one that is `replaced` works until `expires_at`."""

    id: str
    name: str
    hint: str
    mode: str
    scopes: tuple[str, ...]
    status: str
    allowed_ips: tuple[str, ...]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    last_used_at: AwareDatetime | None
    replaced_by: str | None


class CreatedKey(Key):
    """A new key. `key` is None where a repetition is answered: it is shown once."""

    key: str | None
    notice: str
