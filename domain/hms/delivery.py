"""How an event's effect reaches its stream, so that no crash leaves one running after its end.

There are two places to write to. What is known of a beam is written before its stream is told, and
after a start it is read once more. So of a start and an end at the same moment one always sees the
other: either the end was written before the second look, or the stream was there when the end was
told.
"""

from __future__ import annotations

from typing import Protocol

from domain.hms.beam import Beam, BeamEnd, BeamRecording, Command, Outcome, Step
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


class StreamRefusedError(Exception):
    """A stream that may not be made, and will not be on the next attempt either."""


class BeamBook(Protocol):
    """What is known of the beams of one connection, durable."""

    async def advance(self, effect: StartStream | EndStream | OfferRecording) -> Step:
        """Apply the rule to the beam as one step; a start makes the stream's row with it.

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
        """Tell the beam's stream of a recording."""


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
