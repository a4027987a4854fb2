"""Selection, case by case: what a viewer sees, when, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.highlights.candidate import HighlightCandidate, Mark
from domain.highlights.selection import (
    Decision,
    DecisionStatus,
    HighlightSelector,
    SelectionState,
    Tier,
    needs_selection,
)
from domain.media.segments import Gap, GapReason
from domain.profiles.model import DiversityMethod, FillMethod
from tests.factories.selection import Stream, candidate, profile, run, score

PENDING = DecisionStatus.PENDING
CONFIRMED = DecisionStatus.CONFIRMED
RETRACTED = DecisionStatus.RETRACTED
REJECTED = DecisionStatus.REJECTED
HELD = DecisionStatus.HELD


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def decision_on(stream: Stream, number: int) -> Decision:
    return stream.decisions[UUID(int=number)]


def test_a_good_candidate_is_pending_as_soon_as_it_arrives() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 10.0, 0.8), watermark=12.0)
    assert stream.status(1) is PENDING
    assert codes(decision_on(stream, 1)) == ["score", "threshold", "pending"]
    assert decision_on(stream, 1).tier is Tier.STANDARD


def test_a_candidate_below_the_threshold_is_never_shown() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 10.0, 0.69), watermark=12.0)
    assert stream.status(1) is REJECTED
    assert decision_on(stream, 1).tier is Tier.BELOW
    assert decision_on(stream, 1).reasons[0].words == (
        "Its score is below the standard threshold of 0.70."
    )


def test_an_ordinary_candidate_is_confirmed_when_its_window_has_closed() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 290.0, 0.8), watermark=295.0)
    stream.call(watermark=329.9)
    assert stream.status(1) is PENDING
    stream.call(watermark=330.0)
    assert stream.status(1) is CONFIRMED
    assert codes(decision_on(stream, 1))[-1] == "window_closed"


def test_it_is_confirmed_earlier_once_nothing_to_come_could_take_its_place() -> None:
    stream = Stream(profile(per_window=5))
    stream.call(candidate(1, 10.0, 0.8), watermark=12.0)
    assert stream.state.next_decision_at == 180.0
    stream.call(watermark=179.0)
    assert stream.status(1) is PENDING
    stream.call(watermark=180.0)
    assert stream.status(1) is CONFIRMED
    assert codes(decision_on(stream, 1))[-1] == "safe_early"


def test_an_exceptional_candidate_is_confirmed_as_soon_as_the_watermark_passes_its_peak() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 10.0, 0.97), watermark=10.0)
    assert stream.status(1) is PENDING
    stream.call(watermark=10.1)
    assert stream.status(1) is CONFIRMED
    assert decision_on(stream, 1).tier is Tier.EXCEPTIONAL


def test_a_better_neighbour_displaces_a_pending_one_for_good() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 10.0, 0.8), watermark=12.0)
    stream.call(candidate(2, 25.0, 0.9), watermark=30.0)
    assert (stream.status(1), stream.status(2)) == (PENDING, PENDING)
    stream.call(watermark=330.0)
    assert (stream.status(1), stream.status(2)) == (RETRACTED, CONFIRMED)
    reason = decision_on(stream, 1).reasons[-1]
    assert reason.code == "spacing"
    assert (reason.value, reason.limit, reason.other) == (15.0, 30.0, UUID(int=2))


def test_a_weaker_neighbour_is_held_back_and_never_shown() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 10.0, 0.9), watermark=12.0)
    stream.call(candidate(2, 25.0, 0.8), watermark=30.0)
    assert stream.status(2) is HELD
    assert codes(decision_on(stream, 2))[-1] == "spacing"
    stream.call(watermark=330.0)
    assert stream.status(2) is REJECTED


def test_one_that_only_a_displaced_one_stood_against_gets_its_place() -> None:
    chain = [candidate(1, 10.0, 0.75), candidate(2, 30.0, 0.8), candidate(3, 50.0, 0.9)]
    assert [item.peak for item in run(profile(), chain).confirmed()] == [10.0, 50.0]


def test_just_before_a_windows_end_a_better_moment_just_after_it_prevails() -> None:
    stream = run(profile(), [candidate(1, 295.0, 0.75), candidate(2, 305.0, 0.9)])
    assert (stream.status(1), stream.status(2)) == (REJECTED, CONFIRMED)
    assert codes(decision_on(stream, 1))[-1] == "next_window"
    assert "10.0 s later" in decision_on(stream, 1).reasons[-1].words


def test_a_full_window_keeps_its_best() -> None:
    crowd = [candidate(number, number * 40.0, 0.7 + number / 100) for number in range(1, 7)]
    stream = run(profile(per_window=2), crowd)
    assert [item.peak for item in stream.confirmed()] == [200.0, 240.0]
    assert codes(decision_on(stream, 1))[-1] == "window_quota"
    assert decision_on(stream, 1).reasons[-1].limit == 2


def test_a_full_hour_refuses_until_it_has_passed() -> None:
    one_a_window = [candidate(number, number * 300.0 + 100.0, 0.8) for number in range(1, 16)]
    stream = run(profile(per_window=1, per_hour=3), one_a_window)
    assert [item.peak for item in stream.confirmed()] == [400.0, 700.0, 1000.0, 4300.0, 4600.0]
    assert codes(decision_on(stream, 4))[-1] == "hour_quota"


def test_an_exceptional_moment_overrides_spacing_and_says_so() -> None:
    stream = run(profile(), [candidate(1, 100.0, 0.96), candidate(2, 110.0, 0.97)])
    assert (stream.status(1), stream.status(2)) == (CONFIRMED, CONFIRMED)
    assert codes(decision_on(stream, 2))[-1] == "override"
    assert "10.0 s from the highlight at 1:40" in decision_on(stream, 2).reasons[-1].words


def test_overrides_have_a_limit() -> None:
    rapid = [candidate(number, 100.0 + number * 10, 0.97) for number in range(1, 5)]
    stream = run(profile(exceptional_per_window=2), rapid)
    assert [stream.status(number) for number in range(1, 5)] == [
        CONFIRMED,
        CONFIRMED,
        CONFIRMED,
        REJECTED,
    ]
    assert codes(decision_on(stream, 4))[-1] == "override_limit"


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (300.0, "its window already has its 1 highlights"),
        (100.0, "the hour already has its 1 highlights"),
    ],
)
def test_an_exceptional_moment_overrides_quotas_but_never_sameness(
    window: float, said: str
) -> None:
    stream = run(
        profile(per_window=1, per_hour=1, window=window),
        [candidate(1, 50.0, 0.96), candidate(2, 150.0, 0.97), candidate(3, 151.0, 0.99)],
    )
    assert stream.status(2) is CONFIRMED
    assert said in decision_on(stream, 2).reasons[-1].words
    assert codes(decision_on(stream, 3))[-1] == "similar"


def test_an_override_displaces_no_other_highlight() -> None:
    moments = [candidate(1, 100.0, 0.96), candidate(2, 110.0, 0.97), candidate(3, 200.0, 0.8)]
    assert len(run(profile(per_window=2), moments).confirmed()) == 3


def test_a_replay_of_the_same_moment_is_not_shown_twice() -> None:
    text = "Long range goal by the number nine"
    live = candidate(1, 100.0, 0.9, title=text, tags=("goal",))
    replay = candidate(2, 145.0, 0.85, title=f"{text}!", tags=("goal",))
    later = candidate(3, 250.0, 0.85, title=text, tags=("goal",))
    stream = run(profile(), [live, replay, later])
    assert [stream.status(number) for number in (1, 2, 3)] == [CONFIRMED, REJECTED, CONFIRMED]
    assert "The same moment as “Long range goal" in decision_on(stream, 2).reasons[-1].words


def test_a_late_candidate_takes_a_free_place_in_a_closed_window() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=400.0)
    stream.call(candidate(2, 200.0, 0.75), watermark=410.0)
    assert stream.status(2) is CONFIRMED
    assert codes(decision_on(stream, 2)) == ["score", "threshold", "late", "late_place_free"]


def test_a_late_candidate_never_displaces_what_is_confirmed() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=400.0)
    stream.call(candidate(2, 110.0, 0.94), watermark=410.0)
    assert (stream.status(1), stream.status(2)) == (CONFIRMED, REJECTED)
    assert codes(decision_on(stream, 2)) == ["threshold", "late", "spacing"]


def test_a_late_candidate_respects_the_quota_of_its_window() -> None:
    stream = Stream(profile(per_window=1))
    stream.call(candidate(1, 100.0, 0.8), watermark=400.0)
    stream.call(candidate(2, 200.0, 0.94), watermark=410.0)
    assert codes(decision_on(stream, 2))[-1] == "window_quota"


def test_a_late_candidate_of_an_open_window_competes_as_if_it_had_been_in_time() -> None:
    stream = Stream(profile(per_window=1))
    stream.call(candidate(1, 100.0, 0.8), watermark=150.0)
    stream.call(candidate(2, 60.0, 0.9), watermark=150.0)
    stream.call(watermark=330.0)
    assert (stream.status(1), stream.status(2)) == (RETRACTED, CONFIRMED)


def test_a_late_exceptional_moment_is_decided_at_once() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=400.0)
    stream.call(candidate(2, 110.0, 0.97), watermark=400.0)
    assert codes(decision_on(stream, 2))[-1] == "override"


def test_hours_later_spacing_is_still_kept_and_beyond_that_nothing_is_taken() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=3000.0)
    stream.call(candidate(2, 110.0, 0.8), watermark=3000.0)
    assert codes(decision_on(stream, 2))[-1] == "spacing"
    assert "an earlier highlight" in decision_on(stream, 2).reasons[-1].words
    stream.call(watermark=9000.0)
    stream.call(candidate(3, 200.0, 0.8), watermark=9000.0)
    assert codes(decision_on(stream, 3))[-1] == "too_late"


def test_after_the_end_a_candidate_is_judged_at_once() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=130.0, ended=True)
    assert stream.status(1) is CONFIRMED
    stream.call(candidate(2, 20.0, 0.8), candidate(3, 105.0, 0.9), watermark=130.0, ended=True)
    assert (stream.status(2), stream.status(3)) == (CONFIRMED, REJECTED)


def test_windows_run_on_across_a_gap() -> None:
    gap = Gap(
        start=150.0,
        duration=900.0,
        first_sequence=1,
        last_sequence=450,
        reason=GapReason.ROLLED_OFF,
    )
    selector = HighlightSelector(profile(per_window=1))
    moments = [candidate(1, 149.0, 0.8), candidate(2, 600.0, 0.9), candidate(3, 1051.0, 0.8)]
    result = selector.select(SelectionState(), moments, watermark=2000.0, gaps=(gap,))
    first, lost, last = result.decisions
    assert (first.status, lost.status, last.status) == (CONFIRMED, REJECTED, CONFIRMED)
    assert lost.reasons[-1].words == (
        "Peaks where the stream has no media: 2:30 to 17:30 was lost (rolled off)."
    )
    assert first.clip_end == 150.0
    assert last.clip_start == 1050.0


def test_a_clip_does_not_reach_beyond_the_end_of_the_stream() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=101.0, ended=True)
    assert decision_on(stream, 1).clip_end == 101.0


def test_a_watermark_never_goes_back() -> None:
    stream = Stream(profile())
    stream.call(watermark=500.0)
    stream.call(watermark=100.0)
    assert stream.state.watermark == 500.0


def test_of_two_versions_of_one_candidate_the_better_counts_and_a_shown_clip_stays() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 10.0, 0.8), watermark=12.0)
    shown = decision_on(stream, 1)
    stream.call(candidate(1, 10.0, 0.9, length=9.0), candidate(1, 10.0, 0.85), watermark=12.0)
    stream.call(watermark=400.0)
    assert decision_on(stream, 1).score == 0.9
    assert (decision_on(stream, 1).clip_start, decision_on(stream, 1).clip_end) == (
        shown.clip_start,
        shown.clip_end,
    )


def test_the_state_of_a_day_is_no_larger_than_that_of_an_hour() -> None:
    stream = Stream(profile())
    sizes = []
    for number in range(1, 24 * 60):
        stream.call(candidate(number, number * 60.0, 0.8), watermark=number * 60.0 + 1)
        sizes.append(len(stream.state.model_dump_json()))
    assert max(sizes) < 32_768
    assert sizes[-1] <= max(sizes[: 3 * 60]) * 1.1


def test_a_call_that_could_change_nothing_may_be_skipped() -> None:
    stream = Stream(profile())
    assert not needs_selection(stream.state, watermark=50.0)
    assert needs_selection(stream.state, watermark=50.0, candidates=[candidate(1, 10.0, 0.8)])
    stream.call(candidate(1, 10.0, 0.8), watermark=12.0)
    assert not needs_selection(stream.state, watermark=179.0)
    assert needs_selection(stream.state, watermark=180.0)
    assert needs_selection(stream.state, watermark=12.0, ended=True)
    stream.call(watermark=12.0, ended=True)
    assert not needs_selection(stream.state, watermark=12.0, ended=True)


@pytest.mark.parametrize("method", DiversityMethod)
def test_variety_prefers_another_kind_of_moment_to_a_little_more_score(
    method: DiversityMethod,
) -> None:
    moments = [
        candidate(1, 40.0, 0.90, title="goal", tags=("goal",)),
        candidate(2, 120.0, 0.89, title="goal", tags=("goal",)),
        candidate(3, 240.0, 0.85, title="save", tags=("save",)),
    ]
    by_score = run(profile(per_window=2), moments)
    varied = run(profile(per_window=2, diversity=0.3, diversity_method=method), moments)
    assert [item.peak for item in by_score.confirmed()] == [40.0, 120.0]
    assert [item.peak for item in varied.confirmed()] == [40.0, 240.0]
    assert codes(decision_on(varied, 2))[-1] == "variety"


def test_wall_clocks_play_no_part() -> None:
    dated = candidate(1, 10.0, 0.8).model_copy(
        update={"peak_wall_clock": datetime(2026, 5, 1, tzinfo=UTC)}
    )
    assert (
        run(profile(), [dated]).confirmed() == run(profile(), [candidate(1, 10.0, 0.8)]).confirmed()
    )


def test_what_is_confirmed_is_not_judged_again_however_late_it_is_repeated() -> None:
    stream = Stream(profile())
    stream.call(candidate(1, 100.0, 0.8), watermark=5000.0)
    assert stream.status(1) is CONFIRMED
    assert stream.call(candidate(1, 100.0, 0.9), watermark=5000.0) == {}


@pytest.mark.parametrize(
    ("peak", "per_window", "per_hour", "certain_from"),
    [
        (10.0, 5, 40, 180.0),  # four more could come into its window: 4 x 30 s before 300 s
        (10.0, 5, 5, 210.0),  # the hour's last place may go to one in the 30 s after the window
        (10.0, 12, 40, 100.0),  # a replay may come within 90 s, and be the better of the two
        (170.0, 12, 40, 260.0),
        (240.0, 12, 40, 330.0),  # by then its window has closed anyhow
    ],
)
def test_certainty_comes_when_quota_spacing_and_likeness_can_no_longer_speak(
    peak: float, per_window: int, per_hour: int, certain_from: float
) -> None:
    stream = Stream(profile(per_window=per_window, per_hour=per_hour))
    stream.call(candidate(1, peak, 0.8), watermark=peak + 2)
    assert stream.state.next_decision_at == certain_from
    stream.call(watermark=certain_from - 0.01)
    assert stream.status(1) is PENDING
    stream.call(watermark=certain_from)
    assert stream.status(1) is CONFIRMED


def test_one_shown_already_is_announced_again_when_it_comes_better_founded() -> None:
    stream = Stream(profile())
    plain = candidate(1, 60.0, 0.75)
    stream.call(plain, watermark=70.0)
    mark = Mark(label="goal", importance=0.9)
    marked = plain.model_copy(update={"score": score(0.85), "mark": mark})
    again = stream.call(marked, watermark=74.0)[plain.id]
    assert again.status is PENDING
    assert again.score > 0.8
    assert "The tenant marked it as goal, of importance 0.90." in [
        reason.words for reason in again.reasons
    ]
    before, after = stream.history
    assert (before.clip_start, before.clip_end) == (after.clip_start, after.clip_end)


def spanning(
    number: int, start: float, end: float, value: float, *, peak: float | None = None
) -> HighlightCandidate:
    at = (start + end) / 2 if peak is None else peak
    bounds = {"start": start, "end": end}
    return candidate(number, at, value).model_copy(update=bounds)


@pytest.mark.parametrize("first", [1, 2])
def test_of_two_exceptional_ones_that_share_most_of_their_seconds_one_is_shown(first: int) -> None:
    both = {1: spanning(1, 260.5, 270.7, 0.96), 2: spanning(2, 264.9, 274.4, 0.96)}
    stream = Stream(profile())
    stream.call(both.pop(first), watermark=280.0)
    (other,) = both.values()
    answer = stream.call(other, watermark=290.0)
    assert stream.status(first) is DecisionStatus.CONFIRMED
    assert answer[other.id].status is DecisionStatus.REJECTED
    (reason,) = [each for each in answer[other.id].reasons if each.code == "similar"]
    assert reason.other == UUID(int=first)
    assert "of the shorter one's seconds" in reason.words


def test_a_better_moment_of_the_same_seconds_replaces_a_pending_one_without_both_being_shown() -> (
    None
):
    stream = Stream(profile())
    stream.call(spanning(1, 100.0, 110.0, 0.75), watermark=111.0)
    assert stream.status(1) is DecisionStatus.PENDING
    stream.call(spanning(2, 103.0, 113.0, 0.85), watermark=114.0)
    assert (stream.status(1), stream.status(2)) == (DecisionStatus.PENDING, DecisionStatus.HELD)
    stream.call(watermark=400.0)
    assert (stream.status(1), stream.status(2)) == (
        DecisionStatus.RETRACTED,
        DecisionStatus.CONFIRMED,
    )


def test_an_exceptional_moment_of_the_same_seconds_replaces_a_pending_one_at_once() -> None:
    stream = Stream(profile())
    stream.call(spanning(1, 300.0, 310.0, 0.75), watermark=311.0)
    stream.call(spanning(2, 303.0, 313.0, 0.97), watermark=314.0)
    assert (stream.status(1), stream.status(2)) == (
        DecisionStatus.RETRACTED,
        DecisionStatus.CONFIRMED,
    )


def test_a_moment_that_comes_an_hour_late_is_not_shown_beside_one_of_the_same_seconds() -> None:
    stream = Stream(profile())
    stream.call(spanning(1, 100.0, 110.0, 0.97), watermark=120.0)
    stream.call(watermark=2500.0)
    stream.call(spanning(2, 102.0, 111.0, 0.98), watermark=2600.0)
    assert stream.status(2) is DecisionStatus.REJECTED


def test_a_window_without_good_moments_shows_its_best_weak_ones_if_the_profile_asks() -> None:
    stream = Stream(profile(fill=FillMethod.BEST_OF, fill_to=2))
    weak = [candidate(1, 50.0, 0.4), candidate(2, 120.0, 0.6), candidate(3, 200.0, 0.5)]
    stream.call(*weak, watermark=210.0)
    assert {stream.status(number) for number in (1, 2, 3)} == {HELD}
    stream.call(watermark=330.0)
    assert [stream.status(number) for number in (1, 2, 3)] == [REJECTED, CONFIRMED, CONFIRMED]
    assert decision_on(stream, 2).tier is Tier.BELOW
    assert codes(decision_on(stream, 2))[-1] == "best_of"
    assert codes(decision_on(stream, 1))[-1] == "filled"


def test_weak_moments_take_no_place_from_good_ones() -> None:
    stream = Stream(profile(per_window=3, fill=FillMethod.BEST_OF, fill_to=3))
    good = [candidate(1, 40.0, 0.8), candidate(2, 100.0, 0.8), candidate(3, 160.0, 0.8)]
    stream.call(*good, candidate(4, 220.0, 0.69), watermark=400.0)
    assert [stream.status(number) for number in (1, 2, 3, 4)] == [CONFIRMED] * 3 + [REJECTED]


def test_a_weak_moment_that_becomes_a_good_one_is_shown_at_once() -> None:
    stream = Stream(profile(fill=FillMethod.BEST_OF))
    stream.call(candidate(1, 50.0, 0.5), watermark=60.0)
    assert stream.status(1) is HELD
    stream.call(candidate(1, 50.0, 0.8), watermark=65.0)
    assert stream.status(1) is PENDING


def test_a_late_weak_moment_only_fills_its_closed_window() -> None:
    stream = Stream(profile(fill=FillMethod.BEST_OF, fill_to=1))
    stream.call(candidate(1, 50.0, 0.8), watermark=400.0)
    stream.call(candidate(2, 200.0, 0.6), candidate(3, 370.0, 0.6), watermark=410.0)
    assert stream.status(2) is REJECTED
    assert stream.status(3) is HELD
