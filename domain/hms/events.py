"""Typed models of 100ms's webhook events, and the parsing of their fields.

Parsing is lenient. No field is required but the type: samples often lack `app_id` and
`template_id`, and `beam.failure` may come without a start. A field of an unexpected type counts as
absent, since 100ms would repeat a refused event three times and then drop it. Unknown types are
stored like any other. Data about people (names, user ids, metadata of peers) is not read.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn

from pydantic import BeforeValidator
from pydantic_core import from_json

from domain.model import Model

LONGEST_ID: Final = 200
"""Characters; 100ms's own ids are UUIDs and 24 hexadecimal digits."""


LONGEST_TEXT: Final = 2048
"""Characters of a text for people."""


LONGEST_URL: Final = 8192
"""Characters; a presigned URL carries its signer's token."""


_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?(Z|z|[+-]\d{2}:\d{2})?"
)


_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


_URL: Final = re.compile(r"[\x21-\x7e]*")


_MICROSECONDS: Final = 6


def identifier(value: object) -> str | None:
    """Return an id as text: printable, not empty, at most 200 characters; else None."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        value = str(value)
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID and not _UNPRINTABLE.search(value):
        return value
    return None


def text(value: object) -> str | None:
    """Return a text of at most 2,048 characters, others being cut, without control characters."""
    if not isinstance(value, str):
        return None
    return _UNPRINTABLE.sub("", value[:LONGEST_TEXT])


def url(value: object) -> str | None:
    """Return a URL or path of at most 8,192 characters without blanks; else None, never a part."""
    if isinstance(value, str) and 0 < len(value) <= LONGEST_URL and _URL.fullmatch(value):
        return value
    return None


def number(value: object) -> float | None:
    """Return a finite number, also where it is written as a text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(value: object) -> bool | None:
    """Return a truth value, also where it is written as a text; else None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def moment(value: object) -> datetime | None:
    """Return a time (RFC 3339) in UTC, of nanoseconds keeping the microseconds; else None.

    The zero time of Go, `0001-01-01T00:00:00Z`, means that there is no time.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo is not None else None
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    fraction = (fraction or "")[:_MICROSECONDS].ljust(_MICROSECONDS, "0")
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{fraction}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if at.year > 1 else None


Identifier = Annotated[str | None, BeforeValidator(identifier)]


Words = Annotated[str | None, BeforeValidator(text)]


Url = Annotated[str | None, BeforeValidator(url)]


Number = Annotated[float | None, BeforeValidator(number)]


Flag = Annotated[bool | None, BeforeValidator(flag)]


Moment = Annotated[datetime | None, BeforeValidator(moment)]


class NotAnEventError(ValueError):
    """A body that is no event; the message states what is missing.

    Attributes:
        is_json: whether it is at least JSON.
    """

    def __init__(self, message: str, *, is_json: bool) -> None:
        super().__init__(message)
        self.is_json = is_json


class EventData(Model):
    """What events of all kinds may say."""

    room_id: Identifier = None
    room_name: Words = None
    session_id: Identifier = None
    session_started_at: Moment = None
    template_id: Identifier = None
    is_replay: Flag = None


class BeamData(EventData):
    """What all events of a beam say: an HLS stream, or a recording or RTMP stream by a browser."""

    beam_id: Identifier = None
    job_id: Identifier = None
    peer_id: Identifier = None
    meeting_url: Url = None
    metadata_id: Identifier = None
    metadata_timestamp: Moment = None
    state_name: Words = None
    state_timestamp: Moment = None
    max_width: Number = None
    max_height: Number = None
    recording_single_file_per_layer_enabled: Flag = None
    recording_vod_playlist_enabled: Flag = None
    live_transcription_enabled: Flag = None


class HlsStarted(BeamData):
    """`hls.started.success`; `start_delay` as 100ms counts it."""

    url: Url = None
    started_at: Moment = None
    start_delay: Number = None


class HlsStopped(BeamData):
    """`hls.stopped.success`; `duration` in seconds."""

    url: Url = None
    started_at: Moment = None
    stopped_at: Moment = None
    duration: Number = None
    reason: Words = None


class HlsFailure(BeamData):
    """`hls.failure`: INTERNAL_ERROR, MAX_RETRIES_REACHED, UPLOAD_ERROR or BEAM_STOPPED."""

    duration: Number = None
    error_type: Words = None
    error_message: Words = None


class RecordingFile(Model):
    """A single file of an HLS recording."""

    recording_path: Url = None
    recording_presigned_url: Url = None
    layer: Number = None
    resolution: Words = None
    size: Number = None


MOST_ENTRIES: Final = 1000
"""Files of a recording that are read; a body of 256 KiB could name as many as make 34 MB of us."""


def _entries(value: object) -> list[dict[Any, Any]]:
    entries = value[:MOST_ENTRIES] if isinstance(value, list) else []
    return [each for each in entries if isinstance(each, dict)]


