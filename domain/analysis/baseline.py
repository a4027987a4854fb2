"""Baselines of a stream's signals, and frames normalized against them.

A baseline is a robust level and spread over the last three minutes of one signal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pydantic import ConfigDict, Field

from domain.analysis.signals import SILENCE, KeyPicture, SignalFrame
from domain.model import Model

BASELINE_SAMPLES: Final = 180
"""Samples in a baseline, one per second: three minutes."""


_TRUSTED: Final = 30


_MAD_TO_SIGMA: Final = 1.4826


class Baseline(Model):
    """Recent samples of one signal, one per second."""

    samples: tuple[float, ...] = ()

    def add(self, sample: float) -> Baseline:
        """Return the baseline with one more sample."""
        return Baseline(samples=(*self.samples, round(sample, 2))[-BASELINE_SAMPLES:])

    def typical(self, spread: SpreadBounds) -> TypicalLevel | None:
        """Return the typical level and spread; None if there is no sample.

        The level is the median and the spread the median absolute deviation times 1.4826, which
        estimates the standard deviation of a normal signal (Rousseeuw and Croux, JASA 88, 1993).
        Both are robust while fewer than half of the samples are moments, adverts or a new level.
        """
        return _typical(self.samples, spread) if self.samples else None


class SpreadBounds(Model):
    """Bounds of a signal's spread, in the unit of the signal.

    Attributes:
        least: minimum, so that noise in a constant signal is not significant.
        most: maximum, so that adverts and silences do not hide moments.
        prior: spread before there are samples; its weight fades out over the first half minute.
    """

    least: float
    most: float
    prior: float


class TypicalLevel(Model):
    """A typical level and spread, in the unit of the signal."""

    level: float
    spread: float

    def sigmas(self, value: float) -> float:
        """Return the distance of `value` above the level, in spreads."""
        return (value - self.level) / self.spread


@lru_cache(maxsize=64)  # called four times per second, and new samples come once per second
def _typical(samples: tuple[float, ...], spread: SpreadBounds) -> TypicalLevel:
    level = quantile(samples, 0.5)
    measured = _MAD_TO_SIGMA * quantile([abs(each - level) for each in samples], 0.5)
    doubt = max(0.0, 1.0 - len(samples) / _TRUSTED)
    estimate = measured * (1.0 - doubt) + spread.prior * doubt
    return TypicalLevel(level=level, spread=min(spread.most, max(spread.least, estimate)))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank, lower)."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))]


FRAME_HISTORY: Final = 40.0
"""Seconds of frames kept: a moment, its build-up and the level before that."""


_WARM_UP: Final = 7


# Bounds of the spread of each signal, in its unit.
_CROWD_SPREAD: Final = SpreadBounds(least=1.5, most=3.0, prior=2.5)


_VOICE_SPREAD: Final = SpreadBounds(least=2.5, most=6.0, prior=4.0)


_MOTION_SPREAD: Final = SpreadBounds(least=0.3, most=1.0, prior=0.8)


_JOLT_SPREAD: Final = SpreadBounds(least=0.1, most=1.0, prior=0.3)


_CHANGE_SPREAD: Final = SpreadBounds(least=1.0, most=10.0, prior=2.0)


_JOLT: Final = 1.2


_PLANES: Final = 3


_KEY_CHANGE: Final = 14.0


_KEY_CHANGE_RATIO: Final = 2.5


# A level that has held for a while is the new baseline, whatever the last minutes were.
_LOCAL_WINDOW: Final = (24.0, 8.0)


_LOCAL_SHARE: Final = 0.35


_LOCAL_LEAST: Final = 24


# A level that ended two seconds ago is no longer the baseline.
_LEFT_SHARE: Final = 0.25


# A crowd is always heard: three quarters of the time at most this far (dB) below its usual level.
_CROWD_DIP: Final = 10.0


_VOICED: Final = 0.6


_UNVOICED_DB: Final = 30.0


class NormalizedFrame(Model):
    """Measurements of one frame, absolute and relative to the stream's baselines.

    Attributes:
        at: middle of the frame, seconds of media time.
        duration: seconds.
        loudness: LUFS; None without audio.
        crowd_level: dB, at least `SILENCE`; None without audio.
        voice_level: dB, unvoiced sound discounted; None without audio.
        onset: spectral flux, dB; None without audio.
        tonality: 0 (noise) to 1 (tones).
        motion: log2 of bytes per picture; None without video.
        jolt: log2 of the largest picture over its neighbors; None without video.
        cut: True if the scene changed or flashed.
        crowd: smoothed rise of the crowd level above its baseline, dB.
        crowd_sigmas: the same in spreads.
        voice: rise of the voice level, in spreads.
        moving: rise of motion, in spreads.
        level: excitement, the weighted sum of crowd, voice and motion, in spreads.
        picture: perceptual hash of the frame's keyframe; None without one.
    """

    # Aliases are the field names in stored analyzer states.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    at: float
    duration: float
    loudness: float | None = None
    crowd_level: float | None = Field(default=None, alias="roar")
    voice_level: float | None = Field(default=None, alias="call")
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
    """The baselines of a stream, one per signal, and the last keyframe."""

    # Aliases are the field names in stored analyzer states.
    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    crowd_level: Baseline = Field(default=Baseline(), alias="roar")
    voice_level: Baseline = Field(default=Baseline(), alias="call")
    onset: Baseline = Baseline()
    motion: Baseline = Baseline()
    jolt: Baseline = Baseline()
    loudness: Baseline = Baseline()
    tonality: Baseline = Baseline()
    cut: Baseline = Baseline()
    key_change: Baseline = Baseline()
    last_key: KeyPicture | None = None

    def of(self, channel: str) -> Baseline:
        """Return the baseline of a field of `NormalizedFrame`.

        Raises:
            KeyError: it has none.
        """
        return {
            "loudness": self.loudness,
            "crowd_level": self.crowd_level,
            "voice_level": self.voice_level,
            "onset": self.onset,
            "tonality": self.tonality,
            "motion": self.motion,
            "jolt": self.jolt,
            "cut": self.cut,
        }[channel]

    def learn(self, second: Sequence[NormalizedFrame]) -> Baselines:
        """Return the baselines with the means of one more second of frames."""
        return Baselines(
            crowd_level=_learned(self.crowd_level, [each.crowd_level for each in second]),
            voice_level=_learned(self.voice_level, [each.voice_level for each in second]),
            onset=_learned(self.onset, [each.onset for each in second]),
            motion=_learned(self.motion, [each.motion for each in second]),
            jolt=_learned(self.jolt, [each.jolt for each in second]),
            loudness=_learned(self.loudness, [each.loudness for each in second]),
            tonality=_learned(self.tonality, [each.tonality for each in second]),
            cut=_learned(self.cut, [float(each.cut) for each in second]),
            key_change=self.key_change,
            last_key=self.last_key,
        )

    def with_key(self, key: KeyPicture, *, change: float | None) -> Baselines:
        """Return the baselines after a keyframe.

        Args:
            key: the keyframe.
            change: its difference from the keyframe before; None for the first one.
        """
        return Baselines(
            crowd_level=self.crowd_level,
            voice_level=self.voice_level,
            onset=self.onset,
            motion=self.motion,
            jolt=self.jolt,
            loudness=self.loudness,
            tonality=self.tonality,
            cut=self.cut,
            key_change=self.key_change if change is None else self.key_change.add(change),
            last_key=key,
        )


def hears_crowd(crowd_level: Baseline) -> bool:
    """Return True if a stream has a crowd; False if its sound comes and goes, as that of a game.

    Args:
        crowd_level: baseline of the crowd level.
    """
    if not crowd_level.samples:
        return False
    usual = quantile(crowd_level.samples, 0.5)
    return usual > SILENCE and usual - quantile(crowd_level.samples, 0.25) <= _CROWD_DIP


def _learned(baseline: Baseline, values: Sequence[float | None]) -> Baseline:
    known = [value for value in values if value is not None]
    return baseline.add(sum(known) / len(known)) if known else baseline


def normalize(
    frame: SignalFrame, baselines: Baselines, before: Sequence[NormalizedFrame]
) -> tuple[NormalizedFrame, Baselines]:
    """Normalize a frame, and return it with the baselines updated by its keyframes.

    Args:
        frame: the frame.
        baselines: the stream's baselines before it.
        before: the frames before it, oldest first.
    """
    cut, baselines = _detect_cut(frame, baselines, before)
    measured = _measured(frame)
    jolt = baselines.jolt.typical(_JOLT_SPREAD)
    if measured.jolt is not None and measured.jolt > _JOLT + (
        max(0.0, jolt.level) if jolt else 0.0
    ):
        cut = True
    recent = _since(before, frame.middle - _LOCAL_WINDOW[0])
    crowd, crowd_sigmas = _crowd(measured, baselines.crowd_level, recent)
    voice = _rise(
        baselines.voice_level, _VOICE_SPREAD, _loudest([*last_frames(recent, 1.5), measured])
    )
    moving = _rise(
        baselines.motion, _MOTION_SPREAD, _mean_motion([*last_frames(recent, 1.0), measured])
    )
    cut_lately = cut or any(each.cut for each in last_frames(recent, 1.0))
    normalized = NormalizedFrame(
        at=measured.at,
        duration=measured.duration,
        loudness=measured.loudness,
        crowd_level=measured.crowd_level,
        voice_level=measured.voice_level,
        onset=measured.onset,
        tonality=measured.tonality,
        motion=measured.motion,
        jolt=measured.jolt,
        cut=cut,
        crowd=crowd,
        crowd_sigmas=crowd_sigmas,
        voice=voice,
        moving=moving,
        level=_level(crowd_sigmas, voice, moving, cut_lately=cut_lately),
        picture=measured.picture,
    )
    return normalized, baselines


def _measured(frame: SignalFrame) -> NormalizedFrame:
    """Return the frame's absolute measurements."""
    sound, picture = frame.sound, frame.picture
    return NormalizedFrame(
        at=round(frame.middle, 3),
        duration=frame.duration,
        loudness=sound.loudness if sound else None,
        crowd_level=max(SILENCE, sound.roar) if sound else None,
        voice_level=max(
            SILENCE, sound.speech_band - _UNVOICED_DB * max(0.0, _VOICED - sound.voicing)
        )
        if sound
        else None,
        onset=sound.onset if sound else None,
        tonality=sound.tonality if sound else 0.0,
        motion=picture.motion if picture else None,
        jolt=picture.jolt if picture else None,
        picture=next((key.hash for key in frame.keys if key.hash is not None), None),
    )


