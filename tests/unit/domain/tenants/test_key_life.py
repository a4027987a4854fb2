"""A key works until it expires, is revoked, or has been replaced for as long as the overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.tenants.keys import (
    KeyEndedError,
    KeyLife,
    KeyReplacedError,
    KeyStatus,
    LastAdministratorError,
    require_administrator,
)

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = MADE + timedelta(days=10)
DAY = timedelta(days=1)
HOME = ip_address("192.0.2.7")
HERE = ("192.0.2.0/24",)
OFFICE = ("198.51.100.0/24",)
NOWHERE = ("203.0.113.0/24",)

times = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)).map(MADE.__add__)
lives = st.builds(
    KeyLife,
    created_at=st.just(MADE),
    expires_at=st.none() | times,
    revoked_at=st.none() | times,
    replaced_by=st.none() | st.uuids(),
)
overlaps = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))


def life(
    *, expires_at: datetime | None = None, revoked: bool = False, replaced: bool = False
) -> KeyLife:
    return KeyLife(
        created_at=MADE,
        expires_at=expires_at,
        revoked_at=MADE if revoked else None,
        replaced_by=uuid4() if replaced else None,
    )


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (life(), KeyStatus.ACTIVE),
        (life(expires_at=NOW + DAY), KeyStatus.ACTIVE),
        (life(expires_at=NOW), KeyStatus.EXPIRED),
        (life(expires_at=NOW + DAY, replaced=True), KeyStatus.REPLACED),
        (life(expires_at=NOW, replaced=True), KeyStatus.EXPIRED),
        (life(revoked=True), KeyStatus.REVOKED),
        (life(expires_at=NOW, revoked=True, replaced=True), KeyStatus.REVOKED),
    ],
)
def test_what_has_become_of_a_key(key: KeyLife, status: KeyStatus) -> None:
    assert key.status(NOW) is status
    assert key.works(NOW) == (status in {KeyStatus.ACTIVE, KeyStatus.REPLACED})


def test_a_replaced_key_works_for_the_overlap() -> None:
    assert life().end_after_rotation(NOW, overlap=DAY) == NOW + DAY
    assert life().end_after_rotation(NOW, overlap=timedelta(0)) == NOW


def test_an_overlap_gives_a_key_no_longer_life() -> None:
    end = NOW + timedelta(hours=1)
    assert life(expires_at=end).end_after_rotation(NOW, overlap=DAY) == end


def test_a_successor_is_given_as_long_a_life() -> None:
    assert life().end_of_successor(NOW) is None
    assert life(expires_at=MADE + 90 * DAY).end_of_successor(NOW) == NOW + 90 * DAY


@pytest.mark.parametrize("key", [life(expires_at=NOW), life(revoked=True)])
def test_a_key_that_has_ended_is_not_changed(key: KeyLife) -> None:
    with pytest.raises(KeyEndedError, match=f"The key is {key.status(NOW)}, which is for good"):
        key.require_working(NOW)
    with pytest.raises(KeyEndedError):
        key.end_after_rotation(NOW, overlap=DAY)


def test_a_key_has_one_successor() -> None:
    key = life(replaced=True)
    key.require_working(NOW)
    with pytest.raises(KeyReplacedError, match=str(key.replaced_by)):
        key.end_after_rotation(NOW, overlap=DAY)


@settings(deadline=None)
@given(lives, times, overlaps)
def test_rotation_never_lengthens_a_life(key: KeyLife, now: datetime, overlap: timedelta) -> None:
    try:
        end = key.end_after_rotation(now, overlap=overlap)
    except (KeyEndedError, KeyReplacedError):
        assert not key.works(now) or key.replaced_by is not None
        return
    assert now <= end <= now + overlap
    assert key.expires_at is None or end <= key.expires_at
    successor = key.end_of_successor(now)
    assert successor is None or successor > now


def administrator(
    *, days: float | None = None, revoked: bool = False, only: tuple[str, ...] = ()
) -> KeyLife:
    """A key that ends after so many days, or never."""
    return KeyLife(
        created_at=NOW,
        expires_at=None if days is None else NOW + timedelta(days=days),
        revoked_at=NOW if revoked else None,
        allowed_ips=only,
    )


def by_id(keys: list[KeyLife]) -> dict[UUID, KeyLife]:
    """The keys, of which those at the same place in two lists are the same one."""
    return {UUID(int=place): key for place, key in enumerate(keys)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([administrator()], [administrator(), administrator(days=1)]),
        ([administrator()], [administrator(days=31)]),
        ([administrator(days=2)], [administrator(days=3)]),
        (
            [administrator(days=2), administrator(days=1)],
            [administrator(days=2), administrator(revoked=True)],
        ),
        ([], []),
    ],
)
def test_a_change_that_leaves_an_administrator_for_long_or_for_as_long_as_before(
    before: list[KeyLife], after: list[KeyLife]
) -> None:
    require_administrator(by_id(before), by_id(after), NOW, address=HOME)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([administrator()], [administrator(revoked=True)]),
        ([administrator()], [administrator(days=3 / 86_400)]),
        ([administrator()], [administrator(days=29)]),
        ([administrator(days=2)], [administrator(days=1)]),
        (
            [administrator(), administrator(days=1)],
            [administrator(revoked=True), administrator(days=1)],
        ),
        ([administrator()], []),
    ],
)
def test_a_change_that_leaves_none_or_none_for_long(
    before: list[KeyLife], after: list[KeyLife]
) -> None:
    with pytest.raises(LastAdministratorError):
        require_administrator(by_id(before), by_id(after), NOW, address=HOME)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A key that lasts here remains: what becomes of others is the tenant's affair.
        (
            [administrator(), administrator()],
            [administrator(), administrator(only=NOWHERE)],
        ),
        ([administrator()], [administrator(only=HERE)]),
        # Widened, or bound to where it is changed from.
        (
            [administrator(days=3), administrator(only=OFFICE)],
            [administrator(days=3), administrator(only=OFFICE + NOWHERE)],
        ),
        (
            [administrator(days=3, only=HERE), administrator(only=OFFICE)],
            [administrator(days=3, only=HERE), administrator(only=HERE)],
        ),
        (
            [administrator(days=3), administrator(only=OFFICE), administrator(days=1)],
            [administrator(days=3), administrator(only=OFFICE), administrator(revoked=True)],
        ),
    ],
)
def test_keys_may_be_bound_to_addresses_while_one_lasts_that_is_usable(
    before: list[KeyLife], after: list[KeyLife]
) -> None:
    require_administrator(by_id(before), by_id(after), NOW, address=HOME)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([administrator()], [administrator(only=NOWHERE)]),
        # Another key than that of the request.
        (
            [administrator(days=3), administrator()],
            [administrator(days=3), administrator(only=NOWHERE)],
        ),
        (
            [administrator(days=3), administrator(only=OFFICE)],
            [administrator(days=3), administrator(only=NOWHERE)],
        ),
        (
            [administrator(days=3), administrator(only=OFFICE)],
            [administrator(days=3), administrator(only=("198.51.100.0/28",))],
        ),
        # In two steps: the other was bound before.
        (
            [administrator(), administrator(only=NOWHERE)],
            [administrator(revoked=True), administrator(only=NOWHERE)],
        ),
        (
            [administrator(), administrator(only=NOWHERE)],
            [administrator(days=1), administrator(only=NOWHERE)],
        ),
    ],
)
def test_a_key_bound_to_other_addresses_is_none_that_remains(
    before: list[KeyLife], after: list[KeyLife]
) -> None:
    with pytest.raises(LastAdministratorError):
        require_administrator(by_id(before), by_id(after), NOW, address=HOME)


def test_from_an_unknown_address_only_keys_without_addresses_remain() -> None:
    keys = [administrator(), administrator(only=HERE)]
    after = [administrator(revoked=True), administrator(only=HERE)]
    with pytest.raises(LastAdministratorError):
        require_administrator(by_id(keys), by_id(after), NOW, address=None)


@pytest.mark.parametrize(
    ("former", "new", "within"),
    [
        ((), (), True),
        ((), ("0.0.0.0/0", "::/0"), False),
        (("192.0.2.0/24",), (), True),
        (("192.0.2.0/24", "2001:db8::1/128"), ("192.0.0.0/16", "2001:db8::/32"), True),
        (("192.0.2.0/24",), ("192.0.2.0/25", "192.0.2.128/25"), False),
        (("192.0.2.0/24",), ("::/0",), False),
    ],
)
def test_a_key_that_is_bound_more_loosely(
    former: tuple[str, ...], new: tuple[str, ...], within: bool
) -> None:
    assert administrator(only=former).reaches_within(administrator(only=new)) is within
