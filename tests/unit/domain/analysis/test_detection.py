"""What the detector takes for a moment, and what it does not."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analysis.detector import DetectorState, advance
from domain.analysis.signals import SignalFrame
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import FeedMark, TimedMetadata
from domain.profiles.model import GameProfile
from tests.factories.signals import (
    STREAM,
    TENANT,
    blind,
    cut,
    found,
    livelier,
    louder,
    moment,
    pictured,
    play,
    silent,
)

WEIGHTS = GameProfile(id="default", version="1", name="Default").weights
STANDARD = 0.70


def combined(candidate: HighlightCandidate) -> float:
    return candidate.score.calculate_combined_score(WEIGHTS)


def good(candidates: tuple[HighlightCandidate, ...]) -> list[HighlightCandidate]:
    return [each for each in candidates if combined(each) >= STANDARD]


def test_an_obvious_moment_is_found_with_its_bounds() -> None:
    (candidate,) = good(found(moment(play(90), 50)))
    assert candidate.peak == pytest.approx(50.5, abs=1.0)
    assert 43.0 <= candidate.start <= 48.5
    assert 53.5 <= candidate.end <= 59.0
    assert "loud_crowd" in candidate.tags
    assert candidate.evidence[0].words


def test_a_moment_is_settled_within_seven_seconds_of_its_peak() -> None:
    (candidate,) = good(found(moment(play(90), 50)))
    assert candidate.settled_at - candidate.peak <= 7.0


@pytest.mark.parametrize("seconds", [1, 30, 300])
def test_calm_play_has_no_moments(seconds: float) -> None:
    assert found(play(seconds)) == ()


def test_nothing_has_no_moments() -> None:
    assert found([]) == ()


def test_constant_loud_noise_has_no_moments() -> None:
    assert found(louder(play(120), 0, 120, roar=25)) == ()


def test_a_volume_step_is_no_moment() -> None:
    assert good(found(louder(play(120), 60, 120, roar=6, voice=6))) == []


def test_a_moment_after_a_volume_step_is_found() -> None:
    frames = louder(moment(play(160), 120), 60, 160, roar=6, voice=6)
    assert [round(each.peak) for each in good(found(frames))] == pytest.approx([120], abs=1)


def test_a_music_sting_is_no_moment() -> None:
    frames = louder(play(120), 60, 64, roar=9, voice=20, tonality=0.85)
    assert good(found(frames)) == []


def test_a_long_loud_passage_is_no_moment() -> None:
    assert good(found(louder(play(180), 60, 90, roar=9))) == []


def test_a_moment_soon_after_a_long_loud_passage_is_found() -> None:
    frames = louder(moment(play(160), 95), 60, 88, roar=14)
    assert [round(each.peak) for each in good(found(frames))] == pytest.approx([95], abs=1)


def test_a_fast_pan_without_a_reaction_is_no_moment() -> None:
    assert good(found(livelier(play(120), 60, 66, motion=2.0))) == []


def test_dense_cuts_without_a_reaction_are_no_moment() -> None:
    assert good(found(cut(play(120), *range(60, 75)))) == []


def test_a_stream_without_sound_can_have_moments_of_which_one_is_less_sure() -> None:
    frames = cut(livelier(play(120), 58, 64, motion=2.5), 61.0, 62.5, 64.0)
    (seen,) = good(found(silent(frames)))
    (whole,) = good(found(moment(play(120), 60)))
    assert 57.0 <= seen.peak <= 65.0
    assert seen.score.confidence < whole.score.confidence


def test_a_stream_without_pictures_can_have_moments_of_which_one_is_less_sure() -> None:
    (heard,) = good(found(blind(moment(play(120), 60))))
    (whole,) = good(found(moment(play(120), 60)))
    assert heard.peak == pytest.approx(60.5, abs=1.0)
    assert heard.score.confidence < whole.score.confidence


def test_a_silent_sound_track_counts_as_none() -> None:
    frames = cut(livelier(play(120), 58, 64, motion=2.5), 61.0, 62.5, 64.0)
    muted = louder(frames, 0, 120, roar=-60, voice=0)
    assert found(muted) == found(silent(frames))


def test_a_burst_out_of_silence_is_found() -> None:
    frames = moment(play(120), 60)
    quiet = louder(louder(frames, 0, 59.9, roar=-60), 68, 120, roar=-60)
    assert [each.peak for each in good(found(quiet))] == pytest.approx([60.5], abs=1.0)


def test_a_gap_before_a_moment_does_not_hide_it() -> None:
    frames = [frame for frame in moment(play(120), 60) if not 40 <= frame.start < 52]
    assert [each.peak for each in good(found(frames))] == pytest.approx([60.5], abs=1.0)


def test_a_gap_in_a_moment_settles_it_with_what_was_seen() -> None:
    frames = [frame for frame in moment(play(120), 60) if not 63 <= frame.start < 80]
    (candidate,) = found(frames)
    assert candidate.peak == pytest.approx(60.5, abs=1.0)
    assert candidate.settled_at == 63.0


def test_the_end_of_the_stream_settles_an_open_moment() -> None:
    frames = [frame for frame in moment(play(90), 60) if frame.start < 62.5]
    assert found(frames, last=False) == ()
    (candidate,) = found(frames, last=True)
    assert candidate.settled_at == 62.5


def test_a_repeated_segment_changes_nothing() -> None:
    frames = moment(play(90), 50)
    again = [*frames[:160], *frames[152:160], *frames[160:]]
    assert found(again) == found(frames)


def test_a_mark_makes_a_moment_of_calm_play() -> None:
    mark = TimedMetadata(id="1", at=40.0, payload='{"event": "Match Point"}')
    (candidate,) = good(found(play(90), mark))
    assert candidate.peak == pytest.approx(40.0, abs=0.5)
    assert "match_point" in candidate.tags
    assert candidate.settled_at <= 46.0


def test_a_mark_in_a_moment_strengthens_it_and_makes_no_second_one() -> None:
    mark = TimedMetadata(id="1", at=52.0, payload="goal")
    (plain,) = found(moment(play(90), 50))
    (marked,) = found(moment(play(90), 50), mark)
    assert marked.id == plain.id
    assert "goal" in marked.tags
    assert combined(marked) > combined(plain)


def test_a_late_marker_is_applied_to_the_published_moment() -> None:
    payload = '{"highlight": {"label": "goal", "importance": 0.9, "offset": -7}}'
    late = TimedMetadata(id="1", at=59.0, payload=payload)
    frames = moment(play(90), 50)
    state, (first,) = advance(DetectorState(), frames[:240], tenant_id=TENANT, stream_id=STREAM)
    _, (again,) = advance(state, frames[240:], [late], tenant_id=TENANT, stream_id=STREAM)
    assert again.id == first.id
    assert first.mark is None
    assert again.mark is not None
    assert again.mark.label == "goal"
    assert combined(again) > combined(first)


def test_a_mark_of_little_importance_makes_no_highlight_of_calm_play() -> None:
    payload = '{"highlight": {"label": "corner", "importance": 0.2}}'
    candidates = found(play(90), TimedMetadata(id="1", at=40.0, payload=payload))
    assert [each.mark.label for each in candidates if each.mark] == ["corner"]
    assert good(candidates) == []


def test_a_mark_in_a_gap_makes_no_moment_beside_it() -> None:
    frames = [frame for frame in play(90) if not 40 <= frame.start < 60]
    mark = TimedMetadata(id="1", at=50.0, payload="goal")
    assert found(frames, mark) == ()


def test_a_mark_is_found_where_its_offset_says() -> None:
    payload = '{"highlight": {"label": "ace", "offset": -20}}'
    (candidate,) = good(found(play(90), TimedMetadata(id="1", at=60.0, payload=payload)))
    assert candidate.peak == pytest.approx(40.0, abs=0.5)


def fed(at: float, *, hint: bool, number: int = 1) -> TimedMetadata:
    """An event of the feed as a marker."""
    feed = FeedMark(event=UUID(int=number), hint=hint, words="next goal: 2.40 → 1.25")
    return TimedMetadata(id=f"feed/{number}", at=at, payload="goal", feed=feed)


def test_a_hint_strengthens_a_moment_and_makes_none() -> None:
    (plain,) = found(moment(play(90), 50))
    (hinted,) = found(moment(play(90), 50), fed(52.0, hint=True))
    assert combined(hinted) > combined(plain)
    assert any("2.40 → 1.25" in each.words for each in hinted.evidence)
    assert found(play(90), fed(40.0, hint=True)) == ()


def test_an_official_event_replaces_a_hint_of_the_same_moment() -> None:
    frames = moment(play(90), 50)
    state, (first,) = advance(
        DetectorState(), frames[:240], [fed(51.0, hint=True)], tenant_id=TENANT, stream_id=STREAM
    )
    event = fed(52.0, hint=False, number=2)
    _, (again,) = advance(state, frames[240:], [event], tenant_id=TENANT, stream_id=STREAM)
    assert again.id == first.id
    assert again.mark is not None
    assert again.mark.feed == event.feed


def test_an_event_that_is_read_with_each_window_counts_once() -> None:
    frames, event = play(90), fed(40.0, hint=False)
    state = DetectorState()
    candidates: list[HighlightCandidate] = []
    for first in range(0, len(frames), 24):
        state, settled = advance(
            state, frames[first : first + 24], [event], tenant_id=TENANT, stream_id=STREAM
        )
        candidates += settled
    assert [each.mark.feed for each in candidates if each.mark] == [event.feed]


def test_an_advert_marker_makes_no_moment() -> None:
    assert found(play(90), TimedMetadata(id="1", at=40.0, payload='{"type": "ad_break"}')) == ()


def test_a_candidate_has_the_hash_of_the_keyframe_nearest_to_its_peak() -> None:
    hashes = {58.0: "a" * 16, 60.0: "b" * 16, 62.0: "c" * 16}
    (bare,) = good(found(moment(play(120), 60.0)))
    (seen,) = good(found(pictured(moment(play(120), 60.0), hashes)))
    nearest = min(hashes, key=lambda at: abs(at - seen.peak))
    assert (bare.thumbnail_hash, seen.thumbnail_hash) == (None, hashes[nearest])
    assert seen.model_copy(update={"thumbnail_hash": None}) == bare


def test_a_keyframe_far_from_the_peak_is_none_of_its() -> None:
    (seen,) = good(found(pictured(moment(play(120), 60.0), {54.0: "a" * 16, 66.0: "b" * 16})))
    assert seen.thumbnail_hash is None


def test_no_later_candidate_peaks_before_the_watermark() -> None:
    state, frames = DetectorState(), moment(moment(play(160), 50), 110)
    for first in range(0, len(frames), 24):
        before = state.watermark
        state, candidates = advance(
            state, frames[first : first + 24], tenant_id=TENANT, stream_id=STREAM
        )
        assert all(each.peak >= before for each in candidates)
        assert state.watermark >= before
    assert state.watermark >= 158.0


def split(frames: list[SignalFrame], at: list[int]) -> list[list[SignalFrame]]:
    bounds = [0, *sorted(at), len(frames)]
    return [frames[a:b] for a, b in pairwise(bounds)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 360), max_size=8))
def test_how_frames_are_split_into_windows_makes_no_difference(at: list[int]) -> None:
    frames = louder(moment(play(90), 40), 70, 72, roar=9)
    mark = TimedMetadata(id="1", at=60.0, payload="card")
    state = DetectorState()
    candidates: list[HighlightCandidate] = []
    for part in split(frames, at):
        marks = [mark] if part and part[0].start <= mark.at < part[-1].start + 0.25 else []
        state, settled = advance(state, part, marks, tenant_id=TENANT, stream_id=STREAM)
        state = DetectorState.model_validate_json(state.model_dump_json(exclude_defaults=True))
        candidates += settled
    _, settled = advance(state, (), tenant_id=TENANT, stream_id=STREAM, last=True)
    assert (*candidates, *settled) == found(frames, mark)


def test_the_state_does_not_grow_with_the_stream() -> None:
    state, sizes = DetectorState(), []
    for minute in range(8):
        state, _ = advance(state, play(60, start=60.0 * minute), tenant_id=TENANT, stream_id=STREAM)
        sizes.append(len(state.model_dump_json(exclude_defaults=True)))
    assert sizes[-1] < sizes[4] * 1.02
    assert sizes[-1] < 64_000
