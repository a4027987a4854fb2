"""A window is put together from segments and losses, each at its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.ingest.messages import IngestCursor, IngestProgress
from domain.ingest.playlist import DateRange, ListedSegment, Resource
from domain.ingest.window import MOST_METADATA, FetchedMedia, WindowBuilder
from domain.media.segments import AudioTrack, GapReason, SegmentRef, Window

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TENANT, STREAM = uuid4(), uuid4()


def builder(cursor: IngestCursor | None = None) -> WindowBuilder:
    cursor = cursor or IngestCursor(variant="720p")
    return WindowBuilder(tenant_id=TENANT, stream_id=STREAM, progress=IngestProgress.begin(cursor))


def add(
    window: WindowBuilder,
    sequence: int,
    *,
    timestamp: float | None = None,
    pace: float = 1.0,
    restarted: bool = False,
    clock: float | None = None,
    audio: tuple[AudioTrack, ...] = (),
) -> SegmentRef:
    """Place a 2 s segment that follows on, at `pace` times the wall clock."""
    listed = ListedSegment(
        sequence=sequence,
        resource=Resource(url=f"https://x/{sequence}.ts"),
        duration=2.0,
        program_date_time=NOON + timedelta(seconds=2 * sequence / pace),
    )
    media = FetchedMedia(
        first_timestamp=2.0 * sequence if timestamp is None else timestamp,
        duration=2.0,
        has_video=True,
        has_audio=True,
        size=1000,
        clock=clock,
        audio_tracks=audio,
    )
    ref = window.place(listed, media, published_at=NOON, restarted=restarted)
    window.commit(ref, listed, media, restarted=restarted)
    return ref


def lose(
    window: WindowBuilder,
    sequence: int,
    reason: GapReason = GapReason.NOT_FOUND,
    duration: float = 2.0,
) -> None:
    window.add_gap(
        first_sequence=sequence,
        last_sequence=sequence,
        duration=duration,
        reason=reason,
        detail="",
        published_at=NOON,
    )


def built(window: WindowBuilder) -> Window:
    made, _ = window.build()
    assert made is not None
    return made


def mark(name: str, seconds: float, *, sequence: int = 0) -> DateRange:
    """Timed metadata at so many seconds of wall clock after noon."""
    return DateRange(
        id=name,
        start=NOON + timedelta(seconds=seconds),
        duration=None,
        payload=name,
        sequence=sequence,
    )


def test_a_window_begins_where_the_one_before_ended() -> None:
    first = builder()
    add(first, 0)
    _, cursor = first.build()
    second = builder(cursor)
    add(second, 1)
    assert (built(second).index, built(second).start, built(second).end) == (1, 2.0, 4.0)


def test_an_empty_window_is_none_and_does_not_count() -> None:
    assert builder().build() == (None, IngestCursor(variant="720p"))


def test_segments_are_named_by_variant_discontinuity_and_sequence() -> None:
    assert add(builder(), 7).key == f"{TENANT}/{STREAM}/media/720p/00000-0000000007.ts"


def test_a_sequence_number_used_again_by_a_new_session_has_a_name_of_its_own() -> None:
    window = builder()
    before = add(window, 7)
    after = add(window, 7, timestamp=0.0, restarted=True)
    assert after.key == before.key.replace("00000-", "00001-")
    assert after.start == before.end


def test_neighbouring_losses_for_one_reason_are_one_gap() -> None:
    window = builder()
    for sequence in (3, 4):
        lose(window, sequence)
    lose(window, 5, GapReason.CORRUPT)
    assert [(g.first_sequence, g.last_sequence, g.duration) for g in built(window).gaps] == [
        (3, 4, 4.0),
        (5, 5, 2.0),
    ]


def test_the_segment_after_a_gap_says_how_long_it_was() -> None:
    window = builder()
    add(window, 0)
    lose(window, 1, duration=1.5)
    following = add(window, 2)
    assert following.start == 4.0
    assert built(window).gaps[0].end == 4.0


def test_a_window_is_full_when_it_covers_the_duration_with_gaps_counted() -> None:
    window = builder()
    add(window, 0)
    assert not window.covers(4.0)
    lose(window, 1)
    assert not window.covers(4.0)  # the next segment says how long the gap is
    add(window, 2)
    assert window.covers(4.0)
    assert window.covers(6.0)


def test_a_gap_that_nothing_follows_is_reported_all_the_same() -> None:
    window = builder()
    add(window, 0)
    for sequence in range(1, 8):
        lose(window, sequence)
    assert window.covers(4.0)


def test_the_gap_at_the_end_of_a_window_is_as_long_as_the_clock_says() -> None:
    window = builder()
    add(window, 0)
    lose(window, 1, duration=6.0)
    assert not window.covers(3.0)
    assert add(window, 2).start == 4.0
    assert [gap.duration for gap in built(window).gaps] == [2.0]


def test_a_gap_is_tied_to_the_wall_clock_by_the_segment_before_it() -> None:
    window = builder()
    add(window, 0)
    add(window, 1)
    lose(window, 2)
    add(window, 3)
    (gap,) = built(window).gaps
    assert (gap.anchor_at, gap.anchor_wall) == (2.0, NOON + timedelta(seconds=2))


def test_a_gap_at_the_beginning_is_tied_by_the_segment_after_it() -> None:
    window = builder(IngestCursor(variant="720p", next_sequence=0))
    lose(window, 0)
    add(window, 1)
    (gap,) = built(window).gaps
    assert (gap.anchor_at, gap.anchor_wall) == (2.0, NOON + timedelta(seconds=2))


def test_metadata_lies_between_the_segments_whose_wall_clock_surrounds_it() -> None:
    window = builder()
    for sequence in (0, 1, 2):
        add(window, sequence)
    window.take_metadata([mark("goal", 2.5)])
    window.take_metadata([mark("goal", 2.5)])
    assert [(m.id, m.at) for m in built(window).metadata] == [("goal", 2.5)]


def test_metadata_lies_right_in_a_recording_played_faster_than_it_happened() -> None:
    window = builder()
    for sequence in (0, 1, 2):
        add(window, sequence, pace=8.0)
    window.take_metadata([mark("goal", 2.5 / 8)])
    assert built(window).metadata[0].at == pytest.approx(2.5)


def test_metadata_of_the_last_segment_waits_for_the_next_or_for_the_end() -> None:
    window = builder()
    add(window, 0)
    add(window, 1)
    window.take_metadata([mark("late", 3.0)])
    assert built(window).metadata == ()
    _, cursor = window.build()
    following = builder(cursor)
    add(following, 2)
    following.take_metadata([mark("late", 3.0)])
    assert built(following).metadata[0].at == pytest.approx(3.0)
    window.take_metadata([mark("late", 3.0)], final=True)
    assert built(window).metadata[0].at == pytest.approx(3.0)


def test_metadata_from_before_the_stream_is_left_out() -> None:
    window = builder()
    add(window, 10)
    add(window, 11)
    window.take_metadata([mark("old", 5.0)])
    assert built(window).metadata == ()


def test_metadata_without_a_date_lies_at_the_segment_it_stands_before() -> None:
    window = builder()
    add(window, 0)
    add(window, 1)
    undated = DateRange(id="m", start=None, duration=None, payload="", sequence=1)
    window.take_metadata([undated])
    assert built(window).metadata[0].at == 2.0


def test_metadata_listed_late_is_still_reported_but_what_is_long_past_is_not_again() -> None:
    window = builder(IngestCursor(variant="720p", position=200.0, last_timestamp=200.0))
    add(window, 100)
    window.take_metadata([mark("late", 170.0), mark("long ago", 100.0)])
    assert [(m.id, m.at) for m in built(window).metadata] == [("late", 170.0)]


def test_metadata_beyond_what_a_window_may_hold_is_dropped_oldest_first_and_counted() -> None:
    window = builder()
    add(window, 0)
    add(window, 1)
    listed = [mark(f"m{n}", n / 1000) for n in range(1000)]
    for _ in range(3):  # the playlist lists it all again and again
        window.take_metadata(listed)
    assert len(window.cursor.seen_metadata) == 256
    found = built(window)
    assert [m.id for m in found.metadata] == [f"m{n}" for n in range(1000 - MOST_METADATA, 1000)]
    assert found.dropped_metadata == 1000 - MOST_METADATA
    _, cursor = window.build()
    following = builder(cursor)
    add(following, 2)
    following.take_metadata([*listed, mark("next", 2.5)], final=True)
    assert [m.id for m in built(following).metadata] == ["next"]
    assert built(following).dropped_metadata == 0


def test_the_payloads_of_a_window_are_bounded() -> None:
    window = builder()
    add(window, 0)
    add(window, 1)
    listed = [
        mark(f"m{n}", n / 10).model_copy(update={"payload": "\U0001f1e9" * 2000}) for n in range(10)
    ]
    window.take_metadata(listed)
    assert [m.id for m in built(window).metadata] == ["m6", "m7", "m8", "m9"]
    assert built(window).dropped_metadata == 6


def test_long_ids_of_metadata_are_remembered_by_their_digest() -> None:
    window = builder()
    add(window, 0)
    add(window, 1)
    for _ in range(2):
        window.take_metadata([mark("x" * 200, 0.5)])
    assert len(built(window).metadata) == 1
    assert all(len(each) <= 40 for each in window.cursor.seen_metadata)


def test_progress_survives_the_way_through_json() -> None:
    window = builder()
    add(window, 0)
    lose(window, 1)
    text = window.progress.model_dump_json()
    assert IngestProgress.model_validate_json(text) == window.progress


def track(number: int, language: str = "", *, default: bool = False) -> AudioTrack:
    return AudioTrack(id=number, language=language, default=default, codec="aac")


@pytest.mark.parametrize(
    ("before", "after", "chosen"),
    [
        ((track(257, "eng"), track(258, "spa")), (track(257, "spa"), track(258, "eng")), 258),
        ((track(257, "eng"), track(258, "spa")), (track(258, "spa"), track(257, "eng")), 257),
        ((track(1), track(2)), (track(2), track(1)), 1),
        ((track(1, "spa"), track(2, "eng", default=True)), (track(7, "spa"), track(8, "eng")), 8),
        ((track(1, "eng"),), (track(5, "fra"), track(6, "deu")), 5),
        ((track(1, "eng"),), (), None),
    ],
)
def test_the_language_stays_the_same_whatever_the_order_of_the_tracks(
    before: tuple[AudioTrack, ...], after: tuple[AudioTrack, ...], chosen: int | None
) -> None:
    window = builder()
    refs = [
        add(window, number, audio=tracks) for number, tracks in enumerate((before, after, before))
    ]
    assert refs[1].audio_track == chosen
    assert refs[2].audio_track == refs[0].audio_track


def test_the_clock_of_packed_audio_places_it_but_its_own_timestamps_locate_its_frames() -> None:
    window = builder()
    for sequence in range(3):
        add(window, sequence, timestamp=0.0, clock=95_000.0 + 2.0 * sequence)
    refs = built(window).segments
    assert [ref.start for ref in refs] == pytest.approx([0.0, 2.0, 4.0])
    assert [ref.first_timestamp for ref in refs] == pytest.approx([0.0, 0.0, 0.0])
    assert [ref.discontinuity_sequence for ref in refs] == [0, 0, 0]
