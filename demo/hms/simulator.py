"""The simulator: one 100ms workspace, with its CDN and its management API on one port."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import Field, PositiveFloat
from starlette.types import ASGIApp

from demo.errors import DemoError
from demo.hms.beam import Beam
from demo.hms.event import Workspace, make_event, object_id
from demo.hms.management import Keys
from demo.hms.management_api import ListedId
from demo.hms.recording import Presigner, Recording, RecordingForm
from demo.hms.room import BeamOptions, Room
from demo.hms.server import Server
from demo.hms.webhooks import EventFault, Webhook, WebhookSender
from demo.model import Model
from demo.origin import LiveOrigin, OriginOptions
from demo.origin.channel import beam_path
from demo.origin.server import bind, serving


class SimulatorOptions(Model):
    """A workspace and how it behaves.

    Attributes:
        webhook: where events go; nowhere by default.
        event_faults: what goes wrong with them.
        pace: seconds of a file per second of wall clock; all waiting is divided by it.
        keys: of the management API; made up by default.
        account_id: of the workspace, made up by default; so are the next two.
        app_id: of the app.
        template_id: of all rooms.
        listed_id: whose id a stream has in the management API.
        recording_form: a VOD playlist, or a ZIP archive of it.
        recording_lifetime: seconds for which a recording's presigned address holds.
        host: address to listen on.
        port: to listen on, 0 for a free one.
    """

    webhook: Webhook | None = None
    event_faults: tuple[EventFault, ...] = ()
    pace: PositiveFloat = 1.0
    keys: Keys = Field(
        default_factory=lambda: Keys(access_key=object_id(), app_secret=secrets.token_urlsafe(64))
    )
    account_id: str = Field(default_factory=object_id)
    app_id: str = Field(default_factory=object_id)
    template_id: str = Field(default_factory=object_id)
    listed_id: ListedId = "job"
    recording_form: RecordingForm = "playlist"
    recording_lifetime: float = 86_400.0
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)


class Simulator:
    """Behaves as 100ms while the context lasts.

    Raises (on entering):
        OSError: the port is taken.
    """

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        self.options = options or SimulatorOptions()
        self.keys = self.options.keys
        self.listed_id = self.options.listed_id
        self.sender = WebhookSender(
            self.options.webhook, faults=self.options.event_faults, pace=self.options.pace
        )
        self.presigner = Presigner(
            secrets.token_bytes(32), lifetime=self.options.recording_lifetime
        )
        self.beams: list[Beam] = []
        self.base_url = ""
        self._recordings: dict[str, Recording] = {}
        self._on_air: dict[str, LiveOrigin] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            listener = bind(self.options.host, self.options.port)
            stack.callback(listener.close)
            self.base_url = f"http://{self.options.host}:{listener.getsockname()[1]}"
            await stack.enter_async_context(serving(Server(self), listener))
            await stack.enter_async_context(self.sender)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def room(self, name: str = "Match") -> Room:
        """Create a room."""
        return Room(self, name=name, template_id=self.options.template_id)

    def room_url(self, room: Room) -> str:
        """Return the master playlist's address that all sessions of a room share."""
        return f"{self.base_url}/{self.options.account_id}/{room.id}/master.m3u8"

    async def publish_recording(self, beam: Beam) -> str:
        """Make the recording of a beam that is over available; returns its presigned address."""
        if beam.origin is None or not beam.recorded:
            raise ValueError("this beam was not recorded")
        recording = Recording(beam.origin, self.options.recording_form)
        self._recordings[beam.id] = recording
        path = f"/recordings/{beam.id}/{recording.entrance}"
        url = self.base_url + self.presigner.sign(path)
        beam.finish_recording(
            url=url,
            path=f"s3://recordings/{beam.id}/{recording.entrance}",
            size=await asyncio.to_thread(recording.size),
        )
        return url

    def announce(self, kind: str, data: dict[str, Any]) -> None:
        """Send an event."""
        options = self.options
        workspace = Workspace(
            account_id=options.account_id, app_id=options.app_id, template_id=options.template_id
        )
        self.sender.send(make_event(kind, data, workspace=workspace, at=datetime.now(UTC)))

    async def start_beam(self, session: dict[str, Any], file: Path, options: BeamOptions) -> Beam:
        """Play a file as a session's stream; see `Session.start_beam`."""
        room_id = str(session["room_id"])
        path = beam_path(self.options.account_id, room_id, at=datetime.now(UTC))
        origin = LiveOrigin(
            file,
            OriginOptions(
                pace=self.options.pace,
                marks=options.marks,
                faults=options.faults,
                path=path,
                keep_all=True,
                serve=False,
                autostart=False,
            ),
        )
        beam = self._new_beam(origin, session, path, recorded=options.recorded)
        try:
            await self._stack.enter_async_context(origin)
        except DemoError:
            self.beams.remove(beam)
            raise
        # The room's own address leads to the newest session from now on.
        self._on_air[path] = self._on_air[path.rsplit("/", 2)[0]] = origin
        origin.begin()
        await beam.go_live()
        return beam

    async def fail_beam(self, session: dict[str, Any], error_type: str) -> Beam:
        """Let a beam fail before there is any stream; see `Session.fail_beam`."""
        beam = self._new_beam(None, session, "", recorded=False)
        await beam.fail(error_type)
        return beam

    def recording(self, beam_id: str) -> Recording | None:
        """Return the recording of a beam, if there is one."""
        return self._recordings.get(beam_id)

    def playing_at(self, path: str) -> tuple[ASGIApp, str] | None:
        """Return what serves an HLS path: `/beam/…` of one session, or the room's own address."""
        full = path if path.startswith("/beam/") else f"/beam{path}"
        folder = full.rsplit("/", 1)[0]
        origin = self._on_air.get(folder) or self._on_air.get(folder.rsplit("/", 1)[0])
        return None if origin is None else (origin.app, full)

    def _new_beam(
        self, origin: LiveOrigin | None, session: dict[str, Any], path: str, *, recorded: bool
    ) -> Beam:
        beam = Beam(
            origin,
            session=session,
            announce=self.announce,
            url=f"{self.base_url}{path}/master.m3u8",
            recorded=recorded,
        )
        self.beams.append(beam)
        return beam
