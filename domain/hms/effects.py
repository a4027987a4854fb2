"""What an event asks for, in our own terms; it is stored with the event until it is done."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import Field

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
    def lane(self) -> str:
        """What must be done in order: a session's events, in which a room's beams follow."""
        return lane_of(session_id=self.session_id, room_id=self.room_id) or self.key

    @property
    def listed_key(self) -> str | None:
        """The key that the beam has if the list told of it first, under its job's id."""
        return None if self.job_id is None else beam_key(self.job_id)


def beam_key(identity: str) -> str:
    """Return the key of the beam that has an id."""
    return f"beam:{identity}"


def lane_of(*, session_id: str | None, room_id: str | None) -> str | None:
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
    def lane(self) -> str | None:
        """Return the order to which it belongs."""
        return lane_of(session_id=self.session_id, room_id=self.room_id)


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
