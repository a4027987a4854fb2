"""What can go wrong, to be asked for by tests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class On(StrEnum):
    """Where a fault strikes."""

    GENERATE = "generateContent"
    UPLOAD = "upload"
    FILE = "files.get"
    DELETE = "files.delete"
    MODELS = "models.list"


@dataclass(frozen=True)
class Fault:
    """One fault, for one call.

    Attributes:
        on: the kind of call it strikes.
        status: an error of the API by its canonical name.
        delay: seconds that a RESOURCE_EXHAUSTED advises to wait; None gives no advice.
        hang: never answer.
        html: a gateway's error page instead of JSON.
        text: what the model says instead of what it saw.
        cut: how many characters of what it says are sent before MAX_TOKENS ends it.
        finish: the finish reason of an answer without content, such as SAFETY.
        thoughts: tokens that the model thinks before it answers, out of its output limit.
        blocked: the reason for which the prompt itself is refused.
        state: the state in which a file stays, such as PROCESSING or FAILED.
        lose: how many bytes of an upload are lost on the way.
    """

    on: On = On.GENERATE
    status: str | None = None
    delay: float | None = None
    hang: bool = False
    html: bool = False
    text: str | None = None
    cut: int | None = None
    finish: str | None = None
    thoughts: int | None = None
    blocked: str | None = None
    state: str | None = None
    lose: int = 0


class Faults:
    """Faults waiting to strike, first come first served for each kind of call."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        self._waiting += faults

    def take(self, on: On) -> Fault:
        for fault in self._waiting:
            if fault.on is on:
                self._waiting.remove(fault)
                return fault
        return Fault(on=on)