def _level(
    crowd_sigmas: float | None, voice: float | None, moving: float | None, *, cut_lately: bool
) -> float:
    moving = min(max(moving or 0.0, 0.0), 6.0)
    if crowd_sigmas is None:
        return round(moving + (1.0 if cut_lately and moving > 1.0 else 0.0), 3)
    crowd = min(max(crowd_sigmas, 0.0), 10.0)
    voice = min(max(voice or 0.0, 0.0), 4.0)
    return round(crowd + 0.5 * voice + 0.4 * min(moving, 4.0), 3)


def _crowd(
    measured: NormalizedFrame, baseline: Baseline, recent: Sequence[NormalizedFrame]
) -> tuple[float | None, float | None]:
    """Return the rise of the crowd level in dB and in spreads; None if it is not known."""
    typical = baseline.typical(_CROWD_SPREAD)
    if typical is None or len(baseline.samples) < _WARM_UP or measured.crowd_level is None:
        return None, None
    if max(measured.crowd_level, *baseline.samples) <= SILENCE:
        return None, None  # a silent track has no crowd level
    latest = [each.crowd_level for each in last_frames(recent, 0.5) if each.crowd_level is not None]
    crowd_level = (sum(latest) + measured.crowd_level) / (len(latest) + 1)
    local = [
        each.crowd_level
        for each in recent
        if each.crowd_level is not None and each.at <= measured.at - _LOCAL_WINDOW[1]
    ]
    level = typical.level
    lately = [
        each.crowd_level
        for each in recent
        if each.crowd_level is not None and each.at > measured.at - _LOCAL_WINDOW[1]
    ]
    if len(local) >= _LOCAL_LEAST and lately:
        held = min(quantile(local, _LOCAL_SHARE), quantile(lately, _LEFT_SHARE))
        level = max(level, held)
    return round(crowd_level - level, 3), round((crowd_level - level) / typical.spread, 3)


