"""State of a beam, and the protocol that applies an event's effect to its stream.

`advance` is the rule: what an event makes of a beam. It keeps an end even if no start was seen (a
tombstone), so that a start that comes late opens nothing.

`apply_effect` writes to two places, the beam's row and the stream's workflow. The row is written
first, then the workflow is called, and after a start the row is read once more. So of a start and
an end that are applied at the same moment, one always sees the other: either the end was written
before the second read, or the workflow existed when the end was sent to it. Every call may be
repeated, so an event is done once it was applied without a crash. The events of a session are
applied by one process at a time (`workflows/session.py`), except where a process that counts as
dead goes on, and where the end of a room meets a session of it.
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
    """The end of a beam."""

    how: EndKind
    message: str
    error_type: str = ""


class BeamRecording(Model):
    """A recording of a beam: `url` of a playlist or file, `duration` in seconds."""

    url: str
    duration: float | None = None


class Beam(Model):
    """State of a beam.

    Attributes:
        opened: a stream was created for it.
        end: the first end that was reported; later ones change nothing.
        recording: the latest recording that was reported.
    """

    opened: bool = False
    end: BeamEnd | None = None
    recording: BeamRecording | None = None

    @property
    def is_running(self) -> bool:
        """Return True if a stream should be following it."""
        return self.opened and self.end is None

    def open(self) -> Beam:
        """Return the beam with a stream."""
        return Beam(opened=True, end=self.end, recording=self.recording)

    def close(self, end: BeamEnd) -> Beam:
        """Return the beam with an end; the first one stays."""
        return Beam(opened=self.opened, end=self.end or end, recording=self.recording)

    def record(self, recording: BeamRecording) -> Beam:
        """Return the beam with its latest recording."""
        return Beam(opened=self.opened, end=self.end, recording=recording)


class Outcome(StrEnum):
    """Outcome of an event."""

    STARTED = "started"
    ENDED = "ended"
    RECORDING = "recording"
    RECOVERED = "recovered"  # a recording of a beam without a start
    NOTED = "noted"  # kept; nothing to do
    STARTED_BEFORE = "started_before"
    TOO_LATE = "too_late"  # a start whose end had come
    BEFORE_START = "before_start"  # an end without a start
    ENDED_BEFORE = "ended_before"
    REFUSED = "refused"  # the stream may not be made
    GIVEN_UP = "given_up"  # failed on every attempt


class Command(StrEnum):
    """What to do with the beam's stream. Each may be repeated."""

    START = "start"
    END = "end"
    RECORDING = "recording"


class BeamTransition(Model):
    """Result of `advance`: the new state, the command for the stream, and the event's outcome."""

    beam: Beam
    command: Command | None = None
    outcome: Outcome


SESSION_CLOSED = BeamEnd(how=EndKind.STOPPED, message="100ms: its session had closed")


RECORDED = BeamEnd(how=EndKind.STOPPED, message="100ms: its recording was complete")
"""The end of a beam that was missed altogether: 100ms reports a recording once it is complete."""


def advance(
    beam: Beam, effect: StartStream | EndStream | OfferRecording, *, session_closed: bool = False
) -> BeamTransition:
    """Return the state of a beam after an event.

    An event that comes again repeats its command, since the process that applied it before may have
    died between writing the state and executing the command.

    Args:
        beam: its state.
        effect: of the event.
        session_closed: its session is known to be over, which ends a beam before it begins.
    """
    match effect:
        case StartStream():
            return _start(beam, session_closed=session_closed)
        case EndStream():
            return _end(beam, effect)
        case OfferRecording():
            return _record(beam, effect)


def _start(beam: Beam, *, session_closed: bool) -> BeamTransition:
    if session_closed and beam.end is None:
        beam = beam.close(SESSION_CLOSED)
    if beam.end is not None:
        command = Command.END if beam.opened else None
        return BeamTransition(beam=beam, command=command, outcome=Outcome.TOO_LATE)
    outcome = Outcome.STARTED_BEFORE if beam.opened else Outcome.STARTED
    return BeamTransition(beam=beam.open(), command=Command.START, outcome=outcome)


