"""What is usual in a stream: a robust level and spread over its trailing few minutes.

Each frame read against what is usual in its stream.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from domain.analysis.signals import SILENCE, KeyPicture, SignalFrame
from domain.model import Model

BASELINE_SAMPLES: Final = 180
"""How many samples, one a second, a baseline remembers: three minutes."""


_TRUSTED: Final = 30


_MAD_TO_SIGMA: Final = 1.4826


class Baseline(Model):
    """The recent samples of one signal, one a second."""

    samples: tuple[float, ...] = ()

    def add(self, sample: float) -> Baseline:
        """Return the baseline with one more second in it."""
        return Baseline(samples=(*self.samples, round(sample, 2))[-BASELINE_SAMPLES:])

    def usual(self, spread: SpreadBounds) -> TypicalLevel | None:
        """Return the level and the spread that are usual, None before there is a sample.

        The spread is the median absolute deviation, times 1.4826 so that it estimates the
        standard deviation of a normal signal (Rousseeuw and Croux, JASA 88, 1993); both it and
        the median stay put when up to half of the samples are moments, adverts or a new level.
        """
        return _usual(self.samples, spread) if self.samples else None


class SpreadBounds(Model):
    """What may be believed of a signal's spread, in the signal's own unit.

    It is never taken to be less than `least`, lest a constant signal make noise news, nor more
    than `most`, lest adverts and silences make every moment look usual. `prior` is believed
    before anything is known, and fades out over the first half minute.
    """

    least: float
    most: float
    prior: float


class TypicalLevel(Model):
    """A usual level and spread, in the signal's own unit."""

    level: float
    spread: float

    def sigmas(self, value: float) -> float:
        """Return how many spreads `value` lies above the level."""
        return (value - self.level) / self.spread


@lru_cache(maxsize=64)  # asked four times a second, new once a second
def _usual(samples: tuple[float, ...], spread: SpreadBounds) -> TypicalLevel:
    level = quantile(samples, 0.5)
    seen = _MAD_TO_SIGMA * quantile([abs(each - level) for each in samples], 0.5)
    doubt = max(0.0, 1.0 - len(samples) / _TRUSTED)
    believed = seen * (1.0 - doubt) + spread.prior * doubt
    return TypicalLevel(level=level, spread=min(spread.most, max(spread.least, believed)))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank, lower)."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))]


FRAME_HISTORY: Final = 40.0
"""Seconds of readings kept: enough for a moment, what led to it and the level before that."""


_WARM_UP: Final = 7


# Spreads: the least and the most believed, and what is believed before anything is known.
_ROAR_SPREAD: Final = SpreadBounds(least=1.5, most=3.0, prior=2.5)


_CALL_SPREAD: Final = SpreadBounds(least=2.5, most=6.0, prior=4.0)


_MOTION_SPREAD: Final = SpreadBounds(least=0.3, most=1.0, prior=0.8)


_JOLT_SPREAD: Final = SpreadBounds(least=0.1, most=1.0, prior=0.3)


_CHANGE_SPREAD: Final = SpreadBounds(least=1.0, most=10.0, prior=2.0)


_JOLT: Final = 1.2


_PLANES: Final = 3


_KEY_CHANGE: Final = 14.0


_KEY_CHANGE_RATIO: Final = 2.5


# A level that has held for a while is the new usual, whatever the last minutes were.
_LOCAL_WINDOW: Final = (24.0, 8.0)


_LOCAL_SHARE: Final = 0.35


_LOCAL_LEAST: Final = 24


# A level that was left some two seconds ago is no longer usual.
_LEFT_SHARE: Final = 0.25


_VOICED: Final = 0.6


_UNVOICED_DB: Final = 30.0


