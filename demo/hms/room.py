"""Rooms and their sessions, and what 100ms says when somebody comes or goes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from demo.hms.beam import Beam
from demo.hms.event import nanoseconds, object_id, whole_seconds
from demo.model import Model
from demo.origin import Faults, Mark


class BeamOptions(Model):
    """How a session is streamed: timed metadata, what goes wrong, and whether it is recorded."""

    marks: tuple[Mark, ...] = ()
    faults: Faults = Faults()
    recorded: bool = True


class Stage(Protocol):
    """What a session needs of the simulator."""

    def announce(self, kind: str, data: dict[str, Any]) -> None:
        """Send an event."""

    async def start_beam(self, session: dict[str, Any], file: Path, options: BeamOptions) -> Beam:
        """Play a file as the session's HLS stream, and say so when it is live."""

    async def fail_beam(self, session: dict[str, Any], error_type: str) -> Beam:
        """Let a beam fail before there is any stream."""


class Peer(Model):
    """Somebody in a session."""

    id: str
    user_id: str
    name: str
    role: str
    joined_at: datetime


class Room:
    """A room, in which one session follows another under the same address."""

    def __init__(self, stage: Stage, *, name: str, template_id: str) -> None:
        self.id = object_id()
        self.name = name
        self.template_id = template_id
        self._stage = stage

    def open(self) -> Session:
        """Begin a session."""
        return Session(self, self._stage)


class Session:
    """One session of a room, from the first peer's coming to the room's end."""

    def __init__(self, room: Room, stage: Stage) -> None:
        self.id = object_id()
        self.started_at = datetime.now(UTC)
        self.peers: list[Peer] = []
        self._room = room
        self._stage = stage
        stage.announce("session.open.success", self._facts())

    def join(self, name: str = "Presenter", *, role: str = "host") -> Peer:
        """Let somebody come in."""
        peer = Peer(
            id=str(uuid4()),
            user_id=f"user-{len(self.peers) + 1}",
            name=name,
            role=role,
            joined_at=datetime.now(UTC),
        )
        self.peers.append(peer)
        self._stage.announce("peer.join.success", self._facts() | _person(peer))
        return peer

    def leave(self, peer: Peer, reason: str = "client request") -> None:
        """Let somebody go."""
        now = datetime.now(UTC)
        self.peers.remove(peer)
        self._stage.announce(
            "peer.leave.success",
            self._facts()
            | _person(peer)
            | {
                "left_at": nanoseconds(now),
                "duration": whole_seconds(peer.joined_at, now),
                "reason": reason,
                "message": "",
            },
        )

    async def start_beam(
        self,
        file: Path,
        *,
        marks: tuple[Mark, ...] = (),
        faults: Faults | None = None,
        recorded: bool = True,
    ) -> Beam:
        """Stream a file as what happens in this session; returns when the first segment is out.

        Raises:
            UnusableInputError: the file is missing or no media.
            PackagingError: ffmpeg cannot package it.
        """
        options = BeamOptions(marks=marks, faults=faults or Faults(), recorded=recorded)
        return await self._stage.start_beam(self._facts(), file, options)

    async def fail_beam(self, error_type: str = "BEAM_STOPPED") -> Beam:
        """Try to stream and fail: 100ms then sends `hls.failure` without any start."""
        return await self._stage.fail_beam(self._facts(), error_type)

    def end(self, reason: str = "End room by admin") -> None:
        """End the room: everybody leaves and the session closes."""
        by = self.peers[0] if self.peers else None
        ended = {"lock_room": False, "reason": reason, "source": "peer" if by else "api"}
        person = _person(by) if by else {}
        for name in ("user_data", "joined_at"):
            person.pop(name, None)
        self._stage.announce("room.end.success", self._facts() | person | ended)
        for peer in tuple(self.peers):
            self.leave(peer, "peer kicked")
        now = datetime.now(UTC)
        self._stage.announce(
            "session.close.success",
            self._facts()
            | {
                "session_duration": whole_seconds(self.started_at, now),
                "session_stopped_at": nanoseconds(now),
            },
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "room_id": self._room.id,
            "room_name": self._room.name,
            "session_id": self.id,
            "template_id": self._room.template_id,
            "session_started_at": nanoseconds(self.started_at),
        }


def _person(peer: Peer) -> dict[str, Any]:
    return {
        "peer_id": peer.id,
        "user_id": peer.user_id,
        "user_name": peer.name,
        "user_data": "",
        "role": peer.role,
        "joined_at": nanoseconds(peer.joined_at),
    }
