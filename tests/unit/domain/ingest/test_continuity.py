"""What a new reading of a live playlist means: it goes on, lags behind, or is a new session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.continuity import (
    REMEMBERED_SEGMENTS,
    Movement,
    PlaylistAssessment,
    PlaylistPosition,
    SegmentMemory,
    assess_playlist,
    believable_jump,
    with_continued_numbers,
)
from domain.ingest.playlist import ByteRange, ListedSegment, MediaPlaylist, Resource

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def listing(
    first: int,
    count: int = 5,
    *,
    since: datetime | None = None,
    discontinuity: bool = False,
    name: str = "{}.ts",
    named_from: int | None = None,
    duration: float = 2.0,
) -> MediaPlaylist:
    """A playlist of 2 s segments; `since` is the wall clock of the first one listed."""
    names = first if named_from is None else named_from
    return MediaPlaylist(
        target_duration=duration,
        media_sequence=first,
        segments=tuple(
            ListedSegment(
                sequence=first + n,
                resource=Resource(url=f"https://x/{name.format(names + n)}"),
                duration=duration,
                discontinuity=discontinuity and n == 0,
                program_date_time=since + timedelta(seconds=2 * n) if since else None,
            )
            for n in range(count)
        ),
    )


def after(*readings: MediaPlaylist) -> PlaylistPosition:
    """What is taken once all segments of the readings are, one session."""
    memory, following, last, durations = SegmentMemory(), None, None, {}
    for reading in readings:
        for segment in reading.segments:
            durations[segment.sequence] = segment.duration
            if following is None or segment.sequence >= following:
                memory, following = memory.with_segment(segment), segment.sequence + 1
                last = segment.program_date_time or last
    return PlaylistPosition(
        next_sequence=following,
        last_date_time=last,
        memory=memory,
        head=max(reading.segments[0].sequence for reading in readings),
        durations=durations,
    )


def read(
    playlist: MediaPlaylist, taken: PlaylistPosition, *, believable: int = 20
) -> PlaylistAssessment:
    return assess_playlist(with_continued_numbers(playlist, taken), taken, believable=believable)


def fresh(reading: PlaylistAssessment) -> list[int]:
    return [segment.sequence for segment in reading.fresh]


def test_the_first_reading_and_later_numbers_are_an_advance() -> None:
    assert fresh(read(listing(7), PlaylistPosition())) == [7, 8, 9, 10, 11]
    assert fresh(read(listing(9), after(listing(7)))) == [12, 13]
    assert fresh(read(listing(14), after(listing(7)))) == [14, 15, 16, 17, 18]


def test_the_same_and_a_slightly_old_playlist_are_no_change() -> None:
    taken = after(listing(7), listing(10))
    assert read(listing(10), taken).movement is Movement.UNCHANGED
    assert read(listing(7), taken).movement is Movement.UNCHANGED
    assert read(MediaPlaylist(target_duration=2.0), taken).movement is Movement.UNCHANGED


@pytest.mark.parametrize("seconds", [-3600, -5, 0.5, 3, 3600])
@pytest.mark.parametrize("dated", [range(12), [4, 5], [5]], ids=["all", "two", "last"])
@pytest.mark.parametrize("first", [0, 4], ids=["event", "sliding"])
def test_a_date_alone_proves_nothing(seconds: float, dated: Sequence[int], first: int) -> None:
    taken = after(listing(0, 6, since=NOON))
    since = NOON + timedelta(seconds=2 * first)
    reading = listing(first, 7 - first, since=since)
    changed = reading.model_copy(
        update={
            "segments": tuple(
                each.model_copy(
                    update={
                        "program_date_time": each.program_date_time + timedelta(seconds=seconds)
                    }
                )
                if each.sequence in dated and each.program_date_time
                else each
                for each in reading.segments
            )
        }
    )
    assert fresh(read(changed, taken)) == [6]


def test_dates_of_segments_taken_that_step_back_are_no_new_session() -> None:
    base = listing(0, 6, since=NOON)
    segments = [
        each.model_copy(update={"program_date_time": NOON + timedelta(seconds=2 * n - 5 * (n > 3))})
        for n, each in enumerate(base.segments)
    ]
    reading = base.model_copy(update={"segments": tuple(segments)})
    taken = after(reading)
    for _ in range(3):
        assert read(reading, taken).movement is Movement.UNCHANGED


def test_numbers_that_begin_again_with_later_media_are_a_new_session() -> None:
    taken = after(listing(495, 5, since=NOON))
    reading = listing(0, 1, since=NOON + timedelta(seconds=30))
    assert fresh(read(reading, taken)) == [0]
    assert read(reading, taken).movement is Movement.RESTARTED


def test_file_names_used_again_by_a_short_session_are_recognized_by_later_dates() -> None:
    taken = after(listing(0, 9, since=NOON))
    reading = listing(0, 2, since=NOON + timedelta(seconds=40))
    assert read(reading, taken).movement is Movement.RESTARTED
    assert fresh(read(reading, taken)) == [0, 1]


def test_a_new_session_is_noticed_even_when_its_numbers_have_caught_up() -> None:
    taken = after(listing(0, 4, since=NOON))
    reading = listing(0, 5, since=NOON + timedelta(seconds=20), name="b/{}x.ts")
    assert read(reading, taken).movement is Movement.RESTARTED
    assert fresh(read(reading, taken)) == [0, 1, 2, 3, 4]


def test_another_uri_under_a_known_number_is_a_new_session_once_the_list_advances() -> None:
    taken = after(listing(0, 9))
    reading = read(listing(0, 3, name="new{}.ts"), taken)
    assert (reading.movement, reading.advances) == (Movement.REGRESSED, 1)


def test_other_uris_and_durations_under_numbers_that_did_not_go_back_are_a_new_session() -> None:
    taken = after(listing(0, 4, duration=2.0))
    reading = read(listing(0, 5, name="new{}.ts", duration=1.6), taken)
    assert (reading.movement, fresh(reading)) == (Movement.RESTARTED, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("since", [None, NOON])
@pytest.mark.parametrize(
    ("before", "renewed"),
    [
        ("{}.ts?token=a", "{}.ts?token=b"),
        ("token-a/{}.ts", "token-b/{}.ts"),
        ("edge1/{}.ts", "backup/chunk_{}.ts"),
    ],
)
def test_a_renewed_address_is_the_same_segment(
    since: datetime | None, before: str, renewed: str
) -> None:
    taken = after(listing(10, since=since, name=before))
    later = since and since + timedelta(seconds=4)
    assert fresh(read(listing(12, since=later, name=renewed), taken)) == [15, 16]
    assert read(listing(10, since=since, name=renewed), taken).movement is Movement.UNCHANGED


def test_single_segments_replaced_under_their_numbers_are_not_taken_again() -> None:
    taken = after(listing(0, 6))
    replaced = list(listing(2, 6).segments)
    replaced[1] = replaced[1].model_copy(update={"resource": Resource(url="https://ads/1.ts")})
    reading = read(MediaPlaylist(target_duration=2, segments=tuple(replaced)), taken)
    assert (reading.movement, fresh(reading)) == (Movement.ADVANCED, [6, 7])


@pytest.mark.parametrize("shift", [-7, -3, 1000, 10**6, 2 * 10**8, 1_700_000_000, 2**52])
@pytest.mark.parametrize("since", [None, NOON])
def test_of_segments_numbered_anew_only_unknown_ones_are_taken(
    shift: int, since: datetime | None
) -> None:
    taken = after(listing(10, 8, since=since))
    later = since and since + timedelta(seconds=10)
    reading = read(listing(15 + shift, since=later, named_from=15), taken)
    assert (reading.movement, fresh(reading)) == (Movement.RESTARTED, [18 + shift, 19 + shift])


@pytest.mark.parametrize("jump", [100, 10**6, 2 * 10**8, 1_700_000_000, 2**52])
@pytest.mark.parametrize("since", [None, NOON, NOON - timedelta(hours=1)])
def test_a_jump_that_no_time_explains_is_a_new_session_without_a_gap(
    jump: int, since: datetime | None
) -> None:
    taken = after(listing(0, 5, since=NOON - timedelta(seconds=30)))
    reading = read(listing(jump, 3, since=since), taken)
    assert reading.movement is Movement.RESTARTED
    assert fresh(reading) == [jump, jump + 1, jump + 2]


@pytest.mark.parametrize(
    ("elapsed", "interval", "skipped"), [(0, None, 5), (60, 2.0, 45), (60, 0.25, 360)]
)
def test_a_jump_is_believed_as_far_as_time_has_passed(
    elapsed: float, interval: float | None, skipped: int
) -> None:
    bound = believable_jump(listing(0).segments, elapsed=elapsed, interval=interval)
    assert skipped <= bound <= skipped + 5


def test_numbers_far_back_with_media_of_the_past_are_a_regression() -> None:
    taken = after(listing(495, since=NOON))
    old = read(listing(0, since=NOON - timedelta(hours=1)), taken)
    assert (old.movement, old.advances) == (Movement.REGRESSED, 3)
    unknown = read(listing(0), after(listing(495)))
    assert (unknown.movement, unknown.advances) == (Movement.REGRESSED, 2)
    known = read(listing(10), after(listing(10, 50)))
    assert (known.movement, known.advances) == (Movement.REGRESSED, 3)


def test_numbers_far_back_behind_a_discontinuity_may_be_a_new_session() -> None:
    reading = read(listing(0, discontinuity=True), after(listing(495)))
    assert reading.movement is Movement.RESET


def test_a_list_of_the_session_before_is_stale() -> None:
    before = after(listing(121))
    memory = before.memory.restarted()
    for segment in listing(0, 3, name="new{}.ts").segments:
        memory = memory.with_segment(segment)
    taken = PlaylistPosition(next_sequence=3, memory=memory, head=0)
    assert read(listing(121), taken).movement is Movement.STALE
    assert fresh(read(listing(0, 4, name="new{}.ts"), taken)) == [3]


def test_byte_ranges_of_one_file_are_told_apart() -> None:
    def ranges(first: int, begin: int, count: int = 3) -> MediaPlaylist:
        return MediaPlaylist(
            target_duration=2,
            media_sequence=first,
            segments=tuple(
                ListedSegment(
                    sequence=first + n,
                    resource=Resource(
                        url="https://x/all.ts",
                        byte_range=ByteRange(offset=100 * (begin + n), length=100),
                    ),
                    duration=2,
                )
                for n in range(count)
            ),
        )

    taken = after(ranges(0, 0))
    assert fresh(read(ranges(1, 1), taken)) == [3]
    assert fresh(read(ranges(500, 2), taken, believable=5)) == [501, 502]


def test_a_list_without_media_sequence_numbers_is_tied_by_its_uris() -> None:
    def unnumbered(first: int) -> MediaPlaylist:
        reading = listing(0, named_from=first)
        return reading.model_copy(update={"media_sequence": None})

    taken = after(listing(0))
    assert read(unnumbered(0), taken).movement is Movement.UNCHANGED
    assert fresh(read(unnumbered(2), taken)) == [5, 6]
    assert fresh(read(unnumbered(40), taken)) == [5, 6, 7, 8, 9]


def test_memory_is_bounded_and_small() -> None:
    memory = SegmentMemory()
    for n in range(0, 4000, 2):  # with holes, the worst case
        memory = memory.with_segment(listing(n, 1).segments[0])
    memory = memory.restarted()
    for n in range(1000):
        memory = memory.with_segment(listing(n, 1).segments[0])
    assert len(memory.prints) == len(memory.previous_prints) == REMEMBERED_SEGMENTS
    assert list(memory.prints)[-1] == 999
    assert len(memory.model_dump_json()) < 3500
    assert SegmentMemory.model_validate_json(memory.model_dump_json()) == memory


@given(
    first=st.integers(0, 1000),
    count=st.integers(1, 20),
    advance=st.integers(0, 25),
    clock=st.integers(-100, 100),
)
def test_a_stream_that_only_moves_forward_is_never_taken_for_anything_else(
    first: int, count: int, advance: int, clock: int
) -> None:
    taken = after(listing(first, count, since=NOON))
    since = NOON + timedelta(seconds=2 * advance + clock)
    found = read(listing(first + advance, count, since=since), taken, believable=30)
    assert found.movement is (Movement.ADVANCED if advance else Movement.UNCHANGED)
    assert fresh(found) == [
        n for n in range(first + advance, first + advance + count) if n >= first + count
    ]


@given(readings=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 8)), max_size=20))
def test_whatever_is_listed_a_number_and_uri_of_one_session_is_taken_once(
    readings: list[tuple[int, int]],
) -> None:
    memory, following, session = SegmentMemory(), None, 0
    seen: set[tuple[int, int, str]] = set()
    for first, count in readings:
        taken = PlaylistPosition(next_sequence=following, memory=memory)
        found = read(listing(first, count), taken)
        if found.movement is Movement.RESTARTED:
            memory, session = memory.restarted(), session + 1
        for segment in found.fresh:
            key = (session, segment.sequence, segment.resource.url)
            assert key not in seen
            seen.add(key)
            memory, following = memory.with_segment(segment), segment.sequence + 1