class NormalizedFrame(Model):
    """One frame: what it held, and how far that lies above what is usual.

    Attributes:
        at: its middle, seconds of media time.
        duration: seconds.
        loudness: LUFS; None without sound.
        roar: dB, at least `SILENCE`; None without sound.
        call: level (dB) of the voice, unvoiced sound discounted; None without sound.
        onset: spectral flux, dB; None without sound.
        tonality: 0 (noise) to 1 (tones).
        motion: log2 bytes a picture; None without picture.
        jolt: log2 of the largest picture over its neighbours; None without picture.
        cut: whether the scene changed, or flashed.
        crowd: smoothed rise of the roar over the usual, dB.
        crowd_sigmas: the same in spreads.
        voice: rise of the voice, in spreads.
        moving: rise of motion, in spreads.
        level: the fused excitement, in spreads.
        picture: perceptual hash of its keyframe; None without one.
    """

    at: float
    duration: float
    loudness: float | None = None
    roar: float | None = None
    call: float | None = None
    onset: float | None = None
    tonality: float = 0.0
    motion: float | None = None
    jolt: float | None = None
    cut: bool = False
    crowd: float | None = None
    crowd_sigmas: float | None = None
    voice: float | None = None
    moving: float | None = None
    level: float = 0.0
    picture: str | None = None


class Baselines(Model):
    """The baselines of a stream, one for each signal."""

    roar: Baseline = Baseline()
    call: Baseline = Baseline()
    onset: Baseline = Baseline()
    motion: Baseline = Baseline()
    jolt: Baseline = Baseline()
    key_change: Baseline = Baseline()
    last_key: KeyPicture | None = None

    def learn(self, second: Sequence[NormalizedFrame]) -> Baselines:
        """Return the baselines with one more second of readings in them."""
        return self.model_copy(
            update={
                name: _learned(getattr(self, name), [getattr(each, name) for each in second])
                for name in ("roar", "call", "onset", "motion", "jolt")
            }
        )


def _learned(baseline: Baseline, values: Sequence[float | None]) -> Baseline:
    known = [value for value in values if value is not None]
    return baseline.add(sum(known) / len(known)) if known else baseline


def normalize(
    frame: SignalFrame, usuals: Baselines, before: Sequence[NormalizedFrame]
) -> tuple[NormalizedFrame, Baselines]:
    """Read a frame that follows the readings `before`; also learns from its keyframes."""
    cut, usuals = _see_keys(frame, usuals, before)
    reading = _measured(frame)
    jolt = usuals.jolt.usual(_JOLT_SPREAD)
    if reading.jolt is not None and reading.jolt > _JOLT + (max(0.0, jolt.level) if jolt else 0.0):
        cut = True
    recent = _since(before, frame.middle - _LOCAL_WINDOW[0])
    crowd, crowd_sigmas = _crowd(reading, usuals.roar, recent)
    voice = _rise(usuals.call, _CALL_SPREAD, _loudest([*last_frames(recent, 1.5), reading]))
    moving = _rise(
        usuals.motion, _MOTION_SPREAD, _mean_motion([*last_frames(recent, 1.0), reading])
    )
    reading = reading.model_copy(
        update={
            "cut": cut,
            "crowd": crowd,
            "crowd_sigmas": crowd_sigmas,
            "voice": voice,
            "moving": moving,
        }
    )
    cut_lately = cut or any(each.cut for each in last_frames(recent, 1.0))
    return reading.model_copy(update={"level": _level(reading, cut_lately=cut_lately)}), usuals


def _measured(frame: SignalFrame) -> NormalizedFrame:
    sound, picture = frame.sound, frame.picture
    return NormalizedFrame(
        at=round(frame.middle, 3),
        duration=frame.duration,
        loudness=sound.loudness if sound else None,
        roar=max(SILENCE, sound.roar) if sound else None,
        call=max(SILENCE, sound.speech_band - _UNVOICED_DB * max(0.0, _VOICED - sound.voicing))
        if sound
        else None,
        onset=sound.onset if sound else None,
        tonality=sound.tonality if sound else 0.0,
        motion=picture.motion if picture else None,
        jolt=picture.jolt if picture else None,
        picture=next((key.hash for key in frame.keys if key.hash is not None), None),
    )