class HlsRecording(BeamData):
    """`hls.recording.success`; `duration` in seconds, sizes in bytes."""

    hls_vod_recording_path: Url = None
    hls_vod_recording_presigned_url: Url = None
    hls_vod_recording_size: Number = None
    recording_single_files: Annotated[tuple[RecordingFile, ...], BeforeValidator(_entries)] = ()
    recording_thumbnails: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_entries)] = ()
    started_at: Moment = None
    stopped_at: Moment = None
    duration: Number = None


class SessionData(EventData):
    """`session.open.success` and `session.close.success`; `duration` in seconds."""

    session_stopped_at: Moment = None
    session_duration: Number = None


class RoomEnded(EventData):
    """`room.end.success` and `room.end.failure`; `ended_by` is a person's id and is not read."""

    reason: Words = None


class BeamEvent(BeamData):
    """`beam.started`, `.stopped`, `.recording` and `.failure`; `duration` in seconds."""

    started_at: Moment = None
    stopped_at: Moment = None
    duration: Number = None
    reason: Words = None
    error_type: Words = None
    error_message: Words = None
    recording_path: Url = None


class RecordingEvent(EventData):
    """`recording.*`, `stream.recording.*` and `track.recording.*`; `duration` in seconds."""

    recording_path: Url = None
    started_at: Moment = None
    stopped_at: Moment = None
    duration: Number = None
    size: Number = None
    error_type: Words = None
    error_message: Words = None


_DATA: Final[Mapping[str, type[EventData]]] = {
    "hls.started.success": HlsStarted,
    "hls.stopped.success": HlsStopped,
    "hls.failure": HlsFailure,
    "hls.recording.success": HlsRecording,
    "session.open.success": SessionData,
    "session.close.success": SessionData,
    "room.end.success": RoomEnded,
    "room.end.failure": RoomEnded,
    "beam.started.success": BeamEvent,
    "beam.stopped.success": BeamEvent,
    "beam.recording.success": BeamEvent,
    "beam.failure": BeamEvent,
    "recording.success": RecordingEvent,
    "recording.failed": RecordingEvent,
    "stream.recording.success": RecordingEvent,
    "stream.recording.failure": RecordingEvent,
    "track.recording.started.success": RecordingEvent,
    "track.recording.success": RecordingEvent,
    "track.recording.failure": RecordingEvent,
    "peer.join.success": EventData,
    "peer.join.failure": EventData,
    "peer.leave.success": EventData,
    "peer.leave.failure": EventData,
    "role.change.success": EventData,
    "transcription.started.success": EventData,
    "transcription.success": EventData,
    "transcription.failure": EventData,
    "ingest.start.success": EventData,
    "ingest.start.failure": EventData,
    "ingest.end.success": EventData,
    "ingest.failure": EventData,
}


KNOWN_TYPES: Final = frozenset(_DATA)


_ABOUT_PEOPLE: Final = ("peer.", "role.", "transcription.", "track.")


class HmsEvent(Model):
    """An event: the envelope, and the data of its type.

    `id` is 100ms's own, or the body's hash where it sent none that can be used. `is_replay` marks
    an event that was sent before and is sent again on request.
    """

    id: str
    type: str
    version: Words = None
    account_id: Identifier = None
    app_id: Identifier = None
    template_id: Identifier = None
    timestamp: Moment = None
    is_replay: bool = False
    data: EventData = EventData()

    @property
    def is_known(self) -> bool:
        """Return True if 100ms documents this type."""
        return self.type in KNOWN_TYPES

    @property
    def is_about_people(self) -> bool:
        """Return True if events of this type describe people; their bodies are not kept."""
        return self.type.startswith(_ABOUT_PEOPLE)


def parse_event(body: bytes) -> HmsEvent:
    """Parse a body.

    Raises:
        NotAnEventError: it is not a JSON object with a type.
    """
    document = _document(body)
    if not isinstance(document, dict):
        raise NotAnEventError("the body is not a JSON object", is_json=True)
    kind = identifier(document.get("type"))
    if kind is None:
        raise NotAnEventError("the event has no type", is_json=True)
    given = document.get("data")
    data = given if isinstance(given, dict) else {}
    envelope = {**document, "id": identifier(document.get("id")) or _name_of(body), "type": kind}
    envelope["data"] = _DATA.get(kind, EventData).model_validate(data)
    envelope["is_replay"] = _says_replay(document) or _says_replay(data)
    return HmsEvent.model_validate(envelope)


def _document(body: bytes) -> object:
    """Return a parsed body; text that is cut inside a character costs only its field."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        pass
    try:
        # More lenient, and slower. What no store takes is left out by the fields (`fields.py`).
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotAnEventError("the body is not valid JSON", is_json=False) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _says_replay(values: Mapping[str, object]) -> bool:
    return flag(values.get("is_replay")) is True


def _name_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