def _end(beam: Beam, effect: EndStream) -> BeamTransition:
    outcome = Outcome.ENDED_BEFORE
    if beam.end is None:
        outcome = Outcome.ENDED if beam.opened else Outcome.BEFORE_START
        end = BeamEnd(how=effect.how, message=effect.message, error_type=effect.error_type)
        beam = beam.close(end)
    return BeamTransition(beam=beam, command=Command.END if beam.opened else None, outcome=outcome)


def _record(beam: Beam, effect: OfferRecording) -> BeamTransition:
    recorded = BeamRecording(url=effect.url, duration=effect.duration)
    beam = beam.record(recorded)
    if beam.opened:
        return BeamTransition(beam=beam, command=Command.RECORDING, outcome=Outcome.RECORDING)
    # Its stream exists for the recording alone, so a later start must not open it.
    return BeamTransition(
        beam=beam.close(RECORDED), command=Command.RECORDING, outcome=Outcome.RECOVERED
    )


class StreamRefusedError(Exception):
    """The stream may not be created; a retry would fail as well."""


class BeamRepository(Protocol):
    """The beams of one connection, durable."""

    async def advance(self, effect: StartStream | EndStream | OfferRecording) -> BeamTransition:
        """Apply the rule to the beam in one transaction.

        A start also creates the stream's row, as does a recording of a beam without a start.

        Raises:
            StreamRefusedError: the stream may not be created.
        """

    async def reload(self, ref: BeamRef) -> Beam:
        """Return the beam's current state; the end of its session counts as its own."""

    async def close_session(self, effect: EndSession) -> tuple[BeamRef, ...]:
        """Record that a session is over; return its opened beams whose streams have not ended.

        Beams whose end is recorded are included, since their streams may not know it yet. Without a
        session id, returns those of the room.
        """


class StreamControl(Protocol):
    """The streams of one connection's beams. Every call may be repeated."""

    async def start(self, ref: BeamRef) -> None:
        """Start the beam's stream."""

    async def end(self, ref: BeamRef, end: BeamEnd) -> None:
        """End the beam's stream if it is running."""

    async def offer(self, ref: BeamRef, recording: BeamRecording) -> None:
        """Offer a recording to the running stream; backfill a stream that has ended."""


async def apply_effect(effect: Effect, *, beams: BeamRepository, streams: StreamControl) -> Outcome:
    """Apply an event's effect to its streams. Idempotent."""
    match effect:
        case Annotate() | Ignore():
            return Outcome.NOTED
        case EndSession():
            return await _end_session(effect, beams=beams, streams=streams)
        case StartStream() | EndStream() | OfferRecording():
            return await _apply_to_beam(effect, beams=beams, streams=streams)


async def _apply_to_beam(
    effect: StartStream | EndStream | OfferRecording,
    *,
    beams: BeamRepository,
    streams: StreamControl,
) -> Outcome:
    try:
        step = await beams.advance(effect)
    except StreamRefusedError:
        return Outcome.REFUSED
    if step.command is Command.START:
        await streams.start(effect.beam)
        current = await beams.reload(effect.beam)
        if current.end is not None:
            await streams.end(effect.beam, current.end)
    elif step.command is Command.END and step.beam.end is not None:
        await streams.end(effect.beam, step.beam.end)
    elif step.command is Command.RECORDING and step.beam.recording is not None:
        await streams.offer(effect.beam, step.beam.recording)
    return step.outcome


async def _end_session(
    effect: EndSession, *, beams: BeamRepository, streams: StreamControl
) -> Outcome:
    outcome = Outcome.NOTED
    for ref in await beams.close_session(effect):
        end = EndStream(beam=ref, how=EndKind.STOPPED, message=effect.message)
        await _apply_to_beam(end, beams=beams, streams=streams)
        outcome = Outcome.ENDED
    return outcome