def _rise(baseline: Baseline, spread: SpreadBounds, value: float | None) -> float | None:
    typical = baseline.typical(spread)
    if typical is None or len(baseline.samples) < _WARM_UP or value is None:
        return None
    return round(typical.sigmas(value), 3)


def last_frames(frames: Sequence[NormalizedFrame], seconds: float) -> Sequence[NormalizedFrame]:
    """Return the frames of the last `seconds`, oldest first."""
    if not frames:
        return []
    return _since(frames, frames[-1].at + frames[-1].duration - seconds)


def highest_level(frames: Sequence[NormalizedFrame], *, since: float) -> float:
    """Return the highest excitement since a media time (s), in spreads."""
    return round(max((each.level for each in _since(frames, since)), default=0.0), 3)


def _since(frames: Sequence[NormalizedFrame], at: float) -> Sequence[NormalizedFrame]:
    return frames[bisect_right(frames, at, key=lambda each: each.at) :]


def _loudest(frames: Sequence[NormalizedFrame]) -> float | None:
    """Return the mean voice level of the louder half: pauses within speech do not count."""
    levels = sorted(each.voice_level for each in frames if each.voice_level is not None)
    louder = levels[len(levels) // 2 :]
    return sum(louder) / len(louder) if louder else None


def _mean_motion(frames: Sequence[NormalizedFrame]) -> float | None:
    motions = [each.motion for each in frames if each.motion is not None]
    return sum(motions) / len(motions) if motions else None


def _detect_cut(
    frame: SignalFrame, baselines: Baselines, before: Sequence[NormalizedFrame]
) -> tuple[bool, Baselines]:
    """Return True if the scene changed since the last keyframe and no jolt has shown that yet."""
    cut = False
    for key in frame.keys:
        last = baselines.last_key
        if last is None:
            baselines = baselines.with_key(key, change=None)
            continue
        detected = any(each.cut for each in before if each.at > last.time)
        change = _change(last.cells, key.cells)
        typical = baselines.key_change.typical(_CHANGE_SPREAD)
        limit = max(_KEY_CHANGE, _KEY_CHANGE_RATIO * typical.level if typical else 0.0)
        cut = cut or (change > limit and not detected)
        baselines = baselines.with_key(key, change=change)
    return cut, baselines


def _change(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the mean absolute difference of two thumbnails over luma and color, 0 to 255."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(other) * _PLANES
