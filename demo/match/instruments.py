"""The other sounds of a match: whistles, kicks, horns, drums, music and announcements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo.match.crowd import RATE, Sound32
from demo.match.voice import Voice, speak

Random = np.random.Generator
Wave = NDArray[np.float64]
_SCALES: Final = ((0, 2, 4, 7, 9), (0, 3, 5, 7, 10), (0, 2, 3, 7, 8))
_PROGRESSIONS: Final = ((0, 5, 7, 5), (0, 9, 5, 7), (0, 7, 9, 5), (0, -2, -4, -2))


def play(sound: str, rng: Random, seconds: float) -> Sound32:
    """Return the named sound, mono, at RMS 1 over its length.

    Raises:
        KeyError: no instrument has that name.
    """
    wave = _INSTRUMENTS[sound](rng, max(seconds, 0.05))
    return np.asarray(wave / (np.sqrt(np.mean(wave**2)) + 1e-9), np.float32)


def _time(seconds: float) -> Wave:
    return np.arange(int(seconds * RATE)) / RATE


def _tone(times: Wave, hertz: float, harmonics: int, tilt: float) -> Wave:
    wave = np.zeros_like(times)
    for number in range(1, harmonics + 1):
        wave += np.sin(2 * np.pi * hertz * number * times) / number**tilt
    return wave


def _add(target: Wave, part: Wave, at: float) -> None:
    begin = int(at * RATE)
    end = min(begin + len(part), len(target))
    if 0 <= begin < end:
        target[begin:end] += part[: end - begin]


def _whistle(rng: Random, seconds: float) -> Wave:
    times = _time(seconds)
    hertz, trill = rng.uniform(2500, 3300), rng.uniform(25, 42)
    phase = 2 * np.pi * hertz * times + 1.5 * np.sin(2 * np.pi * trill * times)
    wave = np.sin(phase) * (0.75 + 0.25 * np.sin(2 * np.pi * trill * times))
    return wave * np.minimum(1, times / 0.02) * np.minimum(1, (seconds - times) / 0.04)


def _buzzer(rng: Random, seconds: float) -> Wave:
    times = _time(seconds)
    return np.tanh(2 * _tone(times, rng.uniform(180, 260), 12, 0.5)) * np.minimum(
        1, (seconds - times) / 0.05
    )


def _kick(rng: Random, seconds: float) -> Wave:
    times = _time(seconds)
    thump = np.sin(2 * np.pi * rng.uniform(70, 130) * times) * np.exp(-times / 0.04)
    return thump + 0.2 * rng.normal(0, 1, len(times)) * np.exp(-times / 0.006)


def _bounce(rng: Random, seconds: float) -> Wave:
    times = _time(seconds)
    return _tone(times, rng.uniform(90, 140), 4, 1.0) * np.exp(-times / 0.05)


def _shot(rng: Random, seconds: float) -> Wave:
    times = _time(seconds)
    sweep = np.sin(2 * np.pi * rng.uniform(300, 900) * times * np.exp(-times * 5))
    crack = rng.normal(0, 1, len(times)) * np.exp(-times / rng.uniform(0.03, 0.12))
    return crack + 0.7 * sweep * np.exp(-times / 0.1)


def _swoosh(rng: Random, seconds: float) -> Wave:
    times = _time(seconds)
    rise = np.sin(np.pi * times / seconds) ** 2
    return rise * _tone(times, rng.uniform(500, 800), 3, 1.0) * (1 + times)


def _beat(rng: Random, seconds: float, tempo: float) -> Wave:
    """Return a drum kit: bass drum, snare and hi-hat."""
    wave = np.zeros(int(seconds * RATE))
    beat = 60 / tempo
    bass_time, short = _time(0.25), _time(0.08)
    bass = np.sin(2 * np.pi * 55 * bass_time) * np.exp(-bass_time / 0.08)
    snare = rng.normal(0, 0.5, len(bass_time)) * np.exp(-bass_time / 0.05)
    hat = np.diff(rng.normal(0, 0.3, len(short) + 1)) * np.exp(-short / 0.015)
    for index in range(int(seconds / beat * 2) + 1):
        _add(wave, hat, index * beat / 2)
        if index % 4 == 0:
            _add(wave, 1.2 * bass, index * beat / 2)
        elif index % 4 == 2:
            _add(wave, snare, index * beat / 2)
    return wave


def _music(rng: Random, seconds: float) -> Wave:
    tempo, root = rng.uniform(92, 136), rng.uniform(98, 147)
    scale = _SCALES[int(rng.integers(len(_SCALES)))]
    chords = _PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))]
    tilt, beat = rng.uniform(0.9, 1.6), 60 / tempo
    wave = 0.9 * _beat(rng, seconds, tempo)
    for bar in range(int(seconds / (4 * beat)) + 1):
        base = root * 2 ** (chords[bar % 4] / 12)
        times = _time(4 * beat)
        pad = sum(_tone(times, base * 2 ** (n / 12), 6, tilt) for n in (0, scale[2], 7))
        _add(wave, 0.16 * pad * np.minimum(1, (4 * beat - times) / 0.1), bar * 4 * beat)
        for step in range(8):
            note = base * 2 ** (1 + scale[int(rng.integers(len(scale)))] / 12)
            ring = _time(beat / 2)
            _add(
                wave,
                0.3 * _tone(ring, note, 5, tilt) * np.exp(-ring / 0.25),
                (4 * bar + step / 2) * beat,
            )
    return wave


def _sting(rng: Random, seconds: float) -> Wave:
    wave = np.zeros(int(seconds * RATE))
    root = rng.uniform(196, 294)
    notes = (0, 4, 7, 12) if rng.random() < 0.6 else (0, 3, 7, 10)
    for index, note in enumerate(notes):
        at = index * seconds * rng.uniform(0.1, 0.14)
        times = _time(seconds - at)
        brass = _tone(times, root * 2 ** (note / 12), 10, 0.9) * np.minimum(1, times / 0.04)
        _add(wave, brass * np.exp(-times / (0.5 * seconds)), at)
    return wave + 0.6 * _beat(rng, seconds, rng.uniform(100, 140))


def _drums(rng: Random, seconds: float) -> Wave:
    """Return steady drums with the fans' chant over them."""
    wave = np.zeros(int(seconds * RATE))
    beat = 60 / rng.uniform(100, 132)
    times = _time(0.4)
    pattern = ((1, 0, 1, 1), (1, 1, 0, 1), (1, 0, 1, 0))[int(rng.integers(3))]
    tom = np.sin(2 * np.pi * rng.uniform(75, 110) * times) * np.exp(-times / 0.12)
    tom += 0.25 * rng.normal(0, 1, len(times)) * np.exp(-times / 0.02)
    for index in range(int(seconds / beat) + 1):
        if pattern[index % 4]:
            _add(wave, tom, index * beat)
    tune = rng.choice((0, 2, 4, 5, 7), 8)
    root = rng.uniform(140, 190)
    for index in range(int(seconds / (2 * beat))):
        ring = _time(2 * beat)
        body = np.sin(np.pi * ring / (2 * beat)) ** 0.5
        for _ in range(4):
            note = root * 2 ** (tune[index % 8] / 12) * rng.uniform(0.985, 1.015)
            _add(wave, 0.09 * body * _tone(ring, note, 9, 0.7), index * 2 * beat)
    return wave


