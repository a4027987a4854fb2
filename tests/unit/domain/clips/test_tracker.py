"""One clip for each highlight, from wish to file."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clips.models import ClipSpec, ClipStatus
from domain.clips.tracker import FORGET_AFTER, ClipPhase, ClipTracker
from domain.highlights.feedback import HighlightCorrection
from domain.highlights.selection import Decision
from tests.factories.clips import STREAM, TENANT, decision, outcome, segments_of

MEDIA = segments_of((0, 60))


def take(
    tracker: ClipTracker, *, media_end: float = 60.0, ended: bool = False
) -> tuple[ClipSpec, ...]:
    media = [each for each in MEDIA if each.end <= media_end]
    return tracker.pop_ready_to_render(
        media, media_end=media_end, ended=ended, tenant_id=TENANT, stream_id=STREAM
    )


def rendering(wanted: Decision) -> tuple[ClipTracker, ClipSpec]:
    tracker = ClipTracker()
    tracker.track(wanted)
    (spec,) = take(tracker)
    return tracker, spec


def needed_from(tracker: ClipTracker) -> list[float]:
    return list(tracker.needed_from)


def phases(tracker: ClipTracker) -> dict[UUID, ClipPhase]:
    return {entry.decision.highlight_id: entry.phase for entry in tracker.entries}


def test_a_highlight_is_entered_once() -> None:
    tracker = ClipTracker()
    assert tracker.track(decision(1))
    assert not tracker.track(decision(1, peak=30.0))
    assert [entry.decision.peak for entry in tracker.entries] == [10.0]


def test_a_clip_is_taken_once_its_media_is_complete() -> None:
    tracker = ClipTracker()
    tracker.track(decision(1, peak=10.0, after=4.0))
    assert not tracker.has_ready_to_render(media_end=12.0, ended=False)
    assert take(tracker, media_end=12.0) == ()
    assert tracker.has_ready_to_render(media_end=14.0, ended=False)
    assert [spec.highlight_id for spec in take(tracker, media_end=14.0)] == [UUID(int=1)]
    assert take(tracker) == ()


def test_the_end_of_a_stream_cuts_what_there_is() -> None:
    tracker = ClipTracker()
    tracker.track(decision(1, peak=10.0, after=4.0))
    (spec,) = take(tracker, media_end=12.0, ended=True)
    assert spec.end == 12.0


def test_what_has_no_media_is_waited_for_no_longer() -> None:
    tracker = ClipTracker()
    tracker.track(decision(1, peak=200.0))
    assert take(tracker, ended=True) == ()
    assert phases(tracker) == {UUID(int=1): ClipPhase.NO_MEDIA}
    assert not tracker.has_ready_to_render(media_end=60.0, ended=True)
    assert needed_from(tracker) == []


def test_the_book_keeps_no_segments() -> None:
    tracker, spec = rendering(decision(1))
    assert spec.segments
    assert [entry.spec.segments for entry in tracker.entries if entry.spec] == [()]


def test_clips_being_rendered_are_known_by_their_ids() -> None:
    tracker, spec = rendering(decision(1))
    assert list(tracker.rendering) == [spec.id]
    tracker.record_outcome(outcome(spec))
    assert list(tracker.rendering) == []


def test_a_finished_clip_is_ready_or_failed() -> None:
    for status, phase in (
        (ClipStatus.READY, ClipPhase.READY),
        (ClipStatus.FAILED, ClipPhase.FAILED),
    ):
        tracker, spec = rendering(decision(1))
        assert tracker.record_outcome(outcome(spec, status)) is None
        assert phases(tracker) == {UUID(int=1): phase}
        assert tracker.is_ready(UUID(int=1)) is (status is ClipStatus.READY)


def test_a_repeated_or_unknown_outcome_changes_nothing() -> None:
    tracker, spec = rendering(decision(1))
    tracker.record_outcome(outcome(spec))
    before = tracker.entries
    assert tracker.record_outcome(outcome(spec, ClipStatus.FAILED)) is None
    stranger = spec.model_copy(update={"highlight_id": UUID(int=9)})
    assert tracker.record_outcome(outcome(stranger)) is None
    assert tracker.entries == before


def test_a_highlight_retracted_while_waiting_is_gone_without_a_file() -> None:
    tracker = ClipTracker()
    tracker.track(decision(1))
    assert tracker.retract(UUID(int=1)) == (ClipPhase.WAITING, ())
    assert take(tracker) == ()


def test_a_ready_clip_is_deleted_when_its_highlight_is_retracted() -> None:
    tracker, spec = rendering(decision(1))
    tracker.record_outcome(outcome(spec))
    retracted = tracker.retract(UUID(int=1))
    assert retracted is not None
    assert retracted[0] is ClipPhase.READY
    assert [clip.id for clip in retracted[1]] == [spec.id]
    assert tracker.entries == ()


def test_a_clip_retracted_while_rendering_is_deleted_when_it_is_finished() -> None:
    tracker, spec = rendering(decision(1))
    assert tracker.retract(UUID(int=1)) == (ClipPhase.RENDERING, ())
    assert tracker.rendering == (spec.id,)
    doomed = tracker.record_outcome(outcome(spec))
    assert doomed is not None
    assert doomed.id == spec.id
    assert not tracker.is_ready(UUID(int=1))
    assert tracker.entries == ()


def test_retracting_twice_retracts_once() -> None:
    tracker, _ = rendering(decision(1))
    assert tracker.retract(UUID(int=1)) is not None
    assert tracker.retract(UUID(int=1)) is None
    assert ClipTracker().retract(UUID(int=1)) is None


def test_unfinished_clips_hold_their_media_from_their_first_second() -> None:
    tracker, spec = rendering(decision(1, peak=10.0, before=4.0))
    tracker.track(decision(2, peak=80.0, before=4.0))
    assert needed_from(tracker) == [6.0, 76.0]
    tracker.record_outcome(outcome(spec))
    assert needed_from(tracker) == [76.0]


def test_finished_clips_are_forgotten_an_hour_of_media_later() -> None:
    tracker, spec = rendering(decision(1, peak=10.0, after=4.0))
    tracker.track(decision(2, peak=30.0))
    tracker.record_outcome(outcome(spec))
    tracker.forget_before(14.0 + FORGET_AFTER - 0.1)
    assert set(phases(tracker)) == {UUID(int=1), UUID(int=2)}
    tracker.forget_before(14.0 + FORGET_AFTER)
    assert set(phases(tracker)) == {UUID(int=2)}


def around(peak: float, length: float) -> HighlightCorrection:
    return HighlightCorrection(start=peak - length, end=peak + length)


def corrected() -> tuple[ClipTracker, ClipSpec, ClipSpec]:
    """A tracker with a clip that is ready, and another that is being cut in its place."""
    tracker, first = rendering(decision(1))
    tracker.record_outcome(outcome(first))
    assert tracker.correct(UUID(int=1), around(10.0, 2.0))
    (second,) = take(tracker)
    return tracker, first, second


def test_a_correction_cuts_another_clip_while_the_one_before_stays() -> None:
    tracker, first, second = corrected()
    assert (second.start, second.end) == (8.0, 12.0)
    assert second.id != first.id
    assert tracker.is_ready(UUID(int=1))
    assert needed_from(tracker) == [8.0]
    assert tracker.record_outcome(outcome(second)) is None
    assert [clip.id for clip in tracker.entries[0].ready] == [first.id, second.id]
    assert needed_from(tracker) == []


def test_a_correction_back_to_earlier_bounds_is_another_clip() -> None:
    tracker, first, second = corrected()
    tracker.record_outcome(outcome(second))
    assert tracker.correct(UUID(int=1), HighlightCorrection(start=first.start, end=first.end))
    (third,) = take(tracker)
    assert (third.start, third.end) == (first.start, first.end)
    assert len({first.id, second.id, third.id}) == 3


def test_a_clip_that_waits_is_cut_at_the_corrected_bounds_at_once() -> None:
    tracker = ClipTracker()
    tracker.track(decision(1, peak=10.0))
    assert tracker.correct(UUID(int=1), around(10.0, 2.0))
    (only,) = take(tracker, media_end=12.0)
    assert (only.start, only.end) == (8.0, 12.0)


def test_a_correction_while_a_clip_is_rendered_waits_for_it_and_holds_its_media() -> None:
    tracker, first = rendering(decision(1, peak=10.0, before=4.0))
    assert tracker.correct(UUID(int=1), HighlightCorrection(start=2.0, end=12.0))
    assert take(tracker) == ()
    assert needed_from(tracker) == [2.0]
    tracker = ClipTracker(tracker.entries)
    tracker.record_outcome(outcome(first))
    (second,) = take(tracker)
    assert (second.start, second.end) == (2.0, 12.0)


def test_a_correction_that_is_taken_back_while_a_clip_is_rendered_changes_nothing() -> None:
    tracker, first = rendering(decision(1, peak=10.0))
    tracker.correct(UUID(int=1), around(10.0, 2.0))
    assert not tracker.correct(UUID(int=1), HighlightCorrection(start=first.start, end=first.end))
    tracker.record_outcome(outcome(first))
    assert take(tracker) == ()


def test_a_corrected_clip_that_fails_leaves_the_one_before_and_may_be_tried_again() -> None:
    tracker, first, second = corrected()
    tracker.record_outcome(outcome(second, ClipStatus.FAILED))
    assert [clip.id for clip in tracker.entries[0].ready] == [first.id]
    assert phases(tracker) == {UUID(int=1): ClipPhase.READY}
    assert tracker.correct(UUID(int=1), around(10.0, 2.0))
    assert [spec.id for spec in take(tracker)] == [second.id]


def test_the_same_bounds_or_an_unknown_highlight_are_nothing_to_correct() -> None:
    tracker, first = rendering(decision(1))
    tracker.record_outcome(outcome(first))
    assert not tracker.correct(UUID(int=1), HighlightCorrection(start=first.start, end=first.end))
    assert not tracker.correct(UUID(int=9), around(10.0, 2.0))


def test_all_clips_of_a_corrected_highlight_are_deleted_with_it() -> None:
    tracker, first, second = corrected()
    tracker.record_outcome(outcome(second))
    retracted = tracker.retract(UUID(int=1))
    assert retracted is not None
    assert [clip.id for clip in retracted[1]] == [first.id, second.id]


def test_a_highlight_retracted_during_a_new_rendering_loses_both_clips() -> None:
    tracker, first, second = corrected()
    retracted = tracker.retract(UUID(int=1))
    assert retracted is not None
    assert [clip.id for clip in retracted[1]] == [first.id]
    assert not tracker.correct(UUID(int=1), around(10.0, 3.0))
    assert not tracker.is_ready(UUID(int=1))
    doomed = tracker.record_outcome(outcome(second))
    assert doomed is not None
    assert doomed.id == second.id


def test_a_repeated_outcome_of_a_former_clip_is_ignored() -> None:
    tracker, first, second = corrected()
    tracker.record_outcome(outcome(first, ClipStatus.FAILED))
    assert tracker.rendering == (second.id,)


@st.composite
def events(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    kinds = st.sampled_from(["want", "retract", "correct", "take", "ready", "failed", "reload"])
    return draw(st.lists(st.tuples(kinds, st.integers(1, 4), st.integers(1, 3)), max_size=40))


@given(events())
@settings(max_examples=200)
def test_a_highlight_has_one_clip_in_the_making_and_each_file_is_deleted_at_most_once(
    happened: list[tuple[str, int, int]],
) -> None:
    tracker = ClipTracker()
    under_way: dict[int, ClipSpec] = {}
    on_disk: set[UUID] = set()
    for kind, number, length in happened:
        highlight = UUID(int=number)
        if kind == "want":
            tracker.track(decision(number, peak=10.0 * number))
        elif kind == "take":
            for spec in take(tracker):
                assert spec.highlight_id is not None
                assert spec.highlight_id.int not in under_way
                assert spec.id not in on_disk
                under_way[spec.highlight_id.int] = spec
        elif kind in {"ready", "failed"} and number in under_way:
            spec = under_way.pop(number)
            on_disk |= {spec.id} if kind == "ready" else set()
            doomed = tracker.record_outcome(outcome(spec, ClipStatus(kind)))
            on_disk -= {doomed.id} if doomed is not None else set()
        elif kind == "correct":
            tracker.correct(highlight, around(10.0 * number, length))
        elif kind == "retract":
            _, clips = tracker.retract(highlight) or (None, ())
            for clip in clips:
                on_disk.remove(clip.id)
        tracker = ClipTracker(tracker.entries) if kind == "reload" else tracker
    kept = [clip.id for entry in tracker.entries for clip in entry.ready]
    assert len(kept) == len(set(kept))
    assert {*kept} == on_disk
    assert {each.id for each in under_way.values()} == set(tracker.rendering)