def _level(reading: NormalizedFrame, *, cut_lately: bool) -> float:
    moving = min(max(reading.moving or 0.0, 0.0), 6.0)
    if reading.crowd_sigmas is None:
        return round(moving + (1.0 if cut_lately and moving > 1.0 else 0.0), 3)
    crowd = min(max(reading.crowd_sigmas, 0.0), 10.0)
    voice = min(max(reading.voice or 0.0, 0.0), 4.0)
    return round(crowd + 0.5 * voice + 0.4 * min(moving, 4.0), 3)


def _crowd(
    reading: NormalizedFrame, baseline: Baseline, recent: Sequence[NormalizedFrame]
) -> tuple[float | None, float | None]:
    usual = baseline.usual(_ROAR_SPREAD)
    if usual is None or len(baseline.samples) < _WARM_UP or reading.roar is None:
        return None, None
    if max(reading.roar, *baseline.samples) <= SILENCE:
        return None, None  # a track without sound says nothing of a crowd
    heard = [each.roar for each in last_frames(recent, 0.5) if each.roar is not None]
    roar = (sum(heard) + reading.roar) / (len(heard) + 1)
    local = [
        each.roar
        for each in recent
        if each.roar is not None and each.at <= reading.at - _LOCAL_WINDOW[1]
    ]
    level = usual.level
    lately = [
        each.roar
        for each in recent
        if each.roar is not None and each.at > reading.at - _LOCAL_WINDOW[1]
    ]
    if len(local) >= _LOCAL_LEAST and lately:
        held = min(quantile(local, _LOCAL_SHARE), quantile(lately, _LEFT_SHARE))
        level = max(level, held)
    return round(roar - level, 3), round((roar - level) / usual.spread, 3)


def _rise(baseline: Baseline, spread: SpreadBounds, value: float | None) -> float | None:
    usual = baseline.usual(spread)
    if usual is None or len(baseline.samples) < _WARM_UP or value is None:
        return None
    return round(usual.sigmas(value), 3)


def last_frames(readings: Sequence[NormalizedFrame], seconds: float) -> Sequence[NormalizedFrame]:
    """Return the readings of the last `seconds` before the end of the latest."""
    if not readings:
        return []
    return _since(readings, readings[-1].at + readings[-1].duration - seconds)


def highest_level(readings: Sequence[NormalizedFrame], *, since: float) -> float:
    """Return the highest excitement from `since` (s of media time) on, in spreads."""
    return round(max((each.level for each in _since(readings, since)), default=0.0), 3)


def _since(readings: Sequence[NormalizedFrame], at: float) -> Sequence[NormalizedFrame]:
    return readings[bisect_right(readings, at, key=lambda each: each.at) :]


def _loudest(readings: Sequence[NormalizedFrame]) -> float | None:
    """Return the mean call over the louder half: a voice has pauses, which are not calm."""
    calls = sorted(each.call for each in readings if each.call is not None)
    louder = calls[len(calls) // 2 :]
    return sum(louder) / len(louder) if louder else None


def _mean_motion(readings: Sequence[NormalizedFrame]) -> float | None:
    motions = [each.motion for each in readings if each.motion is not None]
    return sum(motions) / len(motions) if motions else None


def _see_keys(
    frame: SignalFrame, usuals: Baselines, before: Sequence[NormalizedFrame]
) -> tuple[bool, Baselines]:
    """Tell whether the scene changed since the last keyframe, if no jolt has told so already."""
    cut = False
    for key in frame.keys:
        if usuals.last_key is not None:
            told = any(each.cut for each in before if each.at > usuals.last_key.time)
            change = _change(usuals.last_key.cells, key.cells)
            usual = usuals.key_change.usual(_CHANGE_SPREAD)
            limit = max(_KEY_CHANGE, _KEY_CHANGE_RATIO * usual.level if usual else 0.0)
            cut = cut or (change > limit and not told)
            usuals = usuals.model_copy(update={"key_change": usuals.key_change.add(change)})
        usuals = usuals.model_copy(update={"last_key": key})
    return cut, usuals


def _change(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the mean absolute difference of two small pictures, over luma and colour, 0 to 255."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(other) * _PLANES
