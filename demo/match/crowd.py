"""The crowd's sound: noise with the colour of many voices, from a murmur to a roar."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Sound32 = NDArray[np.float32]

RATE: Final = 48_000
"""Samples per second of everything heard."""

_LOOP: Final = 1 << 20


def render_crowd(
    rng: np.random.Generator,
    rise: NDArray[np.float64],
    *,
    samples: int,
    level: float,
    color: float,
) -> Sound32:
    """Return (2, samples) of crowd.

    Args:
        rng: chooses the noise.
        rise: dB over the bed, evenly spaced over the whole length.
        samples: length.
        level: the bed's level, dBFS (RMS).
        color: 0 for a dark crowd, 1 for a bright one.
    """
    grid = np.linspace(0, samples - 1, len(rise))
    # A roar is not a louder murmur: open mouths move its energy into 0.5-4 kHz.
    open_mouths = np.clip(rise / 12, 0.12, 1)
    gain = 10 ** ((level + rise) / 20)
    when = np.arange(samples, dtype=np.float64)
    murmur_gain = np.interp(when, grid, gain * (1 - 0.8 * open_mouths)).astype(np.float32)
    roar_gain = np.interp(when, grid, gain * open_mouths).astype(np.float32)
    murmur_band, roar_band = _bands(color)
    sides = []
    for _ in range(2):
        murmur, roar = _loop(rng, murmur_band), _loop(rng, roar_band)
        side = _repeat(murmur, samples) * murmur_gain
        side += _repeat(roar, samples) * roar_gain
        sides.append(side)
    return np.stack(sides)


def _bands(color: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the amplitude spectra of murmur and roar."""
    hertz = np.fft.rfftfreq(_LOOP, 1 / RATE) + 1.0
    murmur = 1 / (1 + (180 / hertz) ** 4) / (1 + (hertz / (700 + 300 * color)) ** 2)
    roar = 1 / (1 + (380 / hertz) ** 4) / (1 + (hertz / (3000 + 1500 * color)) ** 3)
    for formant, width in ((750, 250), (1250, 300), (2600, 600)):
        roar *= 1 + 1.2 * np.exp(-(((hertz - formant * (0.9 + 0.2 * color)) / width) ** 2))
    return murmur, roar


def _loop(rng: np.random.Generator, band: NDArray[np.float64]) -> Sound32:
    """Return noise of that spectrum at RMS 1, with the unrest of separate shouts."""
    phase = rng.uniform(0, 2 * np.pi, len(band)).astype(np.float32)
    noise = np.fft.irfft(band * np.exp(1j * phase), _LOOP).astype(np.float32)
    shouts = np.repeat(rng.normal(0, 1.6, _LOOP // 8192).astype(np.float32), 8192)
    smooth = np.convolve(shouts[::1024], np.hanning(17) / np.hanning(17).sum(), mode="same")
    unrest = np.interp(np.arange(_LOOP), np.arange(len(smooth)) * 1024, smooth)
    noise *= (10 ** (unrest / 20)).astype(np.float32)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float32)


def _repeat(loop: Sound32, samples: int) -> Sound32:
    return np.resize(loop, samples)
