"""What a crowd and a commentator add to a dressed copy."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tools.footage.dressing import LANGUAGES
from tools.footage.soundtrack import RATE, Cue, missing, mix, plan_commentary, plan_crowd
from tools.footage.truth import Film, Moment, Truth

DURATION = 600.0
TRUTH = Truth(
    film=Film(game="arena", kind="", seed=1, duration=DURATION, pictures="", players=""),
    moments=tuple(
        Moment(start=at, end=at + 8, peak=at + 5, kind="frag", weight=0.5)
        for at in range(20, 580, 20)
    ),
)
WORDS = LANGUAGES[0].commentator


@pytest.fixture
def beep(tmp_path: Path) -> Path:
    path = tmp_path / "beep.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.full(RATE, 8000, "<i2").tobytes())
    return path


def test_most_moments_are_cheered_and_some_cheers_have_no_moment() -> None:
    cues = [cue for cue in plan_crowd(TRUTH, DURATION, 3) if cue.volume >= 0.3]
    cheered = [m for m in TRUTH.moments if any(0 < cue.at - m.peak < 1.5 for cue in cues)]
    assert len(TRUTH.moments) / 2 < len(cheered)
    assert any(all(not 0 < c.at - m.peak < 1.5 for m in TRUTH.moments) for c in cues)


def test_calm_lines_are_not_spoken_into_excited_ones() -> None:
    cues = list(plan_commentary(TRUTH, DURATION, WORDS, 3))
    excited = [cue.at for cue in cues if cue.excited]
    calm = [cue.at for cue in cues if not cue.excited]
    assert excited
    assert calm
    assert all(abs(a - b) >= 4 for a in excited for b in calm)


def test_a_recording_is_heard_where_its_cue_is(beep: Path) -> None:
    track = mix([Cue(2.0, beep, 0.5)], 5.0, bed=False, voice="en", silent=[])
    assert len(track) == 5 * RATE
    assert not track[: 2 * RATE].any()
    assert track[int(2.5 * RATE)] == pytest.approx(4000, abs=20)
    assert not track[int(3.1 * RATE) :].any()


def test_nothing_is_heard_in_silent_stretches(beep: Path) -> None:
    cues = [Cue(at, beep, 0.5) for at in range(5)]
    track = mix(cues, 5.0, bed=False, voice="en", silent=[(1.0, 3.0)])
    assert not track[RATE : 3 * RATE].any()
    assert track[: RATE // 2].any()
    assert track[4 * RATE : 4 * RATE + RATE // 2].any()


def test_a_cue_near_the_end_is_cut_off(beep: Path) -> None:
    track = mix([Cue(4.5, beep, 0.5), Cue(7.0, beep, 0.5)], 5.0, bed=False, voice="", silent=[])
    assert len(track) == 5 * RATE


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.footage.soundtrack._BED", Path("/absent.wav"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert missing(crowd=True, voice=True) == (
        "apt-get install etw-data freetennis-common espeak-ng"
    )
    assert missing(crowd=False, voice=False) == ""
