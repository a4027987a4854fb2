"""What holds of selection for any candidates, any profile and any order of arrival."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from uuid import UUID

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import HIDDEN, Decision, DecisionStatus, SelectionState
from domain.profiles.model import FillMethod, GameProfile
from tests.factories.selection import (
    PROFILES,
    VALUES,
    WATERMARKS,
    Stream,
    candidate,
    candidates,
    outcome,
    profile,
    run,
    score,
)

MANY = settings(max_examples=100, deadline=None)
NOT_YET = (DecisionStatus.HELD, DecisionStatus.PENDING)
FINAL = {DecisionStatus.CONFIRMED, DecisionStatus.RETRACTED, DecisionStatus.REJECTED}


def overrides(decision: Decision) -> bool:
    return any(reason.code == "override" for reason in decision.reasons)


@MANY
@given(rules=PROFILES, moments=candidates(), data=st.data())
def test_the_order_in_which_candidates_arrive_does_not_matter(
    rules: GameProfile, moments: list[HighlightCandidate], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(moments))
    assert outcome(run(rules, shuffled)) == outcome(run(rules, moments))


@MANY
@given(rules=PROFILES, moments=candidates(), marks=WATERMARKS, data=st.data())
def test_how_candidates_are_batched_does_not_matter(
    rules: GameProfile, moments: list[HighlightCandidate], marks: list[float], data: st.DataObject
) -> None:
    delays = data.draw(
        st.lists(
            st.sampled_from([0.0, 5.0, 60.0, 400.0]),
            min_size=len(moments),
            max_size=len(moments),
        )
    )
    piecemeal = run(rules, moments, marks, delays=delays)
    assert outcome(piecemeal) == outcome(run(rules, moments))


@MANY
@given(rules=PROFILES, moments=candidates(), marks=WATERMARKS)
def test_what_is_final_never_changes_and_all_becomes_final(
    rules: GameProfile, moments: list[HighlightCandidate], marks: list[float]
) -> None:
    stream = run(rules, moments, marks)
    lives: dict[UUID, list[Decision]] = {}
    for decision in stream.history:
        lives.setdefault(decision.highlight_id, []).append(decision)
    assert set(lives) == {moment.id for moment in moments}
    for life in lives.values():
        *before, last = [decision.status for decision in life]
        assert before == [status for status in NOT_YET if status in before]
        assert last in FINAL
        assert (last is DecisionStatus.RETRACTED) <= (DecisionStatus.PENDING in before)
        assert (last is DecisionStatus.REJECTED) <= (DecisionStatus.PENDING not in before)
        shown = {(item.clip_start, item.clip_end) for item in life if item.status not in HIDDEN}
        assert len(shown) <= 1
    assert stream.state.open == ()


@MANY
@given(rules=PROFILES, moments=candidates(), marks=WATERMARKS)
def test_confirmed_peaks_keep_their_distance_but_for_overrides(
    rules: GameProfile, moments: list[HighlightCandidate], marks: list[float]
) -> None:
    regular = [item for item in run(rules, moments, marks).confirmed() if not overrides(item)]
    for one, two in pairwise(regular):
        assert two.peak - one.peak >= rules.selection.min_spacing


@MANY
@given(rules=PROFILES, moments=candidates(), marks=WATERMARKS)
def test_no_window_holds_more_than_its_quota_but_for_overrides(
    rules: GameProfile, moments: list[HighlightCandidate], marks: list[float]
) -> None:
    limits = rules.selection
    chosen = run(rules, moments, marks).confirmed()
    regular = [item.peak for item in chosen if not overrides(item)]
    windows = Counter(int(peak // limits.window) for peak in regular)
    extra = Counter(int(item.peak // limits.window) for item in chosen if overrides(item))
    assert all(count <= limits.per_window for count in windows.values())
    assert all(count <= limits.exceptional_per_window for count in extra.values())


@MANY
@given(
    per_hour=st.integers(1, 6),
    moments=st.lists(st.tuples(st.integers(0, 100), VALUES), max_size=40),
    step=st.sampled_from([60.0, 1000.0]),
)
def test_no_hour_wherever_it_begins_holds_more_than_its_quota_but_for_overrides(
    per_hour: int, moments: list[tuple[int, float]], step: float
) -> None:
    crowd = [
        candidate(number, place * 100.0, value)
        for number, (place, value) in enumerate(moments, start=1)
    ]
    marks = [step * index for index in range(1, int(1e4 / step))]
    rules = profile(per_window=1, per_hour=per_hour)
    stream = run(rules, crowd, marks)
    assert outcome(stream) == outcome(run(rules, crowd))
    regular = [item.peak for item in stream.confirmed() if not overrides(item)]
    for start in regular:
        assert sum(start <= peak < start + 3600 for peak in regular) <= per_hour


@MANY
@given(rules=PROFILES, moments=candidates())
def test_no_two_confirmed_are_the_same_moment(
    rules: GameProfile, moments: list[HighlightCandidate]
) -> None:
    chosen = {item.highlight_id for item in run(rules, moments).confirmed()}
    kept = [moment for moment in moments if moment.id in chosen]
    for index, one in enumerate(kept):
        for two in kept[index + 1 :]:
            overlap = max(0.0, min(one.end, two.end) - max(one.start, two.start))
            union = max(one.end, two.end) - min(one.start, two.start)
            assert overlap / union < rules.similarity.time_overlap


@MANY
@given(
    rules=PROFILES.filter(lambda rules: rules.selection.diversity == 0),
    moments=candidates(),
    marks=WATERMARKS,
    raised=st.floats(0.0, 1.0),
)
def test_a_better_score_never_loses_a_place(
    rules: GameProfile, moments: list[HighlightCandidate], marks: list[float], raised: float
) -> None:
    for winner in run(rules, moments, marks).confirmed():
        better = winner.score + (1.0 - winner.score) * raised
        changed = [
            moment.model_copy(update={"score": score(better)})
            if moment.id == winner.highlight_id
            else moment
            for moment in moments
        ]
        again = {item.highlight_id for item in run(rules, changed, marks).confirmed()}
        assert winner.highlight_id in again


@MANY
@given(
    rules=PROFILES.filter(lambda rules: rules.selection.diversity > 0),
    moments=candidates(),
    raised=st.floats(0.0, 1.0),
)
def test_with_variety_a_better_score_never_loses_a_place_within_one_window(
    rules: GameProfile, moments: list[HighlightCandidate], raised: float
) -> None:
    moments = [moment for moment in moments if moment.peak < rules.selection.window]
    for winner in run(rules, moments).confirmed():
        better = winner.score + (1.0 - winner.score) * raised
        changed = [
            moment.model_copy(update={"score": score(better)})
            if moment.id == winner.highlight_id
            else moment
            for moment in moments
        ]
        again = {item.highlight_id for item in run(rules, changed).confirmed()}
        assert winner.highlight_id in again


@MANY
@given(rules=PROFILES, moments=candidates(), mark=st.floats(0, 1500))
def test_a_repeated_delivery_decides_nothing(
    rules: GameProfile, moments: list[HighlightCandidate], mark: float
) -> None:
    recent = [one for one in moments if one.peak >= mark - rules.selection.window]
    stream = Stream(rules)
    stream.call(*recent, watermark=mark)
    before = stream.state
    assert stream.call(*recent, watermark=mark) == {}
    assert stream.state == before


@MANY
@given(rules=PROFILES, moments=candidates(), mark=st.floats(0, 1500))
def test_the_state_survives_json(
    rules: GameProfile, moments: list[HighlightCandidate], mark: float
) -> None:
    stream = Stream(rules)
    stream.call(*moments, watermark=mark)
    assert SelectionState.model_validate_json(stream.state.model_dump_json()) == stream.state


@MANY
@given(rules=PROFILES, moments=candidates(), mark=st.floats(0, 1500))
def test_nothing_is_decided_before_the_announced_watermark_and_something_at_it(
    rules: GameProfile, moments: list[HighlightCandidate], mark: float
) -> None:
    stream = Stream(rules)
    stream.call(*moments, watermark=mark)
    turning = stream.state.next_decision_at
    assert (turning is None) == (not stream.state.open)
    assume(turning is not None)
    assert turning is not None
    state = stream.state
    assert stream.call(watermark=(mark + turning) / 2) == {} or (mark + turning) / 2 == turning
    stream.state = state
    assert stream.call(watermark=turning) != {}


@MANY
@given(moments=candidates(plain=True))
def test_every_decision_says_why(moments: list[HighlightCandidate]) -> None:
    for decision in run(profile(), moments).history:
        assert decision.reasons
        assert all(reason.words.endswith(".") for reason in decision.reasons)
        assert any(reason.code == "threshold" for reason in decision.reasons)


def shared(one: tuple[float, float], two: tuple[float, float]) -> float:
    """Seconds in both spans, as a share of the shorter."""
    common = min(one[1], two[1]) - max(one[0], two[0])
    return common / min(one[1] - one[0], two[1] - two[0])


SPANS = st.tuples(st.integers(0, 40).map(float), st.integers(1, 12), st.integers(1, 12))
CLOSE = st.builds(
    profile,
    per_window=st.integers(1, 8),
    min_spacing=st.sampled_from([0.0, 4.0, 15.0, 30.0]),
    window=st.sampled_from([30.0, 300.0]),
    fill=st.sampled_from(FillMethod),
)


@MANY
@given(
    rules=CLOSE,
    spans=st.lists(
        st.tuples(SPANS, st.sampled_from([0.4, 0.6, 0.75, 0.85, 0.96, 0.98]), st.integers(0, 11)),
        max_size=12,
    ),
    marks=st.lists(st.floats(0, 90), max_size=8),
    repeats=st.lists(
        st.tuples(st.integers(1, 12), SPANS, st.sampled_from([0.8, 0.97])), max_size=4
    ),
)
def test_no_two_that_are_shown_share_most_of_their_seconds_at_any_time(
    rules: GameProfile,
    spans: list[tuple[tuple[float, int, int], float, int]],
    marks: list[float],
    repeats: list[tuple[int, tuple[float, int, int], float]],
) -> None:
    """Whatever the order, late or improved candidates included."""

    def moment(number: int, span: tuple[float, int, int], value: float) -> HighlightCandidate:
        peak, before, after = span
        bounds = {"start": max(0.0, peak - before), "peak": peak, "end": peak + after}
        return candidate(number, peak, value).model_copy(update=bounds)

    deliveries: dict[int, list[HighlightCandidate]] = {}
    for number, (span, value, call) in enumerate(spans, start=1):
        deliveries.setdefault(call, []).append(moment(number, span, value))
    for number, (_, before, after), value in repeats:
        if number <= len(spans):
            peak = spans[number - 1][0][0]
            deliveries.setdefault(11, []).append(moment(number, (peak, before, after), value))
    stream = Stream(rules)
    for call, mark in enumerate([*sorted(marks), *[1e5] * (12 - len(marks))]):
        stream.call(*deliveries.get(call, []), watermark=mark, ended=call == len(marks) + 4)
        shown = [
            (decision.clip_start, decision.clip_end)
            for decision in stream.decisions.values()
            if decision.status in {DecisionStatus.PENDING, DecisionStatus.CONFIRMED}
        ]
        for index, one in enumerate(shown):
            assert all(shared(one, two) <= 0.5 + 1e-6 for two in shown[index + 1 :])
