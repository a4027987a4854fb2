"""Cursors come back as the position they were made of, or not at all."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors.problems import InvalidCursorProblem
from api.pagination import decode, encode
from api.request_model import LATEST
from infra.db.keyset import Position

TIMES = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001
    max_value=LATEST.replace(tzinfo=None),
    timezones=st.just(UTC),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.uuids(), TIMES)
def test_a_position_in_time_survives(identity: object, time: datetime) -> None:
    position = Position(value=time, id=identity)  # type: ignore[arg-type]
    assert decode(encode(position, sort="t"), sort="t", by_time=True) == position


@given(st.uuids(), NUMBERS)
def test_a_position_by_number_survives(identity: object, number: float) -> None:
    position = Position(value=number, id=identity)  # type: ignore[arg-type]
    assert decode(encode(position, sort="n"), sort="n", by_time=False) == position


@given(st.uuids(), NUMBERS)
def test_a_cursor_is_for_one_order(identity: object, number: float) -> None:
    cursor = encode(Position(value=number, id=identity), sort="n")  # type: ignore[arg-type]
    with pytest.raises(InvalidCursorProblem):
        decode(cursor, sort="other", by_time=False)
    with pytest.raises(InvalidCursorProblem):
        decode(cursor, sort="n", by_time=True)


@given(st.text(max_size=100))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursorProblem):
        decode(text, sort="n", by_time=False)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_database_takes_is_refused(time: str) -> None:
    forged = json.dumps({"s": "n", "t": time, "i": str(UUID(int=1))})
    with pytest.raises(InvalidCursorProblem):
        decode(base64.urlsafe_b64encode(forged.encode()).decode(), sort="n", by_time=True)


def test_no_cursor_is_the_beginning() -> None:
    assert decode(None, sort="n", by_time=False) is None
