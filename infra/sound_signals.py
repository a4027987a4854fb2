"""Signals of sound, by numpy: what a crowd, a commentator or music does to a spectrum.

Everything is computed from one short-time Fourier transform (Hann windows of about 43 ms, half
overlapped), so that a second of stereo sound costs well under a millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.signals import SoundFrame

Floats = NDArray[np.float32]

# Edges (Hz) of the bands in which a crowd's roar is measured.
_ROAR_EDGES: Final = (400.0, 700.0, 1150.0, 1900.0, 3000.0, 4500.0)
_SPEECH: Final = (300.0, 3400.0)
_PITCHES: Final = (90.0, 500.0)
_FLUX_BANDS: Final = 24
_WINDOW_SECONDS: Final = 0.043
_FLOOR: Final = 1e-10
_FEWEST_HOPS: Final = 2
# The share of bins, from below, that is taken for the floor between the tones.
_FLOOR_QUANTILE: Final = 0.25


@dataclass(frozen=True)
class _Plan:
    """What depends on the sample rate only."""

    size: int
    window: Floats
    k_weight: Floats
    roar_bands: tuple[slice, ...]
    speech: slice
    flux_edges: NDArray[np.intp]
    pitch_size: int

    @property
    def hop(self) -> int:
        return self.size // 2


def measure_sound(
    samples: Floats, *, rate: int, edges: NDArray[np.float64]
) -> list[SoundFrame | None]:
    """Measure mono samples in frames bounded by `edges` (seconds from the first sample).

    Frames in which no sample lies are None.
    """
    plan = _plan(rate)
    count = (len(samples) - plan.size) // plan.hop + 1
    if count < _FEWEST_HOPS:
        return [None] * (len(edges) - 1)
    hops = np.lib.stride_tricks.sliding_window_view(samples, plan.size)[:: plan.hop][:count]
    power = np.abs(np.fft.rfft(hops * plan.window, axis=1)) ** 2
    power = power.astype(np.float32) + np.float32(_FLOOR * 1e-3)
    middles = (np.arange(count) * plan.hop + plan.size / 2) / rate
    flux = _flux(power, plan)
    voicing = _voicing(power, plan, rate)
    bounds = np.searchsorted(middles, edges)
    frames: list[SoundFrame | None] = []
    for first, last in pairwise(bounds):
        if last <= first:
            frames.append(None)
            continue
        part = power[first:last]
        mean = part.mean(axis=0)
        frames.append(
            SoundFrame(
                loudness=_rounded(-0.691 + _decibels(float(mean @ plan.k_weight))),
                roar=_rounded(_roar(part, plan)),
                speech_band=_rounded(_decibels(float(mean[plan.speech].sum()))),
                tonality=_rounded(_tonality(mean, plan)),
                onset=_rounded(float(flux[first:last].max())),
                voicing=_rounded(float(voicing[first:last].mean())),
            )
        )
    return frames


def k_weighting(frequencies: Floats) -> Floats:
    """Return the power gain of the K filter at `frequencies` (Hz).

    The two biquads of ITU-R BS.1770-4, tables 1 and 2 (a shelf for the head, then a high-pass),
    whose coefficients hold at 48 kHz, evaluated on the unit circle.
    """
    z = np.exp(-2j * np.pi * frequencies.astype(np.float64) / 48_000.0)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1.0 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1.0 - 2.0 * z + z**2) / (1.0 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    gain: Floats = (np.abs(shelf * high_pass) ** 2).astype(np.float32)
    return gain


@lru_cache(maxsize=8)
def _plan(rate: int) -> _Plan:
    size = 1 << max(7, round(np.log2(rate * _WINDOW_SECONDS)))
    hann = np.hanning(size + 1)[:-1]
    # One-sided power spectrum whose sum is the mean square of the samples.
    window = (hann * np.sqrt(2.0 / (size * np.sum(hann**2)))).astype(np.float32)
    frequencies = np.fft.rfftfreq(size, 1.0 / rate).astype(np.float32)

    def band(low: float, high: float) -> slice:
        first, last = np.searchsorted(frequencies, (low, high))
        return slice(min(int(first), len(frequencies) - 2), max(int(last), int(first) + 1))

    speech = band(*_SPEECH)
    top = min(4500.0, rate * 0.45)
    edges = [edge for edge in _ROAR_EDGES if edge <= top]
    return _Plan(
        size=size,
        window=window,
        k_weight=k_weighting(frequencies),
        roar_bands=tuple(band(low, high) for low, high in pairwise(edges)),
        speech=speech,
        flux_edges=np.unique(
            np.searchsorted(
                frequencies, np.geomspace(100.0, min(8000.0, rate * 0.45), _FLUX_BANDS + 1)
            )
        ),
        pitch_size=1 << int(2 * speech.stop).bit_length(),
    )


def _roar(part: Floats, plan: _Plan) -> float:
    """Return the level (dB) of what is neither harmonic nor percussive.

    The median over time drops beats, a low quantile over frequency drops harmonics (the two
    filters of Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010);
    what remains is the floor between them, which broadband noise raises and music hardly does.
    """
    lowest, highest = plan.roar_bands[0].start, plan.roar_bands[-1].stop
    steady = np.partition(part[:, lowest:highest], len(part) // 2, axis=0)[len(part) // 2]
    floors = [
        _floor(np.sort(steady[band.start - lowest : band.stop - lowest]))
        for band in plan.roar_bands
    ]
    return float(np.mean(floors)) + _decibels(highest - lowest)


def _floor(ascending: Floats) -> float:
    return _decibels(ascending[int(len(ascending) * _FLOOR_QUANTILE)])


def _tonality(mean: Floats, plan: _Plan) -> float:
    """Return 1 - spectral flatness, by band, so that a sloping noise counts as flat."""
    flatness = [
        float(np.exp(np.log(mean[band]).mean()) / mean[band].mean()) for band in plan.roar_bands
    ]
    return min(1.0, max(0.0, 1.0 - float(np.mean(flatness))))


def _flux(power: Floats, plan: _Plan) -> Floats:
    """Return the mean rise (dB) of the bands from hop to hop, for each hop."""
    bands = np.add.reduceat(power[:, : plan.flux_edges[-1]], plan.flux_edges[:-1], axis=1)
    level = 10 * np.log10(bands + _FLOOR)
    rise = np.maximum(np.diff(level, axis=0, prepend=level[:1]), 0)
    flux: Floats = rise.mean(axis=1).astype(np.float32)
    return flux


def _voicing(power: Floats, plan: _Plan, rate: int) -> Floats:
    """Return, by hop, the height of the autocorrelation's peak at the lags of a voice, 0 to 1.

    The square root of the power keeps one strong harmonic from hiding the others (Tolonen and
    Karjalainen, IEEE TSAP 8, 2000); above the band of speech there is only noise to correlate.
    """
    spectrum = np.zeros((len(power), plan.pitch_size // 2 + 1), np.float32)
    spectrum[:, 1 : plan.speech.stop] = np.sqrt(power[:, 1 : plan.speech.stop])
    correlation = np.fft.irfft(spectrum, axis=1)
    pitch_rate = rate * plan.pitch_size / plan.size
    first = int(pitch_rate / _PITCHES[1])
    part = correlation[:, first : int(pitch_rate / _PITCHES[0]) + 1]
    height = part.max(axis=1) / np.maximum(correlation[:, 0], _FLOOR)
    voicing: Floats = np.clip(height, 0, 1).astype(np.float32)
    return voicing


def _decibels(power: float) -> float:
    return float(10 * np.log10(max(float(power), _FLOOR)))


def _rounded(value: float) -> float:
    return round(float(value), 3)
