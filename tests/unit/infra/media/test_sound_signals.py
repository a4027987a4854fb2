"""What the signals of sound tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.analysis.signals import SoundFrame
from infra.media.signals import k_weighting, measure_sound

SECONDS = 2.0
EDGES = np.linspace(0.0, SECONDS, 9)


def times(rate: int) -> NDArray[np.float64]:
    return np.arange(int(SECONDS * rate)) / rate


def sine(hertz: float, amplitude: float, rate: int = 48_000) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hertz * times(rate))


def noise(amplitude: float, rate: int = 48_000) -> NDArray[np.float64]:
    return amplitude * np.random.default_rng(1).normal(size=int(SECONDS * rate))


def chord(amplitude: float) -> NDArray[np.float64]:
    wave = sum((sine(hertz, amplitude) for hertz in (262, 330, 392, 523, 1046)), np.zeros(96_000))
    return np.asarray(wave)


def measure(samples: NDArray[np.float64], rate: int = 48_000) -> SoundFrame:
    """Return a frame from the middle of two seconds."""
    frame = measure_sound(samples.astype(np.float32), rate=rate, edges=EDGES)[4]
    assert frame is not None
    return frame


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_a_full_scale_sine_at_997_hz_has_the_loudness_of_the_standard(rate: int) -> None:
    # ITU-R BS.1770-4, annex 1: 0 dBFS at 997 Hz in one channel reads -3.01 LKFS.
    assert measure(sine(997, 1.0, rate), rate).loudness == pytest.approx(-3.01, abs=0.2)


def test_k_weighting_lifts_the_highs_by_four_decibels_and_cuts_the_lows() -> None:
    gains = 10 * np.log10(k_weighting(np.array([20, 997, 10_000], np.float32)))
    assert gains[0] < -10
    assert gains[1:] == pytest.approx([0.69, 4.0], abs=0.2)


def test_noise_is_no_tone_and_a_chord_is() -> None:
    assert measure(noise(0.1)).tonality < 0.15
    assert measure(noise(0.001) + chord(0.2)).tonality > 0.5


def test_a_louder_crowd_raises_the_roar_as_much() -> None:
    rise = measure(noise(0.1)).roar - measure(noise(0.01)).roar
    assert rise == pytest.approx(20.0, abs=0.1)


def test_loud_music_over_a_calm_crowd_hardly_raises_the_roar() -> None:
    calm, music = measure(noise(0.01)), measure(noise(0.01) + chord(0.1))
    assert music.loudness - calm.loudness > 15
    assert music.roar - calm.roar < 1.5


def test_beats_hardly_raise_the_roar() -> None:
    beat = (times(48_000) % 0.5 < 0.05) * noise(0.3)
    calm, beats = measure(noise(0.01)), measure(noise(0.01) + beat)
    assert beats.roar - calm.roar < 3


def test_a_buzz_is_voiced_and_noise_is_not() -> None:
    buzz = sum((sine(180 * harmonic, 0.1 / harmonic) for harmonic in range(1, 12)), noise(0.001))
    assert measure(np.asarray(buzz)).voicing > 0.5
    assert measure(noise(0.1)).voicing < 0.2


def test_a_sudden_sound_is_an_onset() -> None:
    burst = (times(48_000) > 1.05) * noise(0.1)
    assert measure(noise(0.001) + burst).onset > 3 * measure(noise(0.1)).onset


def test_silence_is_measured_as_silence() -> None:
    assert measure(np.zeros(96_000)).loudness < -90


def test_frames_without_sound_are_absent() -> None:
    frames = measure_sound(noise(0.1)[:24_000].astype(np.float32), rate=48_000, edges=EDGES)
    assert [frame is not None for frame in frames] == [True, True, *[False] * 6]


def test_a_few_samples_measure_nothing() -> None:
    assert measure_sound(np.zeros(10, np.float32), rate=48_000, edges=EDGES) == [None] * 8
