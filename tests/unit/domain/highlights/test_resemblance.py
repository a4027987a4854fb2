"""How alike two highlights are, and which hashes a near one may be found by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.similarity import (
    PICTURE_REACH,
    Impression,
    describe,
    nearby_parts,
    resemblance,
)
from domain.profiles.model import SimilarityThresholds

LIMITS = SimilarityThresholds()
PICTURE = "ff00ff00ff00ff00"
NEARLY = "ff00ff00ff00ff0f"
OTHER = "00ff00ff00ff00ff"


def seen(title: str = "", tags: tuple[str, ...] = (), picture: str | None = None) -> Impression:
    text = describe(title, "")
    return Impression(start=0.0, end=9.0, text=text, tags=tags, thumbnail_hash=picture)


def test_one_highlight_is_all_of_itself() -> None:
    one = seen("Late goal by number five", ("goal",), PICTURE)
    how = resemblance(one, one, LIMITS)
    assert (how.similarity, how.picture_distance, how.is_near_duplicate) == (1.0, 0, True)


@pytest.mark.parametrize(
    ("one", "two", "near_duplicate"),
    [
        (seen("", ("goal",), PICTURE), seen("", ("goal",), NEARLY), True),
        (seen("Goal", (), PICTURE), seen("Goal", (), NEARLY), True),
        (seen("", (), PICTURE), seen("", (), NEARLY), False),
        (seen("Goal", ("goal",), PICTURE), seen("Goal", ("goal",), OTHER), False),
        (seen("Goal", ("goal",)), seen("Goal", ("goal",)), False),
    ],
)
def test_near_duplicates_agree_in_two_signs(
    one: Impression, two: Impression, *, near_duplicate: bool
) -> None:
    assert resemblance(one, two, LIMITS).is_near_duplicate is near_duplicate


def test_what_is_missing_does_not_count() -> None:
    pictured = resemblance(seen("", (), PICTURE), seen("Goal", (), NEARLY), LIMITS)
    assert pictured.similarity == 1 - 4 / 32
    assert resemblance(seen(), seen("Goal", ("goal",), PICTURE), LIMITS).similarity == 0


def test_pictures_that_have_nothing_to_do_with_each_other_count_as_none() -> None:
    how = resemblance(seen("Goal", (), PICTURE), seen("Goal", (), OTHER), LIMITS)
    assert how.picture_distance == 64
    assert not how.looks_alike
    assert how.similarity == pytest.approx(0.3 / 0.8)


@given(
    st.integers(0, 2**64 - 1),
    st.sets(st.integers(0, 63), min_size=0, max_size=PICTURE_REACH),
)
def test_every_near_hash_is_found_by_one_of_its_parts(value: int, flipped: set[int]) -> None:
    near = value
    for bit in flipped:
        near ^= 1 << bit
    parts = [int(f"{near:016x}"[4 * n : 4 * n + 4], 16) for n in range(4)]
    listed = nearby_parts(f"{value:016x}")
    assert any(part in values for part, values in zip(parts, listed, strict=True))


def test_few_values_are_listed() -> None:
    assert [len(values) for values in nearby_parts(PICTURE)] == [1 + 16 + 120] * 4
