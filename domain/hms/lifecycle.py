"""What each event of 100ms means for a stream; the table of docs/webhooks-100ms.md, as code."""

from __future__ import annotations

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
