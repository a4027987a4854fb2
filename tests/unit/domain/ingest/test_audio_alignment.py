"""Sound is found by the container's clock, whatever its playlist's numbers and boundaries are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.ingest.audio_alignment import AudioCover, AudioSpan, find_audio
from domain.ingest.playlist import ListedSegment, Resource

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def segment(
    sequence: int, *, duration: float = 2.0, breaks: bool = False, at: datetime | None = None
) -> ListedSegment:
    return ListedSegment(
        sequence=sequence,
        resource=Resource(url=f"https://x/{sequence}.aac"),
        duration=duration,
        discontinuity=breaks,
        program_date_time=at,
    )


def find(
    segments: list[ListedSegment],
    measured: dict[int, AudioSpan],
    *,
    start: float,
    end: float,
    pictures: ListedSegment | None = None,
    lost: tuple[int, ...] = (),
) -> AudioCover:
    return find_audio(
        segments,
        lambda each: measured.get(each.sequence),
        usable=lambda each: each.sequence not in lost,
        pictures=pictures or segment(9999),
        start=start,
        end=end,
    )


def numbers(found: AudioCover) -> list[int]:
    return [each.sequence for each in found.wanted]


LISTED = [segment(n) for n in range(100, 106)]
SHORT = [segment(n, duration=0.5) for n in range(40)]


@pytest.mark.parametrize(
    ("segments", "measured", "start", "expected"),
    [
        (LISTED, {102: (10.0, 2.0)}, 10.0, [102]),
        (LISTED, {102: (10.0, 2.0)}, 11.0, [102, 103]),
        (LISTED, {102: (10.0, 2.0)}, 6.5, [100, 101]),  # reckoned backwards
        (LISTED, {102: (10.0, 2.0)}, 15.0, [104, 105]),  # and forwards
        (LISTED, {100: (6.0, 1.0), 101: (7.0, 3.0)}, 8.0, [101]),  # EXTINF is not the truth
        (SHORT, {0: (3.0, 0.5)}, 4.0, [2, 3, 4, 5]),
        (LISTED, {102: (2.0, 2.0)}, 2.0 + (1 << 33) / 90_000, [102]),  # the clock has wrapped
    ],
)
def test_segments_over_the_pictures_are_wanted(
    segments: list[ListedSegment], measured: dict[int, AudioSpan], start: float, expected: list[int]
) -> None:
    assert numbers(find(segments, measured, start=start, end=start + 2.0)) == expected


@pytest.mark.parametrize(
    ("end", "complete"), [(15.9, True), (18.0, True), (18.05, True), (19.0, False)]
)
def test_sound_is_complete_once_it_reaches_the_end_of_the_pictures(
    end: float, complete: bool
) -> None:
    assert find(LISTED, {102: (10.0, 2.0)}, start=14.0, end=end).complete is complete


def test_sound_of_later_pictures_alone_is_silence() -> None:
    found = find(LISTED, {102: (10.0, 2.0)}, start=1.0, end=3.0)
    assert found == AudioCover((), complete=True)


def test_sound_that_is_not_listed_yet_is_worth_waiting_for() -> None:
    found = find(LISTED, {102: (10.0, 2.0)}, start=30.0, end=32.0)
    assert found == AudioCover((), complete=False)


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        (segment(103), 103),
        (segment(7), 105),
        (segment(100, at=NOON + timedelta(seconds=5)), 102),
    ],
)
def test_what_nothing_is_known_of_is_guessed_by_date_then_number_then_place(
    pictures: ListedSegment, expected: int
) -> None:
    segments = [segment(n, at=NOON + timedelta(seconds=2 * (n - 100))) for n in range(100, 106)]
    assert numbers(find(segments, {}, start=0.0, end=2.0, pictures=pictures)) == [expected]


def test_nothing_is_reckoned_over_a_discontinuity() -> None:
    segments = [segment(0), segment(1), segment(2, breaks=True), segment(3)]
    found = find(segments, {0: (50.0, 2.0)}, start=0.0, end=2.0)
    assert numbers(found) == [3]
    assert not found.complete
    assert numbers(find(segments, {0: (50.0, 2.0), 3: (2.0, 2.0)}, start=0.0, end=2.0)) == [2]


def test_a_lost_segment_is_silence_and_is_not_asked_for_again() -> None:
    found = find(LISTED, {102: (10.0, 2.0)}, start=11.0, end=13.0, lost=(103,))
    assert (numbers(found), found.complete) == ([102], True)
    assert numbers(find(LISTED, {}, start=0.0, end=2.0, lost=tuple(range(100, 106)))) == []
