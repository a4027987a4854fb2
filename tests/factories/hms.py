"""Payloads in the shape of 100ms's documents, all fields of each type filled."""

from __future__ import annotations

import json
from typing import Any, Final

ROOM: Final = "6263e9f2b3e1a0d6c9d2a111"
SESSION: Final = "6263ea01b3e1a0d6c9d2a222"
BEAM: Final = "6263ea10b3e1a0d6c9d2a333"
JOB: Final = "6263ea11b3e1a0d6c9d2a444"
ACCOUNT: Final = "60b8e13a6eb86d8101b57354"
APP: Final = "5ff5881b80b66969e1fb35f6"
URL: Final = "https://cdn.100ms.live/beam/60b8e13a/6263e9f2/20260502/1777741200000/master.m3u8"
VOD: Final = "https://storage.example.com/vod/master.m3u8"
TIME: Final = "2026-05-02T19:00:04.123456789Z"
ZERO: Final = "0001-01-01T00:00:00Z"

_SESSION_DATA: Final[dict[str, Any]] = {
    "room_id": ROOM,
    "room_name": "cup-final",
    "session_id": SESSION,
    "session_started_at": "2026-05-02T18:59:00.000000001Z",
    "template_id": "66112497abcd52312556c4aa",
}
_BEAM_DATA: Final[dict[str, Any]] = {
    **_SESSION_DATA,
    "beam_id": BEAM,
    "job_id": JOB,
    "peer_id": "83b869e1-9a4b-4037-84b2-913cf76e4392",
    "recording_single_file_per_layer_enabled": False,
    "recording_vod_playlist_enabled": True,
    "meeting_url": "https://cup.app.100ms.live/streaming/meeting/abc-defg-hij",
    "metadata_id": "m-1",
    "metadata_timestamp": ZERO,
    "state_name": "",
    "state_timestamp": ZERO,
    "max_width": 1280,
    "max_height": 720,
}
_PERSON: Final[dict[str, Any]] = {
    **_SESSION_DATA,
    "peer_id": "83b869e1-9a4b-4037-84b2-913cf76e4392",
    "user_id": "user.001",
    "user_name": "Ada Lovelace",
    "role": "host",
    "joined_at": TIME,
}

DATA: Final[dict[str, dict[str, Any]]] = {
    "hls.started.success": {**_BEAM_DATA, "url": URL, "started_at": TIME, "start_delay": 2},
    "hls.stopped.success": {
        **_BEAM_DATA,
        "duration": 5400,
        "started_at": TIME,
        "stopped_at": "2026-05-02T20:30:04.5Z",
        "reason": "client request",
        "live_transcription_enabled": False,
    },
    "hls.failure": {
        **_BEAM_DATA,
        "duration": 0,
        "live_transcription_enabled": False,
        "error_type": "UPLOAD_ERROR",
        "error_message": "segments could not be uploaded",
    },
    "hls.recording.success": {
        **_BEAM_DATA,
        "hls_vod_recording_path": "s3://bucket/beam/master.m3u8",
        "hls_vod_recording_presigned_url": VOD,
        "hls_vod_recording_size": 734003200,
        "recording_single_files": [
            {
                "recording_path": "s3://bucket/beam/0.mp4",
                "recording_presigned_url": "https://storage.example.com/0.mp4",
                "layer": 0,
                "resolution": "1280x720",
                "size": 734003200,
            }
        ],
        "recording_thumbnails": [{"path": "s3://bucket/beam/1.png", "width": 1280, "offset": 3}],
        "started_at": TIME,
        "stopped_at": "2026-05-02T20:30:04.5Z",
        "duration": 5400,
    },
    "session.open.success": _SESSION_DATA,
    "session.close.success": {
        **_SESSION_DATA,
        "session_stopped_at": "2026-05-02T20:31:00Z",
        "session_duration": 5520.5,
    },
    "room.end.success": {**_SESSION_DATA, "reason": "match over", "ended_by": "user.001"},
    "room.end.failure": {**_SESSION_DATA, "error": "not permitted"},
    "beam.started.success": {**_BEAM_DATA, "started_at": TIME},
    "beam.stopped.success": {**_BEAM_DATA, "started_at": TIME, "stopped_at": TIME, "duration": 1},
    "beam.recording.success": {**_BEAM_DATA, "recording_path": "s3://bucket/a.mp4", "size": 1},
    "beam.failure": {**_BEAM_DATA, "error_type": "BEAM_STOPPED", "started_at": ZERO},
    "recording.success": {**_SESSION_DATA, "recording_path": "s3://bucket/b.mp4", "size": 2},
    "recording.failed": {**_SESSION_DATA, "error_type": "INTERNAL_ERROR"},
    "stream.recording.success": {**_SESSION_DATA, "recording_path": "s3://bucket/c.webm"},
    "stream.recording.failure": {**_SESSION_DATA, "error_message": "lost"},
    "track.recording.started.success": {**_SESSION_DATA, "track_id": "t", "peer_id": "p"},
    "track.recording.success": {**_SESSION_DATA, "track_id": "t", "recording_path": "s3://d"},
    "track.recording.failure": {**_SESSION_DATA, "track_id": "t", "error_message": "lost"},
    "peer.join.success": _PERSON,
    "peer.join.failure": {**_PERSON, "error": "room is full"},
    "peer.leave.success": {**_PERSON, "left_at": TIME, "duration": 12, "reason": "left"},
    "peer.leave.failure": {**_PERSON, "error": "gone"},
    "role.change.success": {**_PERSON, "previous_role": "guest"},
    "transcription.started.success": {**_BEAM_DATA, "transcription_id": "x"},
    "transcription.success": {**_BEAM_DATA, "transcript_txt_path": "s3://bucket/x.txt"},
    "transcription.failure": {**_BEAM_DATA, "error": {"code": 500}},
    "ingest.start.success": {**_SESSION_DATA, "ingest_id": "i"},
    "ingest.start.failure": {**_SESSION_DATA, "error_message": "bad key"},
    "ingest.end.success": {**_SESSION_DATA, "ingest_id": "i"},
    "ingest.failure": {**_SESSION_DATA, "error_message": "encoder lost"},
}


def envelope(kind: str, data: dict[str, Any] | None = None, **over: object) -> dict[str, Any]:
    """An event with all fields; `data` replaces some of its data, `over` some of the rest."""
    return {
        "version": "2.0",
        "id": "bd0c76fd-1ab1-4d7d-ab8d-bbfa74b620c4",
        "account_id": ACCOUNT,
        "app_id": APP,
        "template_id": "66112497abcd52312556c4aa",
        "timestamp": TIME,
        "type": kind,
        "data": {**DATA.get(kind, {}), **(data or {})},
    } | over


def body(kind: str, data: dict[str, Any] | None = None, **over: object) -> bytes:
    return json.dumps(envelope(kind, data, **over)).encode()
