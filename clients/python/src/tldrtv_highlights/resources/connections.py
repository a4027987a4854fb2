"""100ms connections; for keys with the scope `admin`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from tldrtv_highlights.models import Connection, InboundEventList, Page


class Connections(Resource[Transport]):
    """100ms workspaces whose events are followed."""

    @operation("POST /v1/connections", Connection, creates=True)
    def create(
        self,
        name: str,
        *,
        account_id: str | None = None,
        app_id: str | None = None,
        checks: Mapping[str, Any] | None = None,
        management: Mapping[str, str] | None = None,
        game: str | None = None,
        title: str | None = None,
        policy: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Connect a 100ms workspace. The response has the secrets, which are shown once.

        Args:
            name: for people.
            account_id: 100ms's account of the workspace.
            app_id: 100ms's app of the workspace.
            checks: which checks are made of every event.
            management: 100ms's `access_key` and `secret`, to look for missed events.
            game: of its streams; by default their titles are looked at.
            title: of its streams; `{room}` becomes the room's id.
            policy: what may be shown of the highlights of its streams.
            idempotency_key: by default a new one, so that a lost answer connects nothing twice.
        """
        return Sent(
            body=given(
                name=name,
                account_id=account_id,
                app_id=app_id,
                checks=checks,
                management=management,
                game=game,
                title=title,
                policy=policy,
            ),
            headers=keyed(idempotency_key),
        )

    @listing("GET /v1/connections", Page[Connection])
    def list(self, *, limit: int | None = None) -> Sent:
        """Iterate over connections, newest first; `limit` is the size of a page."""
        return Sent(query={"limit": limit})

    @operation("GET /v1/connections/{connection_id}", Connection)
    def get(self, connection_id: Identity) -> Sent:
        """Read a connection, without its secrets."""
        return Sent(path={"connection_id": connection_id})

    @operation("PATCH /v1/connections/{connection_id}", Connection)
    def update(
        self,
        connection_id: Identity,
        *,
        name: str | Unset = UNSET,
        account_id: str | Unset | None = UNSET,
        app_id: str | Unset | None = UNSET,
        checks: Mapping[str, Any] | Unset = UNSET,
        management: Mapping[str, str] | Unset | None = UNSET,
        game: str | Unset | None = UNSET,
        title: str | Unset = UNSET,
        policy: Mapping[str, Any] | Unset | None = UNSET,
    ) -> Sent:
        """Change a connection. Arguments that you leave out stay, None clears."""
        return Sent(
            path={"connection_id": connection_id},
            body=changed(
                name=name,
                account_id=account_id,
                app_id=app_id,
                checks=checks,
                management=management,
                game=game,
                title=title,
                policy=policy,
            ),
        )

    @operation("DELETE /v1/connections/{connection_id}", type(None), repeatable=False)
    def delete(self, connection_id: Identity) -> Sent:
        """Delete a connection and its events. Streams that it started are unaffected."""
        return Sent(path={"connection_id": connection_id})

    @operation("POST /v1/connections/{connection_id}/rotate", Connection, repeatable=False)
    def rotate(self, connection_id: Identity) -> Sent:
        """Create new secrets. The old ones are valid for another day."""
        return Sent(path={"connection_id": connection_id})

    @operation("GET /v1/connections/{connection_id}/events", InboundEventList)
    def events(self, connection_id: Identity, *, limit: int | None = None) -> Sent:
        """List the latest events of a connection with their outcomes."""
        return Sent(path={"connection_id": connection_id}, query={"limit": limit})
