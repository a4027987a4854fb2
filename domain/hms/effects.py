"""What an event asks for, in our own terms; it is stored with the event until it is done.

What each event of 100ms means for a stream; the table of docs/webhooks-100ms.md, as code.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import Field

from domain.hms.events import (
    BeamData,
    HlsFailure,
    HlsRecording,
    HlsStarted,
    HlsStopped,
    HmsEvent,
    RoomEnded,
    SessionData,
)
from domain.model import Model

_STREAM = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a007")


class BeamRef(Model):
    """One run of HLS in a room: what a stream of ours is.

    Attributes:
        key: 100ms's `beam_id`, else its session or job, with the kind before it. A URL never names
            a beam, since successive sessions of a room share one.
        job_id: 100ms's `job_id`, under which its list of live streams may have the beam. Where the
            list told of the beam first, nobody knows which of the two its id is: it stands in both.
    """

    key: str
    room_id: str | None = None
    session_id: str | None = None
    job_id: str | None = None

    @property
    def partition(self) -> str:
        """What must be done in order: a session's events, in which a room's beams follow."""
        return partition_of(session_id=self.session_id, room_id=self.room_id) or self.key

    @property
    def listed_key(self) -> str | None:
        """The key that the beam has if the list told of it first, under its job's id."""
        return None if self.job_id is None else beam_key(self.job_id)


def beam_key(identity: str) -> str:
    """Return the key of the beam that has an id."""
    return f"beam:{identity}"


def partition_of(*, session_id: str | None, room_id: str | None) -> str | None:
    """Return the name of the order to which events of a session or room belong."""
    if session_id is not None:
        return f"session:{session_id}"
    return None if room_id is None else f"room:{room_id}"


def beam_stream_id(*, tenant_id: UUID, connection_id: UUID, key: str) -> UUID:
    """Return the id of the stream that follows a beam: whatever comes twice names the same one."""
    return uuid5(_STREAM, f"{tenant_id}/{connection_id}/{key}")


class EndKind(StrEnum):
    """Whether a beam ended as meant."""

    STOPPED = "stopped"
    FAILED = "failed"


class StartStream(Model):
    """Follow the beam's playlist."""

    kind: Literal["start"] = "start"
    beam: BeamRef
    url: str
    started_at: datetime | None = None


class EndStream(Model):
    """Nothing more will come of the beam; `error_type` is 100ms's word for a failure."""

    kind: Literal["end"] = "end"
    beam: BeamRef
    how: EndKind
    message: str
    error_type: str = ""


class OfferRecording(Model):
    """There is a recording of the beam: `url` of a playlist or file, `duration` in seconds."""

    kind: Literal["recording"] = "recording"
    beam: BeamRef
    url: str
    duration: float | None = None


class EndSession(Model):
    """A session is over, and with it all its beams; without its id, the beams open in the room."""

    kind: Literal["end_session"] = "end_session"
    session_id: str | None = None
    room_id: str | None = None
    message: str

    @property
    def partition(self) -> str | None:
        """Return the order to which it belongs."""
        return partition_of(session_id=self.session_id, room_id=self.room_id)


class Annotate(Model):
    """Keep the event with its beam; nothing changes."""

    kind: Literal["annotate"] = "annotate"
    beam: BeamRef | None = None
    note: str


class Ignore(Model):
    """Keep the event; it cannot be acted upon, as `note` says."""

    kind: Literal["ignore"] = "ignore"
    note: str


Effect = Annotated[
    StartStream | EndStream | OfferRecording | EndSession | Annotate | Ignore,
    Field(discriminator="kind"),
]


_FAILURE = "failure:"
"""How `hls.stopped.success` begins its reason when the stream did not end as meant."""


def effect_of(event: HmsEvent) -> Effect:
    """Return what to do about an event."""
    effect: Effect
    data = event.data
    match data:
        case HlsStarted():
            effect = _started(event, data)
        case HlsStopped():
            effect = _stopped(data)
        case HlsFailure():
            effect = _failed(data)
        case HlsRecording():
            effect = _recorded(data)
        case SessionData() if event.type == "session.close.success":
            effect = _session_over(event, message="100ms: the session closed")
        case RoomEnded() if event.type == "room.end.success":
            reason = f": {data.reason}" if data.reason else ""
            effect = _session_over(event, message=f"100ms: the room was ended{reason}")
        case _ if event.is_known:
            beam = beam_of(data) if isinstance(data, BeamData) else None
            effect = Annotate(beam=beam, note=f"{event.type} changes no stream")
        case _:
            effect = Ignore(note="not a type that 100ms documents")
    return effect


def beam_of(data: BeamData) -> BeamRef | None:
    """Return which beam an event is about; None when it names none."""
    for kind, value in (
        ("beam", data.beam_id),
        ("session", data.session_id),
        ("job", data.job_id),
    ):
        if value is not None:
            return BeamRef(
                key=f"{kind}:{value}",
                room_id=data.room_id,
                session_id=data.session_id,
                job_id=data.job_id,
            )
    return None


def _started(event: HmsEvent, data: HlsStarted) -> Effect:
    beam = beam_of(data)
    if beam is None:
        return Ignore(note="the event names neither beam, session nor job")
    if not data.url:
        return Ignore(note="the event names no playlist")
    if event.is_replay:
        # Whether it still runs is for reconciliation to find out: 100ms replays old events.
        return Annotate(beam=beam, note="a replayed start opens nothing")
    return StartStream(beam=beam, url=data.url, started_at=data.started_at or event.timestamp)


def _stopped(data: HlsStopped) -> Effect:
    beam = beam_of(data)
    if beam is None:
        return Ignore(note="the event names neither beam, session nor job")
    reason = data.reason or "stopped"
    if reason.lower().startswith(_FAILURE):
        error = reason[len(_FAILURE) :].strip()
        return EndStream(
            beam=beam, how=EndKind.FAILED, message="100ms stopped the stream", error_type=error
        )
    return EndStream(beam=beam, how=EndKind.STOPPED, message=f"100ms: {reason}")


def _failed(data: HlsFailure) -> Effect:
    beam = beam_of(data)
    if beam is None:
        return Ignore(note="the event names neither beam, session nor job")
    return EndStream(
        beam=beam,
        how=EndKind.FAILED,
        message=data.error_message or "100ms reported a failure",
        error_type=data.error_type or "",
    )


def _recorded(data: HlsRecording) -> Effect:
    beam = beam_of(data)
    if beam is None:
        return Ignore(note="the event names neither beam, session nor job")
    url = data.hls_vod_recording_presigned_url or data.hls_vod_recording_path
    if not url:
        return Annotate(beam=beam, note="the recording has no playlist for viewing on demand")
    duration = data.duration if data.duration is not None and data.duration >= 0 else None
    return OfferRecording(beam=beam, url=url, duration=duration)


def _session_over(event: HmsEvent, *, message: str) -> Effect:
    session, room = event.data.session_id, event.data.room_id
    if session is None and room is None:
        return Ignore(note="the event names neither session nor room")
    return EndSession(session_id=session, room_id=room, message=message)
