"""Where highlights may be shown."""

from __future__ import annotations

import pytest

from domain.highlights.publication import TerritoryPolicy

GB_AND_MOST_OF_US = TerritoryPolicy(allow=("GB", "US"), deny=("US-NJ",))
ONE_PART = TerritoryPolicy(allow=("US-NV",))
NOT_FRANCE = TerritoryPolicy(deny=("FR",))


@pytest.mark.parametrize(
    ("policy", "place", "permitted"),
    [
        (GB_AND_MOST_OF_US, "GB", True),
        (GB_AND_MOST_OF_US, "GB-SCT", True),
        (GB_AND_MOST_OF_US, "US-NY", True),
        (GB_AND_MOST_OF_US, "US-NJ", False),
        (GB_AND_MOST_OF_US, "DE", False),
        (ONE_PART, "US-NV", True),
        (ONE_PART, "US-NY", False),
        (NOT_FRANCE, "DE", True),
        (NOT_FRANCE, "FR-75", False),
        (TerritoryPolicy(), "DE", True),
        (TerritoryPolicy(), "", True),
    ],
)
def test_a_place_is_permitted_if_it_is_allowed_and_not_denied(
    policy: TerritoryPolicy, place: str, permitted: bool
) -> None:
    assert policy.permits(place) is permitted


@pytest.mark.parametrize("policy", [GB_AND_MOST_OF_US, ONE_PART, NOT_FRANCE])
def test_an_unknown_place_is_not_permitted_by_any_rule(policy: TerritoryPolicy) -> None:
    assert not policy.permits("")


@pytest.mark.parametrize("policy", [GB_AND_MOST_OF_US, ONE_PART])
def test_a_country_without_its_part_is_not_permitted_if_the_part_decides(
    policy: TerritoryPolicy,
) -> None:
    assert not policy.permits("US")
