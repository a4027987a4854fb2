"""A voice that sounds like speech and says nothing: a pulse train through moving formants."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo.match.crowd import RATE, Sound32
from demo.model import Model

# Mean formants of vowels, Hz: Peterson & Barney (1952), men, table II.
_VOWELS: Final = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (300, 870, 2240),
    (640, 1190, 2390),
)

Course = Callable[[float], float]


class Voice(Model):
    """A speaker: pitch at rest (Hz), syllables per second, and formants relative to the table."""

    pitch: float
    rate: float
    tract: float


def speak(
    rng: np.random.Generator, voice: Voice, seconds: float, *, excitement: Course, talk: Course
) -> Sound32:
    """Return mono speech at about RMS 1 while calm; excitement raises pitch, rate and level.

    Args:
        rng: chooses what is said.
        voice: who says it.
        seconds: length.
        excitement: in [0, 1] by second.
        talk: the share of time with speech, in [0, 1] by second.
    """
    sound = np.zeros(int(seconds * RATE), np.float32)
    at = float(rng.uniform(0, 0.6))
    while at < seconds:
        if talk(at) < 0.1:
            at += 0.25
            continue
        at = _phrase(rng, voice, sound, at, excitement)
        calm = 1.15 - excitement(at)
        at += calm * float(rng.uniform(0.15, 0.5))
        if rng.random() > talk(at) + 0.5 * excitement(at):
            at += float(rng.uniform(0.8, 2.4)) * calm
    return sound


def _phrase(
    rng: np.random.Generator, voice: Voice, sound: Sound32, at: float, excitement: Course
) -> float:
    """Add one breath of syllables from `at` seconds; return the time after."""
    count = int(rng.integers(4, 13))
    for index in range(count):
        state = excitement(at)
        rate = voice.rate * (0.88 + 0.42 * state) * float(rng.uniform(0.8, 1.25))
        length = 1 / min(rate, 6.5)
        if state > 0.8 and rng.random() < 0.12:
            length = float(rng.uniform(0.5, 1.1))
        declination = 1.08 - 0.18 * index / count
        pitch = voice.pitch * (1 + 0.95 * state) * declination * float(rng.uniform(0.92, 1.08))
        syllable = _syllable(rng, voice, length, pitch, state)
        begin = int(at * RATE)
        end = min(begin + len(syllable), len(sound))
        if begin >= end:
            break
        sound[begin:end] += syllable[: end - begin]
        at += length
    return at


def _syllable(
    rng: np.random.Generator, voice: Voice, length: float, pitch: float, state: float
) -> Sound32:
    samples = int(length * RATE)
    glide = np.linspace(pitch, pitch * float(rng.uniform(0.9, 1.06)), samples)
    jitter = 1 + 0.006 * np.sin(np.arange(samples) * (2 * np.pi * 5.2 / RATE) + rng.uniform(0, 6))
    phase = np.cumsum(glide * jitter) / RATE
    source = 2 * (phase % 1.0) - 1 + rng.normal(0, 0.05, samples)
    size = 1 << (samples + 1024).bit_length()
    vowel = int(rng.integers(len(_VOWELS)))
    shape = _mouth(size, vowel, round(voice.tract, 3), round(state, 1))
    spoken = np.fft.irfft(np.fft.rfft(source, size) * shape, size)[:samples]
    ramp = np.minimum(1, np.arange(samples) / (0.03 * RATE))
    fall = np.minimum(1, (samples - np.arange(samples)) / (0.35 * samples))
    spoken *= ramp * fall * 10 ** ((8.5 * state) / 20)
    hiss = min(samples // 3, int(rng.uniform(0.02, 0.07) * RATE))
    noise = np.diff(rng.normal(0, 1, hiss + 1)) * np.hanning(hiss)
    spoken[:hiss] += noise * float(rng.uniform(0.05, 0.3)) * (1 + state)
    return spoken.astype(np.float32)


@lru_cache(maxsize=512)
def _mouth(size: int, vowel: int, tract: float, state: float) -> NDArray[np.float64]:
    """Return the gain of the vocal tract by frequency; a shout has more of the high formants."""
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    gain = np.zeros_like(hertz)
    for index, formant in enumerate((*_VOWELS[vowel], 3600)):
        width = 60 + 40 * index
        strength = (1.0, 0.55 + 0.3 * state, 0.3 + 0.3 * state, 0.15 + 0.15 * state)[index]
        gain += strength / (1 + ((hertz - formant * tract) / width) ** 2)
    gain *= 1 / (1 + (90 / (hertz + 1)) ** 4)
    return gain * 9
