"""One clip for each highlight, from wish to file."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clip import ClipSpec, ClipStatus
from domain.clip_book import FORGET_AFTER, ClipBook, ClipPhase
from domain.selection import Decision
from tests.unit.domain.clip_cases import STREAM, TENANT, decision, outcome, segments_of

MEDIA = segments_of((0, 60))


def take(book: ClipBook, *, media_end: float = 60.0, ended: bool = False) -> tuple[ClipSpec, ...]:
    media = [each for each in MEDIA if each.end <= media_end]
    return book.take_cuttable(
        media, media_end=media_end, ended=ended, tenant_id=TENANT, stream_id=STREAM
    )


def rendering(wanted: Decision) -> tuple[ClipBook, ClipSpec]:
    book = ClipBook()
    book.want(wanted)
    (spec,) = take(book)
    return book, spec


def needed_from(book: ClipBook) -> list[float]:
    return list(book.needed_from)


def phases(book: ClipBook) -> dict[UUID, ClipPhase]:
    return {entry.decision.highlight_id: entry.phase for entry in book.entries}


def test_a_highlight_is_entered_once() -> None:
    book = ClipBook()
    assert book.want(decision(1))
    assert not book.want(decision(1, peak=30.0))
    assert [entry.decision.peak for entry in book.entries] == [10.0]


def test_a_clip_is_taken_once_its_media_is_complete() -> None:
    book = ClipBook()
    book.want(decision(1, peak=10.0, after=4.0))
    assert not book.has_cuttable(media_end=12.0, ended=False)
    assert take(book, media_end=12.0) == ()
    assert book.has_cuttable(media_end=14.0, ended=False)
    assert [spec.highlight_id for spec in take(book, media_end=14.0)] == [UUID(int=1)]
    assert take(book) == ()


def test_the_end_of_a_stream_cuts_what_there_is() -> None:
    book = ClipBook()
    book.want(decision(1, peak=10.0, after=4.0))
    (spec,) = take(book, media_end=12.0, ended=True)
    assert spec.end == 12.0


def test_what_has_no_media_is_waited_for_no_longer() -> None:
    book = ClipBook()
    book.want(decision(1, peak=200.0))
    assert take(book, ended=True) == ()
    assert phases(book) == {UUID(int=1): ClipPhase.NO_MEDIA}
    assert not book.has_cuttable(media_end=60.0, ended=True)
    assert needed_from(book) == []


def test_the_book_keeps_no_segments() -> None:
    book, spec = rendering(decision(1))
    assert spec.segments
    assert [entry.spec.segments for entry in book.entries if entry.spec] == [()]


def test_clips_being_rendered_are_known_by_their_ids() -> None:
    book, spec = rendering(decision(1))
    assert list(book.rendering) == [spec.id]
    book.finished(outcome(spec))
    assert list(book.rendering) == []


def test_a_finished_clip_is_ready_or_failed() -> None:
    for status, phase in (
        (ClipStatus.READY, ClipPhase.READY),
        (ClipStatus.FAILED, ClipPhase.FAILED),
    ):
        book, spec = rendering(decision(1))
        assert book.finished(outcome(spec, status)) is None
        assert phases(book) == {UUID(int=1): phase}
        assert book.is_ready(UUID(int=1)) is (status is ClipStatus.READY)


def test_an_outcome_told_twice_or_of_a_stranger_changes_nothing() -> None:
    book, spec = rendering(decision(1))
    book.finished(outcome(spec))
    before = book.entries
    assert book.finished(outcome(spec, ClipStatus.FAILED)) is None
    stranger = spec.model_copy(update={"highlight_id": UUID(int=9)})
    assert book.finished(outcome(stranger)) is None
    assert book.entries == before


def test_a_highlight_retracted_while_waiting_is_gone_without_a_file() -> None:
    book = ClipBook()
    book.want(decision(1))
    assert book.retract(UUID(int=1)) == (ClipPhase.WAITING, None)
    assert take(book) == ()


def test_a_ready_clip_is_deleted_when_its_highlight_is_retracted() -> None:
    book, spec = rendering(decision(1))
    book.finished(outcome(spec))
    retracted = book.retract(UUID(int=1))
    assert retracted is not None
    assert retracted[0] is ClipPhase.READY
    assert retracted[1] is not None
    assert retracted[1].id == spec.id
    assert book.entries == ()


def test_a_clip_retracted_while_rendering_is_deleted_when_it_is_finished() -> None:
    book, spec = rendering(decision(1))
    assert book.retract(UUID(int=1)) == (ClipPhase.RENDERING, None)
    assert book.rendering == (spec.id,)
    doomed = book.finished(outcome(spec))
    assert doomed is not None
    assert doomed.id == spec.id
    assert not book.is_ready(UUID(int=1))
    assert book.entries == ()


def test_retracting_twice_retracts_once() -> None:
    book, _ = rendering(decision(1))
    assert book.retract(UUID(int=1)) is not None
    assert book.retract(UUID(int=1)) is None
    assert ClipBook().retract(UUID(int=1)) is None


def test_unfinished_clips_hold_their_media_from_their_first_second() -> None:
    book, spec = rendering(decision(1, peak=10.0, before=4.0))
    book.want(decision(2, peak=80.0, before=4.0))
    assert needed_from(book) == [6.0, 76.0]
    book.finished(outcome(spec))
    assert needed_from(book) == [76.0]


def test_finished_clips_are_forgotten_an_hour_of_media_later() -> None:
    book, spec = rendering(decision(1, peak=10.0, after=4.0))
    book.want(decision(2, peak=30.0))
    book.finished(outcome(spec))
    book.forget(14.0 + FORGET_AFTER - 0.1)
    assert set(phases(book)) == {UUID(int=1), UUID(int=2)}
    book.forget(14.0 + FORGET_AFTER)
    assert set(phases(book)) == {UUID(int=2)}


@st.composite
def events(draw: st.DrawFn) -> list[tuple[str, int]]:
    kinds = st.sampled_from(["want", "retract", "take", "ready", "failed", "reload"])
    return draw(st.lists(st.tuples(kinds, st.integers(1, 4)), max_size=40))


@given(events())
@settings(max_examples=200)
def test_a_highlight_has_one_clip_at_a_time_and_each_file_is_deleted_at_most_once(
    happened: list[tuple[str, int]],
) -> None:
    book = ClipBook()
    under_way: dict[int, ClipSpec] = {}
    on_disk: dict[UUID, bool] = {}  # highlight: whether its file is there
    for kind, number in happened:
        highlight = UUID(int=number)
        if kind == "want":
            book.want(decision(number, peak=10.0 * number))
        elif kind == "take":
            for spec in take(book):
                assert spec.highlight_id.int not in under_way
                assert not on_disk.get(spec.highlight_id, False)
                under_way[spec.highlight_id.int] = spec
        elif kind in {"ready", "failed"} and number in under_way:
            on_disk[highlight] = kind == "ready"
            doomed = book.finished(outcome(under_way.pop(number), ClipStatus(kind)))
            if doomed is not None:
                on_disk[highlight] = False
        elif kind == "retract":
            _, doomed = book.retract(highlight) or (None, None)
            if doomed is not None:
                on_disk[highlight] = False
        book = ClipBook(book.entries) if kind == "reload" else book
    ready = {highlight for highlight, phase in phases(book).items() if phase is ClipPhase.READY}
    assert ready == {highlight for highlight, there in on_disk.items() if there}
    assert {each.id for each in under_way.values()} == set(book.rendering)
