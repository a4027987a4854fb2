"""Publication policy: what may be shown of highlights, unless a stream says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tldrtv_highlights._endpoint import Sent, given
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Policy


class PublicationPolicy(Resource[Transport]):
    """The policy that streams inherit when they are created."""

    @operation("GET /v1/policy", Policy)
    def get(self) -> Sent:
        """Read the policy; it states nothing if none was set."""
        return Sent()

    @operation("PUT /v1/policy", Policy)
    def put(
        self,
        *,
        review: str | None = None,
        review_hours: int | None = None,
        audience: Sequence[str] | None = None,
        territories: Mapping[str, Sequence[str]] | None = None,
        valid_until: datetime | None = None,
        commercial: bool | None = None,
    ) -> Sent:
        """Replace the policy; streams that exist keep theirs.

        Args:
            review: `required` holds highlights back until they are approved.
            review_hours: after which what was not reviewed is never released.
            audience: your names of those who may see highlights.
            territories: such as `{"allow": ["GB"], "deny": []}`.
            valid_until: from when on clips cannot be played, downloaded or exported.
            commercial: True if highlights may be used in advertising.
        """
        return Sent(
            body=given(
                review=review,
                review_hours=review_hours,
                audience=audience,
                territories=territories,
                valid_until=valid_until,
                commercial=commercial,
            )
        )
