"""Game profiles: what counts in each game, and your own rules for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tldrtv_highlights._endpoint import Sent
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import (
    Override,
    OverrideDetail,
    OverrideHistory,
    ProfileDetail,
    ProfileList,
    ProfileMatch,
    ProfilePreview,
    ProfileTaste,
)


class Profiles(Resource[Transport]):
    """What counts in each game."""

    @operation("GET /v1/profiles", ProfileList)
    def list(self) -> Sent:
        """List all profiles: those shipped, as you override them, and those of your own."""
        return Sent()

    @operation("POST /v1/profiles/match", ProfileMatch)
    def match(self, text: str) -> Sent:
        """Try which profile a stream would get for a game or title. Nothing is stored."""
        return Sent(body={"text": text})

    @operation("GET /v1/profiles/{profile_id}", ProfileDetail)
    def get(self, profile_id: str) -> Sent:
        """Read a complete profile, as your streams use it."""
        return Sent(path={"profile_id": profile_id})

    @operation("GET /v1/profiles/{profile_id}/override", OverrideDetail)
    def get_override(self, profile_id: str) -> Sent:
        """Read your override of a profile; a change needs its `revision`."""
        return Sent(path={"profile_id": profile_id})

    @operation("PUT /v1/profiles/{profile_id}/override", Override, repeatable=False)
    def put_override(
        self, profile_id: str, patch: Mapping[str, Any], *, revision: int | None = None
    ) -> Sent:
        """Change a profile for streams started from now on, or add one of your own.

        Args:
            profile_id: such as `soccer`.
            patch: what differs from the shipped profile, as a JSON Merge Patch (RFC 7396).
            revision: of the override that you have read and replace; None if there was none.
        """
        return Sent(path={"profile_id": profile_id}, headers=_seen(revision), body=patch)

    @operation("POST /v1/profiles/{profile_id}/override/preview", ProfilePreview)
    def preview_override(
        self,
        profile_id: str,
        patch: Mapping[str, Any] | None = None,
        *,
        stream_id: str | None = None,
    ) -> Sent:
        """Validate an override and show its effect on a stream. Nothing is stored.

        Args:
            profile_id: such as `soccer`.
            patch: as in `put_override`; None for the profile as it is now.
            stream_id: a stream whose candidates are decided on again.
        """
        return Sent(path={"profile_id": profile_id}, body={"patch": patch, "stream_id": stream_id})

    @operation("DELETE /v1/profiles/{profile_id}/override", type(None), repeatable=False)
    def delete_override(self, profile_id: str, *, revision: int) -> Sent:
        """Delete your override, or a profile of your own."""
        return Sent(path={"profile_id": profile_id}, headers=_seen(revision))

    @operation("GET /v1/profiles/{profile_id}/override/history", OverrideHistory)
    def override_history(
        self, profile_id: str, *, before: int | None = None, limit: int | None = None
    ) -> Sent:
        """List the latest revisions of an override, those below `before` only, newest first."""
        return Sent(path={"profile_id": profile_id}, query={"before": before, "limit": limit})

    @operation("GET /v1/profiles/{profile_id}/taste", ProfileTaste)
    def get_taste(self, profile_id: str) -> Sent:
        """Read what was learned from your feedback."""
        return Sent(path={"profile_id": profile_id})

    @operation("PATCH /v1/profiles/{profile_id}/taste", ProfileTaste)
    def update_taste(self, profile_id: str, *, enabled: bool) -> Sent:
        """Disable or enable learning from feedback; it applies at once."""
        return Sent(path={"profile_id": profile_id}, body={"enabled": enabled})

    @operation("DELETE /v1/profiles/{profile_id}/taste", type(None), repeatable=False)
    def reset_taste(self, profile_id: str) -> Sent:
        """Forget what was learned; only feedback from now on is learned from."""
        return Sent(path={"profile_id": profile_id})


def _seen(revision: int | None) -> dict[str, str]:
    return {} if revision is None else {"If-Match": f'"{revision}"'}
