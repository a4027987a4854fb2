"""The life of one beam as its events tell it, in whatever order they come.

The rule remembers an end even where no start was seen (a tombstone), so that the start, when it
comes late, opens nothing that would have nobody to close it.
"""

from __future__ import annotations

from enum import StrEnum

from domain.hms.effects import EndKind, EndStream, OfferRecording, StartStream
from domain.model import Model


class BeamEnd(Model):
    """How a beam ended."""

    how: EndKind
    message: str
    error_type: str = ""


class BeamRecording(Model):
    """A recording of a beam: `url` of a playlist or file, `duration` in seconds."""

    url: str
    duration: float | None = None


class Beam(Model):
    """What is known of a beam.

    Attributes:
        opened: a stream was made for it.
        end: the first end that was told; later ones change nothing.
        recording: the last recording that was told.
    """

    opened: bool = False
    end: BeamEnd | None = None
    recording: BeamRecording | None = None

    @property
    def is_running(self) -> bool:
        """Whether a stream should be following it."""
        return self.opened and self.end is None


class Outcome(StrEnum):
    """What came of an event."""

    STARTED = "started"
    ENDED = "ended"
    RECORDING = "recording"
    NOTED = "noted"  # kept; nothing to do
    STARTED_BEFORE = "started_before"
    TOO_LATE = "too_late"  # a start whose end had come
    BEFORE_START = "before_start"  # an end or a recording without a start
    ENDED_BEFORE = "ended_before"
    REFUSED = "refused"  # the stream may not be made
    GIVEN_UP = "given_up"  # failed on every attempt


class Command(StrEnum):
    """What to tell the beam's stream; each may be told twice."""

    START = "start"
    END = "end"
    RECORDING = "recording"


class Step(Model):
    """A beam after an event, what its stream is to be told, and what to say of the event."""

    beam: Beam
    command: Command | None = None
    outcome: Outcome


SESSION_CLOSED = BeamEnd(how=EndKind.STOPPED, message="100ms: its session had closed")


def advance(
    beam: Beam, effect: StartStream | EndStream | OfferRecording, *, session_closed: bool = False
) -> Step:
    """Return what an event makes of a beam.

    Commands are repeated rather than left out where an event comes again, since the process that
    was to give them the first time may have died between writing this down and doing it.

    Args:
        beam: as it is known.
        effect: what the event asks for.
        session_closed: its session is known to be over, which ends a beam before it begins.
    """
    match effect:
        case StartStream():
            return _start(beam, session_closed=session_closed)
        case EndStream():
            return _end(beam, effect)
        case OfferRecording():
            recorded = BeamRecording(url=effect.url, duration=effect.duration)
            after = beam.model_copy(update={"recording": recorded})
            if not beam.opened:
                return Step(beam=after, outcome=Outcome.BEFORE_START)
            return Step(beam=after, command=Command.RECORDING, outcome=Outcome.RECORDING)


def _start(beam: Beam, *, session_closed: bool) -> Step:
    if session_closed and beam.end is None:
        beam = beam.model_copy(update={"end": SESSION_CLOSED})
    if beam.end is not None:
        command = Command.END if beam.opened else None
        return Step(beam=beam, command=command, outcome=Outcome.TOO_LATE)
    outcome = Outcome.STARTED_BEFORE if beam.opened else Outcome.STARTED
    opened = beam.model_copy(update={"opened": True})
    return Step(beam=opened, command=Command.START, outcome=outcome)


def _end(beam: Beam, effect: EndStream) -> Step:
    outcome = Outcome.ENDED_BEFORE
    if beam.end is None:
        outcome = Outcome.ENDED if beam.opened else Outcome.BEFORE_START
        end = BeamEnd(how=effect.how, message=effect.message, error_type=effect.error_type)
        beam = beam.model_copy(update={"end": end})
    return Step(beam=beam, command=Command.END if beam.opened else None, outcome=outcome)
