"""What follows a moment: until the excitement has gone, it is still that moment."""

from __future__ import annotations

from domain.model import Model
from domain.moment import Moment


class Rest(Model):
    """The aftermath of a settled moment: until the excitement has gone, it is still that moment.

    `since` is when it was settled and `peak` its peak (s of media time), `level` the excitement
    there and `lowest` the least since, `roar` the loudest roar (dB), `told` whether it was proposed
    as clear, and `moment` what was told then: a mark that comes later is put on it.
    """

    since: float
    peak: float
    level: float
    lowest: float
    roar: float | None
    told: bool
    moment: Moment | None = None
    over: bool = False