def _speaker(rng: Random) -> Voice:
    return Voice(
        pitch=float(rng.uniform(100, 210)),
        rate=float(rng.uniform(3.8, 5.2)),
        tract=float(rng.uniform(0.92, 1.18)),
    )


def _advert(rng: Random, seconds: float) -> Wave:
    """Return music and an eager voice, compressed as adverts are."""
    eagerness = float(rng.uniform(0.3, 0.6))
    voice = speak(rng, _speaker(rng), seconds, excitement=lambda _: eagerness, talk=lambda _: 0.95)
    music = play("music", rng, seconds)
    return np.tanh(1.6 * (music[: len(voice)] * rng.uniform(0.6, 1.2) + 1.2 * voice)).astype(float)


def _announcement(rng: Random, seconds: float) -> Wave:
    """Return a calm voice through a stadium's loudspeakers: narrow and echoing."""
    voice = speak(rng, _speaker(rng), seconds, excitement=lambda _: 0.1, talk=lambda _: 0.9)
    size = 1 << (len(voice) + RATE).bit_length()
    tail = _time(0.9)
    echo = rng.normal(0, 1, len(tail)) * np.exp(-tail / 0.25) * 0.02
    echo[0] = 1.0
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    horn = 1 / (1 + (350 / (hertz + 1)) ** 4) / (1 + (hertz / 3200) ** 4)
    spectrum = np.fft.rfft(voice, size) * np.fft.rfft(echo, size) * horn
    return np.fft.irfft(spectrum, size)[: len(voice)]


_INSTRUMENTS: Final[dict[str, Callable[[Random, float], Wave]]] = {
    "advert": _advert,
    "bounce": _bounce,
    "buzzer": _buzzer,
    "drums": _drums,
    "kick": _kick,
    "music": _music,
    "pa": _announcement,
    "shot": _shot,
    "sting": _sting,
    "swoosh": _swoosh,
    "whistle": _whistle,
}
