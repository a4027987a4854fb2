"""The fitted fusion: what it looks at, which seconds are peaks, and how they become candidates."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from domain.analysis.detector import DetectorState, advance
from domain.analysis.fusion import (
    APART,
    CHANNELS,
    FULL_EXCITEMENT,
    PEAK_KNOWN_AFTER,
    FusionWeights,
    SecondRises,
    load_fusion,
    peak_among,
)
from domain.analysis.screen import ScreenReading
from domain.analysis.signals import SignalFrame
from domain.highlights.candidate import HighlightCandidate
from domain.profiles.model import Hud, HudKind
from tests.factories.signals import (
    STREAM,
    TENANT,
    cut,
    found,
    livelier,
    louder,
    moment,
    play,
    silent,
    without_crowd,
)

FLAT = dict.fromkeys(CHANNELS, 0.0)
LOUD_AT = FusionWeights(bias=-1.0, floor=0.0, excitement=1.0, weights={**FLAT, "loudness": 2.0})


def seconds(last: int, loud: dict[int, float]) -> list[SecondRises]:
    rest = (0.0,) * (len(CHANNELS) - 1)
    return [SecondRises(at=at, rises=(loud.get(at, 0.0), *rest)) for at in range(last + 1)]


def weak_burst() -> list[SignalFrame]:
    """Return play with a burst that is too small for the hand-set weights."""
    return livelier(louder(play(120), 56, 63, roar=4, voice=4), 56, 63, motion=0.3)


def proposed(frames: list[SignalFrame], *, step: int) -> tuple[HighlightCandidate, ...]:
    state, found = DetectorState(), list[HighlightCandidate]()
    for first in range(0, len(frames), step):
        part = frames[first : first + step]
        state, settled = advance(
            state, part, tenant_id=TENANT, stream_id=STREAM, fusion=load_fusion()
        )
        state = DetectorState.model_validate_json(state.model_dump_json(exclude_defaults=True))
        found += settled
    return tuple(found)


@pytest.mark.parametrize("weights", [load_fusion().heard, load_fusion().unheard])
def test_the_shipped_weights_name_every_channel(weights: FusionWeights) -> None:
    assert tuple(weights.weights) == tuple(CHANNELS)
    assert weights.bias < weights.floor < 0


def test_the_weights_of_a_stream_without_sound_need_none() -> None:
    sounds = [load_fusion().unheard.weights[each] for each in ("loudness", "crowd_level", "onset")]
    assert sounds == [0.0, 0.0, 0.0]


def test_weights_without_a_channel_are_refused() -> None:
    weights = {name: each for name, each in FLAT.items() if name != "cut"}
    with pytest.raises(ValidationError, match="weights are for"):
        FusionWeights(bias=0.0, floor=0.0, excitement=0.0, weights=weights)


def test_a_verdict_is_the_sum_of_its_parts_and_names_the_channel() -> None:
    verdict = LOUD_AT.at(40, {each.at: each for each in seconds(60, {40: 0.9})})
    assert verdict.logit == pytest.approx(0.8)
    assert verdict.parts == {"loudness": 1.8}


def test_sound_that_stays_loud_says_less_than_sound_that_stops() -> None:
    stays = seconds(60, {40: 0.9, 41: 0.9, 42: 0.9, 43: 0.9})
    assert LOUD_AT.at(40, {each.at: each for each in stays}).logit == pytest.approx(-1.0)


def test_motion_that_stops_speaks_for_a_moment() -> None:
    moving = FusionWeights(bias=0.0, floor=0.0, excitement=0.0, weights={**FLAT, "motion": 1.0})
    column = list(CHANNELS).index("motion")
    rises = [tuple(0.6 * (name == column) for name in range(len(CHANNELS))), (0.0,) * len(CHANNELS)]
    stops = {at: SecondRises(at=at, rises=rises[at >= 40]) for at in range(60)}
    assert moving.at(40, stops).logit == pytest.approx(0.6)
    assert moving.at(20, stops).logit == pytest.approx(0.0)


def test_excitement_counts_up_to_a_limit() -> None:
    quiet = (0.0,) * len(CHANNELS)
    wild = {40: SecondRises(at=40, rises=quiet, excitement=60.0)}
    half = {40: SecondRises(at=40, rises=quiet, excitement=FULL_EXCITEMENT / 2)}
    assert LOUD_AT.at(40, wild).logit == pytest.approx(0.0)
    assert LOUD_AT.at(40, half).logit == pytest.approx(-0.5)


def test_a_peak_is_known_once_the_seconds_after_it_are() -> None:
    loud = {40: 0.9}
    assert peak_among(LOUD_AT, seconds(39 + PEAK_KNOWN_AFTER, loud)) is None
    found = peak_among(LOUD_AT, seconds(40 + PEAK_KNOWN_AFTER, loud))
    assert found is not None
    assert found[0] == 40


def test_a_second_beside_a_better_one_is_no_peak() -> None:
    loud = {40: 0.5, 40 + APART - 1: 0.9}  # no other is as high, within reach of either
    found = [peak_among(LOUD_AT, seconds(at + PEAK_KNOWN_AFTER, loud)) for at in (39, 40, 41)]
    assert found == [None, None, None]


def test_calm_play_has_no_weak_moments() -> None:
    assert proposed(play(180), step=24) == ()


def test_a_small_burst_is_proposed_as_weak_only_on_request() -> None:
    frames = weak_burst()
    _, unasked = advance(DetectorState(), frames, tenant_id=TENANT, stream_id=STREAM)
    assert unasked == ()
    found = proposed(frames, step=24)
    assert any(each.start <= 62.0 <= each.end for each in found)
    assert all(max(each.score.dimensions().values()) < 0.80 for each in found)
    assert all(each.evidence for each in found)


def test_play_that_stops_is_proposed_as_weak_where_there_is_no_sound() -> None:
    frames = livelier(silent(play(120)), 52, 58, motion=1.0)
    stopped = cut(livelier(frames, 58, 61, motion=-1.0), 58.5)
    weak = proposed(stopped, step=24)
    assert any(each.start <= 58.0 <= each.end for each in weak)


def test_without_a_crowd_a_loud_moment_is_a_weak_one_at_most() -> None:
    with_crowd = moment(play(150), 90)
    bang = without_crowd(moment(play(150), 90))
    assert max(_best(each) for each in found(bang)) > 0.7
    assert max(_best(each) for each in proposed(with_crowd, step=24)) > 0.7
    assert max(_best(each) for each in proposed(bang, step=24)) < 0.7


def _best(candidate: HighlightCandidate) -> float:
    return sum(candidate.score.dimensions().values()) / len(candidate.score.dimensions())


def test_a_change_of_the_score_makes_a_good_moment_without_a_crowd() -> None:
    bang = without_crowd(moment(play(150), 90))
    shown = [(80.0, "0 - 0"), (84.0, "0 - 0"), (94.0, "1 - 0"), (98.0, "1 - 0")]
    _, candidates = advance(
        DetectorState(),
        bang,
        tenant_id=TENANT,
        stream_id=STREAM,
        screen=[
            ScreenReading(region="one", holds=HudKind.SCORE, at=at, text=text, confidence=0.95)
            for at, text in shown
        ],
        hud=Hud(score_step=1),
        fusion=load_fusion(),
        last=True,
    )
    (goal,) = [each for each in candidates if _best(each) > 0.7]
    assert goal.start <= 94.0 - 6.0
    assert goal.end >= 94.0


def test_how_frames_are_split_makes_no_difference_to_weak_moments() -> None:
    frames = weak_burst()
    assert proposed(frames, step=7) == proposed(frames, step=480)


def test_a_state_of_before_the_fusion_is_continued() -> None:
    state, _ = advance(DetectorState(), play(60), tenant_id=TENANT, stream_id=STREAM)
    stored = json.loads(state.model_dump_json(exclude_defaults=True, by_alias=True))
    for channel in ("loudness", "tonality", "cut"):
        stored["usuals"].pop(channel)
    old = DetectorState.model_validate(stored)
    assert old.baselines.crowd_level == state.baselines.crowd_level
    later = play(60, start=60.0)
    after, _ = advance(old, later, tenant_id=TENANT, stream_id=STREAM, fusion=load_fusion())
    assert after.position == 120.0
    assert len(after.baselines.loudness.samples) == 60
