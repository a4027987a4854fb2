"""Publication policies where we serve: until when, and where, highlights may be read."""

from __future__ import annotations

import math
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors.problems import HighlightWithheldProblem, TerritoryDeniedProblem
from api.services import ServicesDependency
from app.services.highlights import withheld_reason
from domain.exports.models import ExportSource
from domain.highlights.publication import WITHHELD, WithheldReason
from domain.tenants.addresses import client_address, is_within
from infra.db.repositories import highlights
from infra.db.repositories.highlights import HighlightRow
from infra.db.repositories.publication.policies import policy_of
from infra.db.tables import Highlight

FOREVER: Final = 1 << 40
"""A Unix time (s) that no signed URL reaches."""

PUBLICATION_PROBLEMS: Final = (HighlightWithheldProblem, TerritoryDeniedProblem)
"""Problems of every file that shows a highlight."""


async def viewer_place(request: Request, services: ServicesDependency) -> str | None:
    """Return where the viewer is, such as `GB` or `US-NJ`; empty if unknown.

    None if the installation names no header that says so: then territories are not enforced.
    """
    settings = services.settings
    name = settings.viewer_country_header
    if name is None:
        return None
    try:
        peer = client_address("" if request.client is None else request.client.host, (), ())
    except ValueError:
        return ""
    if not is_within(peer, settings.trusted_proxies):
        return ""
    country = request.headers.get(name, "").strip().upper()
    region = request.headers.get(f"{name}-Region", "").strip().upper()
    return f"{country}-{region}" if country and region else country


ViewerPlace = Annotated[str | None, Depends(viewer_place)]


def require_territory(about: Highlight | HighlightRow, place: str | None) -> None:
    """Check that a highlight may be shown at a viewer's place; None is not checked.

    Raises:
        TerritoryDeniedProblem: it may not.
    """
    policy = policy_of(about)
    if place is None or policy is None or policy.territories is None:
        return
    if not policy.territories.permits(place):
        raise TerritoryDeniedProblem


def readable_until(about: Highlight | None, place: str | None) -> int:
    """Return the Unix time (s) until which files of a highlight may be read at a viewer's place.

    One that awaits review can be read: only reviewers have its links. A clip without a highlight
    has no policy.

    Raises:
        HighlightWithheldProblem: it was rejected, not reviewed in time, or is no longer valid.
        TerritoryDeniedProblem: it may not be shown there.
    """
    if about is None:
        return FOREVER
    reason = withheld_reason(about)
    if reason is not None and reason is not WithheldReason.AWAITING_REVIEW:
        raise HighlightWithheldProblem(WITHHELD[reason])
    require_territory(about, place)
    policy = policy_of(about)
    if policy is None or policy.valid_until is None:
        return FOREVER
    return math.floor(policy.valid_until.timestamp())


def is_readable(about: Highlight, place: str | None) -> bool:
    """Return True if files of a highlight may be read at a viewer's place."""
    try:
        readable_until(about, place)
    except (HighlightWithheldProblem, TerritoryDeniedProblem):
        return False
    return True


async def source_readable_until(
    session: AsyncSession, *, tenant_id: UUID, source: ExportSource, place: str | None
) -> int:
    """Return the Unix time (s) until which files made of a source may be read.

    A reel is readable while each of its highlights is.

    Raises:
        HighlightWithheldProblem: a highlight in them is withheld.
        TerritoryDeniedProblem: one may not be shown at the viewer's place.
    """
    shown = set(source.highlight_ids)
    if not shown:
        return FOREVER
    found = await highlights.get_many(session, tenant_id=tenant_id, highlight_ids=sorted(shown))
    return min((readable_until(each, place) for each in found.values()), default=FOREVER)
