"""Mixes everything that is heard in a match."""

from __future__ import annotations

from typing import Final

import numpy as np

from demo.match.crowd import RATE, Sound32, render_crowd
from demo.match.instruments import play
from demo.match.script import Script, strongest, weakest
from demo.match.voice import Voice, speak

_CONTROL: Final = 50  # points per second at which curves are sampled
_OUTSIDE: Final = frozenset({"advert", "music", "sting"})  # from the studio, not the stadium


def render_sound(script: Script) -> Sound32:
    """Return the whole sound, (samples, 2) at `RATE`, in [-1, 1]."""
    duration, seed = script.truth.duration, script.truth.seed
    samples = int(duration * RATE)
    times = np.arange(int(duration * _CONTROL) + 2) / _CONTROL
    grid, when = times * RATE, np.arange(samples, dtype=np.float64)

    mix = render_crowd(
        np.random.default_rng([seed, 1]),
        strongest(script.crowd, times),
        samples=samples,
        level=script.mix.crowd,
        color=script.mix.crowd_color,
    )
    studio = np.zeros_like(mix)
    mix += _commentary(script, times)[:samples]
    for number, cue in enumerate(script.cues):
        rng = np.random.default_rng([seed, 3, number, cue.variant])
        part = play(cue.sound, rng, cue.end - cue.start) * np.float32(10 ** (cue.level / 20))
        target = studio if cue.sound in _OUTSIDE else mix
        begin = max(0, int(cue.start * RATE))
        end = min(begin + len(part), samples)
        if begin < end:
            pan = np.float32(rng.uniform(-0.2, 0.2))
            target[0, begin:end] += part[: end - begin] * (1 - pan)
            target[1, begin:end] += part[: end - begin] * (1 + pan)
    stadium = 10 ** (weakest(script.match_level, times) / 20)
    mix *= np.interp(when, grid, stadium).astype(np.float32)
    mix += studio
    mix *= np.interp(when, grid, 10 ** (script.gain.at(times) / 20)).astype(np.float32)
    np.tanh(mix, out=mix)  # a soft limiter, as every broadcast has
    return np.ascontiguousarray(mix.T)


def _commentary(script: Script, times: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Sound32:
    mood = np.maximum(strongest(script.voice, times), 0.12)
    talk = script.talk.at(times)

    def at(values: np.ndarray[tuple[int], np.dtype[np.float64]], second: float) -> float:
        return float(values[min(int(second * _CONTROL), len(values) - 1)])

    speaker = Voice(
        pitch=script.mix.voice_pitch, rate=script.mix.voice_rate, tract=script.mix.voice_tract
    )
    sound = speak(
        np.random.default_rng([script.truth.seed, 2]),
        speaker,
        script.truth.duration,
        excitement=lambda second: at(mood, second),
        talk=lambda second: at(talk, second),
    )
    spoken = np.abs(sound) > 1e-4
    loudness = float(np.sqrt(np.mean(sound[spoken] ** 2))) if spoken.any() else 1.0
    return sound * np.float32(10 ** (script.mix.voice / 20) / loudness)
