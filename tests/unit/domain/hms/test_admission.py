"""The checks of a connection: which are made, in which order, and what passes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.hms.admission import (
    DEFAULT_SOURCES,
    Checks,
    FailedCheck,
    PresentedCredentials,
    Secrets,
    failed_check,
    is_timely,
    serves,
    sign,
)
from domain.hms.events import parse_event
from tests.factories.hms import ACCOUNT, APP, body

BODY = body("hls.started.success")
SECRETS = Secrets(header_hashes=(b"h" * 32, b"p" * 32), signing_secrets=(b"new", b"old"))
GOOD = PresentedCredentials(
    source=ip_address("34.100.213.146"),
    header_hash=b"h" * 32,
    signature=sign(BODY, b"new"),
    body=BODY,
)
BAD: dict[FailedCheck, dict[str, Any]] = {
    FailedCheck.SOURCE: {"source": ip_address("203.0.113.9")},
    FailedCheck.SECRET: {"header_hash": b"x" * 32},
    FailedCheck.SIGNATURE: {"signature": sign(BODY, b"other")},
}
NOW = datetime(2026, 5, 2, 19, 0, 0, tzinfo=UTC)


def checks(*on: FailedCheck, **over: object) -> Checks:
    return Checks.model_validate(
        {
            "source": FailedCheck.SOURCE in on,
            "secret_header": FailedCheck.SECRET in on,
            "signature": FailedCheck.SIGNATURE in on,
            **over,
        }
    )


def test_nothing_checked_is_not_allowed() -> None:
    with pytest.raises(ValidationError, match="at least one"):
        checks()


def test_a_source_check_without_sources_is_not_allowed() -> None:
    with pytest.raises(ValidationError, match="addresses"):
        checks(FailedCheck.SOURCE, sources=())


@pytest.mark.parametrize("wrong", ["x", "10.0.0.1/8", "300.0.0.1"])
def test_what_is_no_network_is_not_allowed(wrong: str) -> None:
    with pytest.raises(ValidationError):
        checks(FailedCheck.SOURCE, sources=(wrong,))


def test_the_briefs_six_addresses_are_the_default() -> None:
    assert len(Checks().sources) == len(DEFAULT_SOURCES) == 6


@pytest.mark.parametrize("wanted", list(product([False, True], repeat=3))[1:])
@pytest.mark.parametrize("broken", list(product([False, True], repeat=3)))
def test_the_first_check_that_is_on_and_fails_refuses(
    wanted: tuple[bool, ...], broken: tuple[bool, ...]
) -> None:
    kinds = list(BAD)
    on = [kind for kind, is_on in zip(kinds, wanted, strict=True) if is_on]
    bad = [kind for kind, is_bad in zip(kinds, broken, strict=True) if is_bad]
    presented = GOOD.model_copy(update={k: v for kind in bad for k, v in BAD[kind].items()})
    expected = next((kind for kind in kinds if kind in on and kind in bad), None)
    assert failed_check(checks(*on), SECRETS, presented) is expected


@pytest.mark.parametrize("kind", list(BAD))
def test_what_is_missing_is_refused(kind: FailedCheck) -> None:
    empty = PresentedCredentials(source=None, header_hash=None, signature=None, body=BODY)
    assert failed_check(checks(kind), SECRETS, empty) is kind
    assert failed_check(checks(kind), Secrets(), GOOD) is (
        kind if kind is not FailedCheck.SOURCE else None
    )


def test_both_secrets_are_good_during_a_rotation() -> None:
    old = GOOD.model_copy(update={"header_hash": b"p" * 32, "signature": sign(BODY, b"old")})
    assert failed_check(checks(FailedCheck.SECRET, FailedCheck.SIGNATURE), SECRETS, old) is None


def test_a_network_is_a_source() -> None:
    nearby = GOOD.model_copy(update={"source": ip_address("198.51.100.77")})
    on = checks(FailedCheck.SOURCE, sources=("198.51.100.0/24",))
    assert failed_check(on, SECRETS, nearby) is None
    assert failed_check(on, SECRETS, GOOD) is FailedCheck.SOURCE


def test_a_signature_may_be_written_in_capitals() -> None:
    loud = GOOD.model_copy(update={"signature": sign(BODY, b"new").upper()})
    assert failed_check(checks(FailedCheck.SIGNATURE), SECRETS, loud) is None


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_changed_byte_breaks_the_signature(at: int, by: int) -> None:
    changed = bytearray(BODY)
    changed[at] ^= by
    presented = GOOD.model_copy(update={"body": bytes(changed)})
    assert failed_check(checks(FailedCheck.SIGNATURE), SECRETS, presented) is FailedCheck.SIGNATURE


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_other_text_is_a_signature(signature: str) -> None:
    presented = GOOD.model_copy(update={"signature": signature})
    assert failed_check(checks(FailedCheck.SIGNATURE), SECRETS, presented) is FailedCheck.SIGNATURE


@pytest.mark.parametrize(
    ("age", "timely"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_a_signed_event_must_be_of_our_time(age: float, *, timely: bool) -> None:
    at = NOW - timedelta(seconds=age)
    on = checks(FailedCheck.SIGNATURE)
    assert is_timely(on, timestamp=at, is_replay=False, now=NOW) is timely


def test_a_signed_event_without_a_time_is_not_timely() -> None:
    on = checks(FailedCheck.SIGNATURE)
    assert not is_timely(on, timestamp=None, is_replay=False, now=NOW)


def test_time_counts_only_where_it_is_signed_and_tolerated_and_new() -> None:
    long_ago = NOW - timedelta(days=2)
    unsigned = checks(FailedCheck.SECRET)
    any_time = checks(FailedCheck.SIGNATURE, timestamp_tolerance=None)
    assert is_timely(unsigned, timestamp=long_ago, is_replay=False, now=NOW)
    assert is_timely(any_time, timestamp=long_ago, is_replay=False, now=NOW)
    assert is_timely(checks(FailedCheck.SIGNATURE), timestamp=long_ago, is_replay=True, now=NOW)


@pytest.mark.parametrize(
    ("account", "app", "served"),
    [
        (ACCOUNT, None, True),
        (None, APP, True),
        (ACCOUNT, APP, True),
        (ACCOUNT, "other", False),
        ("other", APP, False),
        (None, None, False),
    ],
)
def test_a_connection_serves_its_workspace_only(
    account: str | None, app: str | None, *, served: bool
) -> None:
    event = parse_event(BODY)
    assert serves(event, account_id=account, app_id=app) is served


def test_an_address_alone_does_not_identify_a_tenant() -> None:
    assert not checks(FailedCheck.SOURCE).tell_tenants_apart
    assert checks(FailedCheck.SECRET).tell_tenants_apart
    assert checks(FailedCheck.SIGNATURE).tell_tenants_apart
