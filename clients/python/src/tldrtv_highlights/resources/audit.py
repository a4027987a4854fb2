"""The audit log: who changed keys and rules; for keys with the scope `admin`."""

from __future__ import annotations

from datetime import datetime

from tldrtv_highlights._endpoint import Sent
from tldrtv_highlights._resource import Resource, Transport, listing
from tldrtv_highlights.models import AuditEntry, Page


class Audit(Resource[Transport]):
    """Who changed what."""

    @listing("GET /v1/audit", Page[AuditEntry])
    def list(
        self,
        *,
        action: str | None = None,
        target_kind: str | None = None,
        target_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over changes that match all filters given, newest first.

        Args:
            action: such as `key.revoked`.
            target_kind: such as `key`.
            target_id: such as a key's id, or a profile's name.
            since: from this time on.
            until: before this time.
            limit: the size of a page.
        """
        return Sent(
            query={
                "action": action,
                "target_kind": target_kind,
                "target_id": target_id,
                "since": since,
                "until": until,
                "limit": limit,
            }
        )
