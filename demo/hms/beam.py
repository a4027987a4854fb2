"""A beam: the bot that turns a room into an HLS stream, and into a recording afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

from demo.hms.event import metadata, nanoseconds, object_id, whole_seconds
from demo.origin import LiveOrigin, Mark

#: 100ms's words for each type of `hls.failure`.
FAILURES: Final = {
    "INTERNAL_ERROR": "Internal error",
    "MAX_RETRIES_REACHED": "Beam could not connect to the meeting URL after 3 retries.",
    "UPLOAD_ERROR": "Failed to upload recordings.",
    "BEAM_STOPPED": "Beam stopped too early",
}


class StreamState(StrEnum):
    """What `GET /v2/live-streams` says of a stream."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    POST_PROCESSING = "post_processing"
    COMPLETED = "completed"
    FAILED = "failed"


class Beam:
    """One run of HLS in one session; made by `Session.start_beam`.

    Args:
        origin: plays the stream; None for a beam that fails before it has one.
        session: what every event of its session says.
        announce: sends an event.
        url: of the master playlist.
        recorded: whether there will be a recording.
    """

    def __init__(
        self,
        origin: LiveOrigin | None,
        *,
        session: dict[str, Any],
        announce: Callable[[str, dict[str, Any]], None],
        url: str,
        recorded: bool,
    ) -> None:
        self.id = object_id()
        self.job_id = object_id()
        self.url = url
        self.origin = origin
        self.recorded = recorded
        self.state = StreamState.STARTING
        self.created_at = self.updated_at = datetime.now(UTC)
        self.started_at: datetime | None = None
        self.stopped_at: datetime | None = None
        self.session_id = str(session["session_id"])
        self.room_id = str(session["room_id"])
        self.peer_id = str(uuid4())
        self.meeting_url = f"https://simulator.app.100ms.live/preview/{self.room_id}"
        self._session = {key: value for key, value in session.items() if key != "room_name"}
        self._announce = announce

    async def go_live(self) -> None:
        """Wait for the first segment, then say that the stream has started."""
        await self._playing.wait_published(1)
        self.started_at = datetime.now(UTC)
        self._enter(StreamState.RUNNING)
        delay = {"start_delay": whole_seconds(self.created_at, self.started_at)}
        self._announce("beam.started.success", self._browser_recording() | delay)
        self._announce(
            "hls.started.success",
            self._hls()
            | delay
            | self._state("HLSStarted")
            | {"url": self.url, "started_at": nanoseconds(self.started_at)},
        )

    def mark(self, payload: str, *, duration: float = 1.0) -> None:
        """Send timed metadata: `payload` now, for `duration` seconds of the input."""
        at = self._playing.position
        self._playing.mark(Mark(at=max(0.0, at - 0.001), payload=payload, duration=duration))

    async def finished(self) -> None:
        """Wait for the end of the input."""
        await self._playing.finished.wait()

    async def stop(self, reason: str = "client request") -> None:
        """End the stream in good order, for one of 100ms's reasons; one that is over stays so."""
        if self.state is not StreamState.RUNNING:
            return
        self._enter(StreamState.STOPPING)
        await self._playing.end()
        self.stopped_at = datetime.now(UTC)
        self._announce("hls.stopped.success", self._stopped(reason))
        self._announce(
            "beam.stopped.success",
            self._browser_recording() | self._duration() | {"reason": reason},
        )
        self._enter(StreamState.POST_PROCESSING if self.recorded else StreamState.COMPLETED)

    async def fail(self, error_type: str = "INTERNAL_ERROR", *, message: str = "") -> None:
        """End the stream by a failure, which 100ms tells before it tells of the stop."""
        if self.origin is not None:
            await self.origin.end()
        self.stopped_at = datetime.now(UTC)
        error = {
            "error_code": 1,
            "error_type": error_type,
            "error_message": message or FAILURES[error_type],
        }
        self._announce("hls.failure", self._hls() | self._duration() | error)
        if self.started_at is not None:
            self._announce("hls.stopped.success", self._stopped(f"failure: {error_type}"))
        self._enter(StreamState.FAILED)

    def finish_recording(self, *, url: str, path: str, size: int) -> None:
        """Say that the recording can be had: `url` presigned, `path` in the bucket, in bytes."""
        now = datetime.now(UTC)
        started, stopped = self.started_at or now, self.stopped_at or now
        data = self._hls() | self._duration()
        for name in ("job_id", "peer_id"):
            del data[name]
        self._announce(
            "hls.recording.success",
            data
            | {
                "hls_vod_recording_path": path,
                "hls_vod_recording_presigned_url": url,
                "hls_vod_recording_size": size,
                "recording_single_files": [],
                "recording_thumbnails": [],
                "recording_created_at": nanoseconds(now),
                "started_at": nanoseconds(started),
                "stopped_at": nanoseconds(stopped),
            },
        )
        self._enter(StreamState.COMPLETED)

    def as_live_stream(self, identity: str) -> dict[str, Any]:
        """Describe the stream as the management API does, under the id that it has there."""
        return {
            "id": identity,
            "room_id": self.room_id,
            "session_id": self.session_id,
            "status": self.state.value,
            "destination": "hls",
            "playback": {"url": self.url if self.started_at else ""},
            "meeting_url": self.meeting_url,
            "recording": {"hls_vod": self.recorded, "single_file_per_layer": False},
            "created_at": nanoseconds(self.created_at),
            "started_at": nanoseconds(self.started_at) if self.started_at else None,
            "updated_at": nanoseconds(self.updated_at),
            "stopped_at": nanoseconds(self.stopped_at) if self.stopped_at else None,
            "started_by": "",  # from the server's side, as 100ms says of its own API
            "stopped_by": "",
            "recording_assets": None,
        }

    @property
    def _playing(self) -> LiveOrigin:
        if self.origin is None:
            raise RuntimeError("this beam never came to play anything")
        return self.origin

    def _enter(self, state: StreamState) -> None:
        self.state = state
        self.updated_at = datetime.now(UTC)

    def _hls(self) -> dict[str, Any]:
        return {
            **self._bot(),
            "recording_single_file_per_layer_enabled": False,
            "recording_vod_playlist_enabled": self.recorded,
        }

    def _browser_recording(self) -> dict[str, Any]:
        return {**self._bot(), "recording_enabled": self.recorded, "rtmp": []}

    def _bot(self) -> dict[str, Any]:
        video = self.origin.source.video if self.origin is not None else None
        return {
            "beam_id": self.id,
            "job_id": self.job_id,
            **metadata(datetime.now(UTC)),
            "peer_id": self.peer_id,
            "meeting_url": self.meeting_url,
            "max_width": video.width if video else 1280,
            "max_height": video.height if video else 720,
            **self._session,
        }

    def _state(self, name: str) -> dict[str, Any]:
        return {"state_name": name, "state_timestamp": nanoseconds(self.updated_at)}

    def _duration(self) -> dict[str, Any]:
        if self.started_at is None or self.stopped_at is None:
            return {"duration": 0}
        return {"duration": whole_seconds(self.started_at, self.stopped_at)}

    def _stopped(self, reason: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            **self._hls(),
            **self._state("HLSStopped"),
            **self._duration(),
            "started_at": nanoseconds(self.started_at or now),
            "stopped_at": nanoseconds(self.stopped_at or now),
            "reason": reason,
            "live_transcription_enabled": False,
        }
