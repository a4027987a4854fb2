from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.selection.models import Tier
from domain.highlights.selection.timeline import OpenCandidate
from domain.highlights.similarity import hash_distance, likeness, same_moment
from domain.profiles.model import SimilarityThresholds
from tests.factories.selection import TAGS, TITLES, candidate

LIMITS = SimilarityThresholds()
TEXT = "Header from the corner by number five"
PICTURE = "ff00ff00ff00ff00"
NEARLY = "ff00ff00ff00ff0f"
OTHER = "00ff00ff00ff00ff"


def seen(
    peak: float = 0.0,
    title: str = "",
    tags: tuple[str, ...] = (),
    picture: str | None = None,
) -> OpenCandidate:
    moment = candidate(1, peak + 10, 0.8, title=title, tags=tags, thumbnail_hash=picture)
    return OpenCandidate(moment, 0.8, Tier.STANDARD)


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        (seen(0.0), seen(1.0), "their spans overlap by 60%"),
        (
            seen(0, TEXT, ("goal",)),
            seen(50, TEXT + "!", ("goal",)),
            "their texts agree to 100% and their tags agree to 100%",
        ),
        (
            seen(0, "Goal", (), PICTURE),
            seen(50, "Goal", (), NEARLY),
            "their pictures differ by 4 bits of 64 and their texts agree to 100%",
        ),
        (
            seen(0, "", ("goal",), PICTURE),
            seen(50, "", ("goal",), PICTURE),
            "their pictures differ by 0 bits of 64 and their tags agree to 100%",
        ),
    ],
)
def test_the_same_moment_seen_twice_is_recognised_and_said_why(
    one: OpenCandidate, two: OpenCandidate, why: str
) -> None:
    assert same_moment(one, two, LIMITS) == why


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (seen(0), seen(50)),
        (seen(0, "Goal", ("goal",)), seen(50, "Goal", ("goal",))),
        (seen(0, TEXT), seen(50, TEXT)),
        (seen(0, "", (), PICTURE), seen(50, "", (), PICTURE)),
        (seen(0, TEXT, ("goal",), PICTURE), seen(50, TEXT, ("goal",), OTHER)),
        (seen(0, "", ("loud_crowd",), PICTURE), seen(50, "", ("loud_crowd",), PICTURE)),
        (seen(0, TEXT, ("goal",)), seen(50, "Save by the keeper at the post", ("goal",))),
    ],
    ids=[
        "nothing known",
        "a general title",
        "one sign alone: text",
        "one sign alone: picture",
        "different pictures",
        "tags of signals only",
        "different texts",
    ],
)
def test_one_sign_alone_does_not_make_two_moments_one(
    one: OpenCandidate, two: OpenCandidate
) -> None:
    assert same_moment(one, two, LIMITS) is None


@pytest.mark.parametrize(
    ("one", "two", "bits"),
    [
        ("0f", "0f", 0),
        ("0f", "f0", 8),
        ("0f", None, None),
        ("0f", "0f0f", None),
        ("zz", "0f", None),
    ],
)
def test_hashes_that_cannot_be_compared_say_nothing(
    one: str, two: str | None, bits: int | None
) -> None:
    assert hash_distance(one, two) == bits


@given(
    st.tuples(st.floats(0, 60), st.sampled_from(TITLES), st.sampled_from(TAGS)),
    st.tuples(st.floats(0, 60), st.sampled_from(TITLES), st.sampled_from(TAGS)),
)
def test_likeness_is_symmetric_and_within_bounds(
    one: tuple[float, str, tuple[str, ...]], two: tuple[float, str, tuple[str, ...]]
) -> None:
    first, second = seen(*one), seen(*two)
    assert likeness(first, second) == likeness(second, first)
    assert 0.0 <= likeness(first, second) <= 1.0
    assert (same_moment(first, second, LIMITS) is None) == (
        same_moment(second, first, LIMITS) is None
    )
