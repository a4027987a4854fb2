"""The product without one of its signals: what each is worth.

A signal that is taken away is not absent, which the analyzer would make up for where it can: it is
there and tells nothing, held at its own median over the whole video, so that it never rises above
what is usual. `all sound` and `all pictures` are truly absent, as in a stream without that track.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Final, TypeVar

from domain.analysis.signals import SegmentSignals, SignalFrame
from domain.model import Model

Signals = Sequence[SegmentSignals | None]

_Heard = TypeVar("_Heard", bound=Model)


def without(name: str, signals: Signals) -> Signals:
    """Return the signals without the one of this name, a key of `ABLATIONS`."""
    return ABLATIONS[name](signals)


def _still(
    signals: Signals, *, sound: Iterable[str] = (), picture: Iterable[str] = (), keys: bool = True
) -> Signals:
    """Hold fields at their median; without `keys` no keyframe can tell of a cut either."""
    sounds = _medians((f.sound for f in _frames(signals)), sound)
    pictures = _medians((f.picture for f in _frames(signals)), picture)

    def still(frame: SignalFrame) -> SignalFrame:
        return frame.model_copy(
            update={
                "sound": frame.sound and frame.sound.model_copy(update=sounds),
                "picture": frame.picture and frame.picture.model_copy(update=pictures),
                "keys": frame.keys if keys else (),
            }
        )

    return _each(signals, still)


def _medians(frames: Iterable[_Heard | None], fields: Iterable[str]) -> Mapping[str, float]:
    known = [frame for frame in frames if frame is not None]
    return {name: median(getattr(frame, name) for frame in known) for name in fields if known}


def _frames(signals: Signals) -> list[SignalFrame]:
    return [frame for each in signals if each is not None for frame in each.frames]


def _each(signals: Signals, change: Callable[[SignalFrame], SignalFrame]) -> Signals:
    return [
        each and each.model_copy(update={"frames": tuple(change(frame) for frame in each.frames)})
        for each in signals
    ]


def _deaf(signals: Signals) -> Signals:
    return _each(signals, lambda frame: frame.model_copy(update={"sound": None}))


def _blind(signals: Signals) -> Signals:
    return _each(signals, lambda frame: frame.model_copy(update={"picture": None, "keys": ()}))


ABLATIONS: Final[dict[str, Callable[[Signals], Signals]]] = {
    "loudness": lambda signals: _still(signals, sound=("loudness",)),
    "crowd band": lambda signals: _still(signals, sound=("roar",)),
    "onsets": lambda signals: _still(signals, sound=("onset",)),
    "speech-like": lambda signals: _still(signals, sound=("speech_band", "voicing")),
    "tonality": lambda signals: _still(signals, sound=("tonality",)),
    "scene changes": lambda signals: _still(signals, picture=("jolt",), keys=False),
    "motion": lambda signals: _still(signals, picture=("motion",)),
    "all sound": _deaf,
    "all pictures": _blind,
}
"""By the name of what is taken away."""
