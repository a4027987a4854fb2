"""The life of one beam as its events tell it, in whatever order they come.

The rule remembers an end even where no start was seen (a tombstone), so that the start, when it
comes late, opens nothing that would have nobody to close it.

How an event's effect reaches its stream, so that no crash leaves one running after its end.

There are two places to write to. What is known of a beam is written before its stream is told, and
after a start it is read once more. So of a start and an end at the same moment one always sees the
other: either the end was written before the second look, or the stream was there when the end was
told.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from domain.hms.effects import (
    Annotate,
    BeamRef,
    Effect,
    EndKind,
    EndSession,
    EndStream,
    Ignore,
    OfferRecording,
    StartStream,
)
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
    RECOVERED = "recovered"  # a recording of a beam whose start was never told
    NOTED = "noted"  # kept; nothing to do
    STARTED_BEFORE = "started_before"
    TOO_LATE = "too_late"  # a start whose end had come
    BEFORE_START = "before_start"  # an end without a start
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


RECORDED = BeamEnd(how=EndKind.STOPPED, message="100ms: its recording was complete")
"""How a beam ended that was missed altogether: 100ms records to the end before it tells."""


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
            return _record(beam, effect)


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


def _record(beam: Beam, effect: OfferRecording) -> Step:
    recorded = BeamRecording(url=effect.url, duration=effect.duration)
    beam = beam.model_copy(update={"recording": recorded})
    if beam.opened:
        return Step(beam=beam, command=Command.RECORDING, outcome=Outcome.RECORDING)
    # Its stream is made for the recording alone, so a start that comes later must not open it.
    over = beam.model_copy(update={"end": beam.end or RECORDED})
    return Step(beam=over, command=Command.RECORDING, outcome=Outcome.RECOVERED)


class StreamRefusedError(Exception):
    """A stream that may not be made, and will not be on the next attempt either."""


class BeamBook(Protocol):
    """What is known of the beams of one connection, durable."""

    async def advance(self, effect: StartStream | EndStream | OfferRecording) -> Step:
        """Apply the rule to the beam as one step.

        A start makes the stream's row with it, and so does a recording of a beam without a start.

        Raises:
            StreamRefusedError: the stream may not be made.
        """

    async def look(self, ref: BeamRef) -> Beam:
        """Return what is known of a beam now, an end by that of its session included."""

    async def close_session(self, effect: EndSession) -> tuple[BeamRef, ...]:
        """Note that a session is over; return its beams whose streams have not ended.

        Those are beams that were opened, an end that is known but may not have been told included.
        Without a session's id they are those of the room.
        """


class StreamControl(Protocol):
    """The streams that follow the beams of one connection; all may be told twice."""

    async def start(self, ref: BeamRef) -> None:
        """Let the beam's stream begin."""

    async def end(self, ref: BeamRef, end: BeamEnd) -> None:
        """Let the beam's stream end, if it is running."""

    async def offer(self, ref: BeamRef, recording: BeamRecording) -> None:
        """Tell the beam's stream of a recording; one that does not run is filled from it."""


async def deliver(effect: Effect, *, beams: BeamBook, streams: StreamControl) -> Outcome:
    """Bring an effect to its streams; doing it again is doing it once."""
    match effect:
        case Annotate() | Ignore():
            return Outcome.NOTED
        case EndSession():
            return await _end_session(effect, beams=beams, streams=streams)
        case StartStream() | EndStream() | OfferRecording():
            return await _deliver_to_one(effect, beams=beams, streams=streams)


async def _deliver_to_one(
    effect: StartStream | EndStream | OfferRecording, *, beams: BeamBook, streams: StreamControl
) -> Outcome:
    try:
        step = await beams.advance(effect)
    except StreamRefusedError:
        return Outcome.REFUSED
    if step.command is Command.START:
        await streams.start(effect.beam)
        seen = await beams.look(effect.beam)
        if seen.end is not None:
            await streams.end(effect.beam, seen.end)
    elif step.command is Command.END and step.beam.end is not None:
        await streams.end(effect.beam, step.beam.end)
    elif step.command is Command.RECORDING and step.beam.recording is not None:
        await streams.offer(effect.beam, step.beam.recording)
    return step.outcome


async def _end_session(effect: EndSession, *, beams: BeamBook, streams: StreamControl) -> Outcome:
    outcome = Outcome.NOTED
    for ref in await beams.close_session(effect):
        end = EndStream(beam=ref, how=EndKind.STOPPED, message=effect.message)
        await _deliver_to_one(end, beams=beams, streams=streams)
        outcome = Outcome.ENDED
    return outcome
