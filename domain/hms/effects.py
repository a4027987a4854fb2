"""Effects of 100ms events, stored with the event, and the mapping from events to effects.

`effect_of` is the table of docs/webhooks-100ms.md as code.
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
    """Reference to a beam: one run of HLS in a room, which one stream follows.

    Attributes:
        key: 100ms's `beam_id`, else its session or job, prefixed with the kind. A URL never
            identifies a beam, since successive sessions of a room share one.
        job_id: 100ms's `job_id`, by which its list of live streams may name the beam. If the beam
            was first seen in the list, it is unknown which of the two the listed id is, so `key`
            and `job_id` both hold it.
    """

    key: str
    room_id: str | None = None
    session_id: str | None = None
    job_id: str | None = None

    @property
    def partition(self) -> str:
        """Name of the order in which events are processed: the session, else the room."""
        return partition_of(session_id=self.session_id, room_id=self.room_id) or self.key

    @property
    def listed_key(self) -> str | None:
        """The key of the beam if it was first seen in the list, under its job's id."""
        return None if self.job_id is None else beam_key(self.job_id)


def beam_key(identity: str) -> str:
    """Return the key of the beam that has an id."""
    return f"beam:{identity}"


def partition_of(*, session_id: str | None, room_id: str | None) -> str | None:
    """Return the name of the order in which the events of a session, else a room, are processed."""
    if session_id is not None:
        return f"session:{session_id}"
    return None if room_id is None else f"room:{room_id}"


def beam_stream_id(*, tenant_id: UUID, connection_id: UUID, key: str) -> UUID:
    """Return the id of the stream that follows a beam. Deterministic, so retries find it."""
    return uuid5(_STREAM, f"{tenant_id}/{connection_id}/{key}")


class EndKind(StrEnum):
    """How a beam ended."""

    STOPPED = "stopped"
    FAILED = "failed"


class StartStream(Model):
    """Follow the beam's playlist."""

    kind: Literal["start"] = "start"
    beam: BeamRef
    url: str
    started_at: datetime | None = None


class EndStream(Model):
    """End the beam's stream; `error_type` is 100ms's code of a failure."""

    kind: Literal["end"] = "end"
    beam: BeamRef
    how: EndKind
    message: str
    error_type: str = ""


class OfferRecording(Model):
    """Offer a recording of the beam: `url` of a playlist or file, `duration` in seconds."""

    kind: Literal["recording"] = "recording"
    beam: BeamRef
    url: str
    duration: float | None = None


class EndSession(Model):
    """End all streams of a session; without its id, the streams open in the room."""

    kind: Literal["end_session"] = "end_session"
    session_id: str | None = None
    room_id: str | None = None
    message: str

    @property
    def partition(self) -> str | None:
        """Name of the order in which it is processed."""
        return partition_of(session_id=self.session_id, room_id=self.room_id)


class Annotate(Model):
    """Keep the event with its beam; it changes nothing."""

    kind: Literal["annotate"] = "annotate"
    beam: BeamRef | None = None
    note: str


class Ignore(Model):
    """Keep the event; it has no effect, for the reason in `note`."""

    kind: Literal["ignore"] = "ignore"
    note: str


Effect = Annotated[
    StartStream | EndStream | OfferRecording | EndSession | Annotate | Ignore,
    Field(discriminator="kind"),
]


_FAILURE = "failure:"
"""Prefix of the reason in `hls.stopped.success` if the stream failed."""


def effect_of(event: HmsEvent) -> Effect:
    """Return the effect of an event."""
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
    """Return the beam that an event concerns, or None if it names none."""
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
        # 100ms replays old events; reconciliation finds out whether the stream still runs.
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
