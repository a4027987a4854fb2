"""Every event type of 100ms, in full shape, and what it means for a stream."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

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
    effect_of,
)
from domain.hms.events import KNOWN_TYPES, parse_event
from tests.factories.hms import BEAM, DATA, JOB, ROOM, SESSION, URL, VOD, body

REF = BeamRef(key=f"beam:{BEAM}", room_id=ROOM, session_id=SESSION, job_id=JOB)

EFFECTS: dict[str, Effect] = {
    "hls.started.success": StartStream(
        beam=REF, url=URL, started_at=datetime(2026, 5, 2, 19, 0, 4, 123456, tzinfo=UTC)
    ),
    "hls.stopped.success": EndStream(
        beam=REF, how=EndKind.STOPPED, message="100ms: client request"
    ),
    "hls.failure": EndStream(
        beam=REF,
        how=EndKind.FAILED,
        message="segments could not be uploaded",
        error_type="UPLOAD_ERROR",
    ),
    "hls.recording.success": OfferRecording(beam=REF, url=VOD, duration=5400.0),
    "session.close.success": EndSession(
        session_id=SESSION, room_id=ROOM, message="100ms: the session closed"
    ),
    "room.end.success": EndSession(
        session_id=SESSION, room_id=ROOM, message="100ms: the room was ended: match over"
    ),
}


def effect(kind: str, data: dict[str, Any] | None = None, **over: object) -> Effect:
    return effect_of(parse_event(body(kind, data, **over)))


def test_every_documented_type_is_tried() -> None:
    assert set(DATA) == KNOWN_TYPES


@pytest.mark.parametrize("kind", sorted(DATA))
def test_each_type_has_its_effect(kind: str) -> None:
    found = effect(kind)
    if kind in EFFECTS:
        assert found == EFFECTS[kind]
    else:
        assert isinstance(found, Annotate)


@pytest.mark.parametrize("kind", sorted(DATA))
def test_each_type_is_readable_with_nothing_in_it(kind: str) -> None:
    event = parse_event(f'{{"type": "{kind}"}}'.encode())
    assert isinstance(effect_of(event), Annotate | Ignore)


@pytest.mark.parametrize("kind", sorted(DATA))
def test_each_type_is_readable_with_all_fields_of_another_type(kind: str) -> None:
    for strange in (None, True, -1, 1e300, 10**400, [], {}, [1], {"a": 1}, "\x00", "x" * 9000):
        data = dict.fromkeys(DATA[kind], strange)
        effect_of(parse_event(body(kind, data)))


@pytest.mark.parametrize("kind", sorted(kind for kind in DATA if kind.startswith("beam.")))
def test_events_of_a_beam_are_kept_with_it(kind: str) -> None:
    found = effect(kind)
    assert isinstance(found, Annotate)
    assert found.beam == REF


def test_an_unknown_type_is_kept() -> None:
    assert isinstance(effect("poll.created.success"), Ignore)


@pytest.mark.parametrize(
    ("missing", "key"),
    [
        (("beam_id",), f"session:{SESSION}"),
        (("beam_id", "session_id"), f"job:{JOB}"),
    ],
)
def test_a_beam_without_an_id_is_named_by_its_session_else_its_job(
    missing: tuple[str, ...], key: str
) -> None:
    found = effect("hls.started.success", dict.fromkeys(missing))
    assert isinstance(found, StartStream)
    assert found.beam.key == key


@pytest.mark.parametrize("kind", [each for each in DATA if each.startswith("hls.")])
def test_an_event_that_names_no_beam_at_all_is_kept_and_nothing_done(kind: str) -> None:
    found = effect(kind, dict.fromkeys(("beam_id", "session_id", "job_id")))
    assert isinstance(found, Ignore)


def test_a_start_without_a_playlist_starts_nothing() -> None:
    assert isinstance(effect("hls.started.success", {"url": None}), Ignore)


def test_a_replayed_start_opens_nothing() -> None:
    assert isinstance(effect("hls.started.success", is_replay=True), Annotate)
    assert isinstance(effect("hls.started.success", {"is_replay": "true"}), Annotate)


def test_a_replayed_end_and_a_replayed_recording_count() -> None:
    assert isinstance(effect("hls.stopped.success", is_replay=True), EndStream)
    assert isinstance(effect("hls.recording.success", is_replay=True), OfferRecording)


@pytest.mark.parametrize(
    ("reason", "how", "message", "error"),
    [
        ("max duration reached", EndKind.STOPPED, "100ms: max duration reached", ""),
        ("room ended", EndKind.STOPPED, "100ms: room ended", ""),
        ("last peer left", EndKind.STOPPED, "100ms: last peer left", ""),
        (None, EndKind.STOPPED, "100ms: stopped", ""),
        ("failure: UPLOAD_ERROR", EndKind.FAILED, "100ms stopped the stream", "UPLOAD_ERROR"),
    ],
)
def test_a_stop_has_its_reason(reason: str | None, how: EndKind, message: str, error: str) -> None:
    found = effect("hls.stopped.success", {"reason": reason})
    assert found == EndStream(beam=REF, how=how, message=message, error_type=error)


@pytest.mark.parametrize(
    "error", ["INTERNAL_ERROR", "MAX_RETRIES_REACHED", "UPLOAD_ERROR", "BEAM_STOPPED"]
)
def test_a_failure_has_its_kind(error: str) -> None:
    found = effect("hls.failure", {"error_type": error})
    assert isinstance(found, EndStream)
    assert (found.how, found.error_type) == (EndKind.FAILED, error)


def test_a_recording_without_a_presigned_url_is_named_by_its_path() -> None:
    found = effect("hls.recording.success", {"hls_vod_recording_presigned_url": None})
    assert isinstance(found, OfferRecording)
    assert found.url == "s3://bucket/beam/master.m3u8"


def test_a_recording_of_single_files_only_is_kept() -> None:
    paths = ("hls_vod_recording_presigned_url", "hls_vod_recording_path")
    assert isinstance(effect("hls.recording.success", dict.fromkeys(paths)), Annotate)


def test_a_room_without_a_session_ends_what_is_open_in_it() -> None:
    found = effect("room.end.success", {"session_id": None})
    assert isinstance(found, EndSession)
    assert (found.session_id, found.partition) == (None, f"room:{ROOM}")


def test_an_ended_room_that_is_not_named_ends_nothing() -> None:
    found = effect("room.end.success", {"session_id": None, "room_id": None})
    assert isinstance(found, Ignore)


def test_all_events_of_a_session_are_in_one_partition() -> None:
    partitions = {
        each.partition if isinstance(each, EndSession) else each.beam.partition
        for each in map(effect, EFFECTS)
        if not isinstance(each, Annotate | Ignore)
    }
    assert partitions == {f"session:{SESSION}"}
