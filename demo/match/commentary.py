"""What the commentator of a scripted match says, in words: the captions of its stream."""

from __future__ import annotations

from typing import Final

from demo.match.script import Moment, Truth
from demo.origin.captions import Caption

_CALM: Final = (
    "They keep it simple in midfield.",
    "Patient build-up, nobody wants to lose it here.",
    "Plenty of time left on the clock.",
    "Back to the keeper, and they start again.",
)
_EVERY: Final = 9.0
_LASTS: Final = 3.0
_AFTER_PEAK: Final = 0.8


def spoken(truth: Truth) -> tuple[Caption, ...]:
    """Return what is said: each moment is named just after its peak, and calm talk lies between."""
    called = [_call(moment) for moment in truth.moments]
    calm = []
    for number in range(int(truth.duration / _EVERY)):
        start = number * _EVERY
        if all(abs(start - each.start) > _EVERY for each in called):
            text = _CALM[(number + truth.seed) % len(_CALM)]
            calm.append(Caption(start=start, end=start + _LASTS, text=text))
    return tuple(sorted([*called, *calm], key=lambda each: each.start))


def _call(moment: Moment) -> Caption:
    start = round(moment.peak + _AFTER_PEAK, 3)
    kind = moment.kind.replace("_", " ")
    text = f"{kind.upper()}! What a {kind}, would you believe it!"
    return Caption(start=start, end=round(start + _LASTS, 3), text=text)
