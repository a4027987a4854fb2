"""Publication: what a tenant allows to be shown of a stream's highlights, and who released each.

A policy is stated by the tenant, by a 100ms connection and by a stream; a field that the stream
leaves out is the connection's, and then the tenant's. It is pinned to the stream when that starts
and copied to each highlight. We enforce `review`, `valid_until` and, where the viewer's place is
known, `territories`, where we serve; the other fields travel with highlights, clips and webhooks to
the systems that enforce them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints, model_validator

from domain.model import Model
from domain.text import Name, as_instant, as_tuple

DEFAULT_REVIEW_HOURS: Final = 72
_MOST_PLACES: Final = 300


class ReviewMode(StrEnum):
    """Whether highlights wait for a person before anything of them is delivered."""

    NONE = "none"
    REQUIRED = "required"


Place = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
Places = Annotated[
    tuple[Place, ...],
    Field(max_length=_MOST_PLACES, examples=[["GB", "US-NJ"]]),
    BeforeValidator(as_tuple),
]
Audience = Annotated[tuple[Name, ...], Field(max_length=20), BeforeValidator(as_tuple)]


class TerritoryPolicy(Model):
    """Where highlights may be shown, as countries and their parts (ISO 3166-1 and 3166-2)."""

    allow: Places = Field(default=(), description="Nowhere else; empty for everywhere.")
    deny: Places = Field(default=(), description="Not there, even within what `allow` has.")

    @model_validator(mode="after")
    def _agrees(self) -> TerritoryPolicy:
        if both := sorted(set(self.allow) & set(self.deny)):
            raise ValueError(f"{', '.join(both)} cannot be in both `allow` and `deny`")
        return self

    def permits(self, place: str) -> bool:
        """Return True if highlights may be shown at a place; an empty `place` is unknown.

        A country whose part is not known is not permitted if any of its parts is denied.
        """
        country, _, part = place.partition("-")
        names = {place, country}
        if not names.isdisjoint(self.deny):
            return False
        if not part and any(each.startswith(f"{country}-") or not country for each in self.deny):
            return False
        return not self.allow or not names.isdisjoint(self.allow)


class PublicationPolicy(Model):
    """What may be shown of highlights. A field without a value is inherited."""

    review: ReviewMode | None = Field(
        default=None,
        description="`required`: highlights, clips and their webhooks wait for `POST "
        "/v1/highlights/{id}/approve`.",
    )
    review_hours: Annotated[int, Field(ge=1, le=8760)] | None = Field(
        default=None,
        description="Hours after which a highlight without a review is never released; 72 if "
        "nothing says otherwise.",
    )
    audience: Audience | None = Field(
        default=None,
        description="Your names of those who may see highlights. Carried, not enforced.",
        examples=[["adults", "members"]],
    )
    territories: TerritoryPolicy | None = Field(
        default=None,
        description="Where highlights may be shown; enforced by an installation that knows the "
        "viewer's place.",
    )
    valid_until: Annotated[AwareDatetime, BeforeValidator(as_instant)] | None = Field(
        default=None,
        description="From then on, clips of highlights cannot be played, downloaded or exported.",
    )
    commercial: bool | None = Field(
        default=None,
        description="True if highlights may be used in advertising. Carried, not enforced.",
    )

    def over(self, base: PublicationPolicy | None) -> PublicationPolicy:
        """Return this policy; what it leaves out is that of `base`."""
        if base is None:
            return self
        return PublicationPolicy.model_validate(base.stated() | self.stated())

    def stated(self) -> dict[str, Any]:
        """Return the fields with a value, as JSON."""
        return self.model_dump(mode="json", exclude_none=True)

    def changed(self, fields: Mapping[str, Any]) -> PublicationPolicy:
        """Return this policy with other values of some fields, as JSON; None clears a field."""
        return PublicationPolicy.model_validate(self.stated() | dict(fields))

    @property
    def needs_review(self) -> bool:
        """True if highlights wait for a person."""
        return self.review is ReviewMode.REQUIRED

    @property
    def review_time(self) -> timedelta:
        """Time for which a highlight waits."""
        return timedelta(hours=self.review_hours or DEFAULT_REVIEW_HOURS)


class TerritoryRequest(TerritoryPolicy, extra="forbid"):
    """Territories as a tenant states them; a misspelled field is refused."""


class PolicyRequest(PublicationPolicy, extra="forbid"):
    """A policy as a tenant states it; a misspelled field is refused."""

    territories: TerritoryRequest | None = Field(
        default=None,
        description="Where highlights may be shown; enforced by an installation that knows the "
        "viewer's place.",
    )


class ReviewStatus(StrEnum):
    """What became of the review of a highlight that needs one."""

    AWAITING = "awaiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # not reviewed in time


class Release(Model):
    """Who approved or rejected a highlight, and when."""

    by: str
    at: datetime
    note: str = ""


class WithheldReason(StrEnum):
    """Why nothing of a highlight is delivered."""

    AWAITING_REVIEW = "awaiting_review"
    REJECTED = "rejected"
    REVIEW_EXPIRED = "review_expired"
    NO_LONGER_VALID = "no_longer_valid"


WITHHELD: Final = {
    WithheldReason.AWAITING_REVIEW: "The highlight awaits review: `POST "
    "/v1/highlights/{highlight_id}/approve` releases it.",
    WithheldReason.REJECTED: "The highlight was rejected in review.",
    WithheldReason.REVIEW_EXPIRED: "The highlight was not reviewed in the `review_hours` of its "
    "policy.",
    WithheldReason.NO_LONGER_VALID: "The `valid_until` of the highlight's policy has passed.",
}
"""What each reason means, for people."""

_BY_REVIEW: Final = {
    ReviewStatus.AWAITING: WithheldReason.AWAITING_REVIEW,
    ReviewStatus.REJECTED: WithheldReason.REJECTED,
    ReviewStatus.EXPIRED: WithheldReason.REVIEW_EXPIRED,
}


class ReviewClosedError(Exception):
    """The highlight cannot be approved or rejected now; the message is for the tenant."""


def withheld_by_review(review: str | None) -> WithheldReason | None:
    """Return why the review status of a highlight keeps it back; None if it does not."""
    return None if review is None else _BY_REVIEW.get(ReviewStatus(review))


def withheld(
    review: str | None, valid_until: datetime | None, *, now: datetime
) -> WithheldReason | None:
    """Return why nothing of a highlight is delivered now; None if it is released and valid."""
    if (reason := withheld_by_review(review)) is not None:
        return reason
    is_over = valid_until is not None and valid_until <= now
    return WithheldReason.NO_LONGER_VALID if is_over else None


def decide_review(
    review: str | None, until: datetime | None, *, wanted: ReviewStatus, now: datetime
) -> bool:
    """Return True if a review is to be stored as `wanted`, False if it is already.

    An approved highlight can still be rejected; nothing else that was decided changes.

    Raises:
        ReviewClosedError: there is nothing to review, or it is too late.
    """
    if review is None:
        raise ReviewClosedError("The policy of the highlight requires no review.")
    status = ReviewStatus(review)
    if status is wanted:
        return False
    if status is ReviewStatus.REJECTED:
        raise ReviewClosedError("The highlight was rejected, which is final.")
    if status is ReviewStatus.EXPIRED or (
        status is ReviewStatus.AWAITING and until is not None and until <= now
    ):
        raise ReviewClosedError("The time for the review is over; the highlight stays withheld.")
    return True
