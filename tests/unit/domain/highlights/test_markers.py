"""What timed metadata says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.candidate import Mark
from domain.highlights.markers import (
    LONGEST_PAYLOAD,
    InvalidMark,
    invalid_mark_reasons,
    marks_on_timeline,
    parse_mark,
)
from domain.media.segments import TimedMetadata

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ("highlight", "label", "importance", "offset", "event", "payload", "x")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def documented(**fields: object) -> str:
    return json.dumps({"highlight": fields})


def test_the_documented_payload_says_what_how_important_and_where() -> None:
    payload = '{"highlight": {"label": "goal", "importance": 0.9, "offset": -4}}'
    assert parse_mark(payload) == Mark(label="goal", importance=0.9, offset=-4.0)


def test_only_the_label_is_needed() -> None:
    assert parse_mark(documented(label="Bet settled")) == Mark(label="bet_settled")


def test_what_else_the_payload_holds_is_passed_over() -> None:
    payload = json.dumps({"highlight": {"label": "goal", "by": "Kane"}, "score": [1, 0]})
    assert parse_mark(payload) == Mark(label="goal")


@pytest.mark.parametrize(
    ("payload", "label"),
    [
        ("goal", "goal"),
        ("bet_settled", "bet_settled"),
        ("Penta Kill!", "penta_kill"),
        ('"goal"', "goal"),
        ('{"highlight": "goal"}', "goal"),
        ('{"event": "red card"}', "red_card"),
        ('{"payload": "{\\"highlight\\": \\"ace\\"}"}', "ace"),
        ('{"event": {"name": "goal"}}', "goal"),
    ],
)
def test_a_label_alone_marks_a_moment_of_usual_importance(payload: str, label: str) -> None:
    assert parse_mark(payload) == Mark(label=label)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "42",
        '{"score": 3}',
        '{"type": "ad_break"}',
        "poll",
        "What a match, did you all see that one?",
        "x" * 60,
        "null",
        "[1, 2]",
    ],
)
def test_what_is_there_for_something_else_marks_nothing_and_is_no_fault(payload: str) -> None:
    assert parse_mark(payload) is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ('{"highlight": {', "broken JSON"),
        ('{"highlight": {}}', "`label`: Field required"),
        ('{"highlight": 7}', "`highlight` is neither an object nor a label"),
        (documented(label=7), "`label`"),
        (documented(label="!!"), "`label`: no letter"),
        (documented(label="x" * 65), "`label`"),
        (documented(label="goal", importance=1.5), "`importance`"),
        (documented(label="goal", importance="0.9"), "`importance`"),
        (documented(label="goal", importance=True), "`importance`"),
        (documented(label="goal", offset=-31), "`offset`"),
        ('{"highlight": {"label": "goal", "offset": NaN}}', "`offset`"),
        (documented(label="g" * LONGEST_PAYLOAD), "longer than"),
    ],
)
def test_a_mark_that_cannot_be_read_is_refused_with_a_reason(payload: str, reason: str) -> None:
    read = parse_mark(payload)
    assert isinstance(read, InvalidMark)
    assert read.reason.startswith(reason)


def test_refused_marks_are_counted_and_others_are_not() -> None:
    payloads = ["goal", "[broken", "", documented(label=1)]
    metadata = [TimedMetadata(id=p, at=1.0, payload=p) for p in payloads]
    undecoded = TimedMetadata(id="x", at=1.0, problem="not the base64")
    assert invalid_mark_reasons([*metadata, undecoded]) == (
        "broken JSON",
        "`label`: Input should be a valid string",
        "not the base64",
    )


def test_a_mark_lies_where_its_sender_means() -> None:
    late = TimedMetadata(id="1", at=40.0, payload=documented(label="goal", offset=-4))
    early = TimedMetadata(id="2", at=2.0, payload=documented(label="goal", offset=-4))
    other = TimedMetadata(id="3", at=9.0, payload="quiz")
    assert [(each.id, each.at) for each in marks_on_timeline([late, early, other])] == [
        ("1", 36.0),
        ("2", 0.0),
    ]


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_any_payload_gives_a_plain_bounded_mark_a_reason_or_nothing(payload: str) -> None:
    read = parse_mark(payload)
    if isinstance(read, Mark):
        assert 0 < len(read.label) <= 32
        assert all(c.islower() or c.isdigit() or c == "_" for c in read.label)
        assert read.label.isascii()
        assert abs(read.offset) <= 30
    elif read is not None:
        assert 0 < len(read.reason) < 300


@given(st.integers(1, 5000))
def test_nesting_is_bounded(depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"payload":', "}")):
        read = parse_mark(opening * depth + '"goal"' + closing * depth)
        assert read is None or isinstance(read, Mark | InvalidMark)
