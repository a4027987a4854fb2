"""Bodies become events, or a reason why not; no body is more than that."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hms.effects import effect_of
from domain.hms.events import (
    LONGEST_ID,
    LONGEST_TEXT,
    NotAnEventError,
    flag,
    identifier,
    moment,
    number,
    parse_event,
    text,
)
from tests.factories.hms import DATA, ZERO, body, envelope

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"NaN", b'{"type": "a", "x": Infinity}'])
def test_what_is_no_json_is_said_not_to_be(raw: bytes) -> None:
    with pytest.raises(NotAnEventError) as caught:
        parse_event(raw)
    assert not caught.value.is_json


@pytest.mark.parametrize(
    "raw", [b"[]", b"1", b"null", b"{}", b'{"type": ""}', b'{"type": []}', b'{"type": "a\\nb"}']
)
def test_what_has_no_type_is_no_event(raw: bytes) -> None:
    with pytest.raises(NotAnEventError) as caught:
        parse_event(raw)
    assert caught.value.is_json


def test_an_endless_nesting_is_refused() -> None:
    with pytest.raises(NotAnEventError):
        parse_event(b'{"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_an_event_without_a_usable_id_is_named_by_its_body() -> None:
    for given_id in (None, "", "a\x00b", "x" * 201, ["a"]):
        raw = body("hls.failure", id=given_id)
        assert parse_event(raw).id == parse_event(raw).id
        assert parse_event(raw).id.startswith("sha256:")


def test_account_and_app_may_be_missing() -> None:
    document = envelope("hls.started.success")
    for name in ("account_id", "app_id", "template_id", "version", "timestamp"):
        del document[name]
    event = parse_event(json.dumps(document).encode())
    assert (event.account_id, event.app_id, event.timestamp) == (None, None, None)


def test_unknown_fields_are_ignored() -> None:
    document = envelope("hls.started.success", {"tomorrow": {"a": [1]}}, later=1)
    assert parse_event(json.dumps(document).encode()) == parse_event(body("hls.started.success"))


def test_people_are_not_read() -> None:
    for kind in ("peer.join.success", "role.change.success"):
        event = parse_event(body(kind))
        assert event.is_about_people
        assert "Ada" not in event.model_dump_json()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-05-02T19:00:04Z", datetime(2026, 5, 2, 19, 0, 4, tzinfo=UTC)),
        ("2026-05-02T19:00:04.1Z", datetime(2026, 5, 2, 19, 0, 4, 100000, tzinfo=UTC)),
        ("2026-05-02T19:00:04.123456789Z", datetime(2026, 5, 2, 19, 0, 4, 123456, tzinfo=UTC)),
        ("2026-05-02T21:00:04+02:00", datetime(2026, 5, 2, 19, 0, 4, tzinfo=UTC)),
        (ZERO, None),
        ("0001-01-01T00:00:00.000000000Z", None),
        ("0001-01-01T00:00:00+02:00", None),
        ("2026-13-02T19:00:04Z", None),
        ("yesterday", None),
        (1777741204, None),
        (None, None),
    ],
)
def test_times_are_read(written: object, meant: datetime | None) -> None:
    assert moment(written) == meant


@given(st.integers(0, 253_402_300_799), st.integers(0, 999_999_999))
def test_every_time_is_read_to_the_microsecond(seconds: int, nanoseconds: int) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    written = f"{at:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
    assert moment(written) == at.replace(microsecond=nanoseconds // 1000)


@given(ANY_JSON)
def test_fields_are_what_they_should_be_or_nothing(value: object) -> None:
    name, words, size, truth, at = (
        identifier(value),
        text(value),
        number(value),
        flag(value),
        moment(value),
    )
    assert name is None or (0 < len(name) <= LONGEST_ID and "\n" not in name)
    assert words is None or (len(words) <= LONGEST_TEXT and "\n" not in words)
    assert size is None or size - size == 0
    assert truth in {None, True, False}
    assert at is None or at.utcoffset() == timedelta(0)


@given(
    st.sampled_from(sorted(DATA)),
    st.dictionaries(st.sampled_from(sorted(DATA["hls.failure"])), ANY_JSON),
)
def test_no_data_breaks_an_event(kind: str, data: dict[str, object]) -> None:
    effect = effect_of(parse_event(body(kind, data)))
    assert "\x00" not in effect.model_dump_json()


@given(st.binary(max_size=300) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_a_body_is_an_event_or_is_not(raw: bytes) -> None:
    try:
        event = parse_event(raw)
    except NotAnEventError:
        return
    assert event.type
    assert event.id


def test_a_text_that_is_cut_inside_a_character_costs_its_field_alone() -> None:
    raw = (
        rb'{"type": "hls.started.success", "id": "e-1", "account_id": "\udfff", "data": '
        rb'{"beam_id": "b-1", "room_name": "Cup \ud83d", "room_id": "\ud800", "x\ud800": 1}}'
    )
    event = parse_event(raw)
    assert (event.id, event.account_id) == ("e-1", None)
    assert event.data.model_dump(include={"beam_id", "room_name", "room_id"}) == {
        "beam_id": "b-1",
        "room_name": "Cup ",
        "room_id": None,
    }
    assert event.model_dump_json()
