"""The life of a beam, whatever the order in which it is told."""

from __future__ import annotations

from itertools import permutations

import pytest

from domain.hms.beam import SESSION_CLOSED, Beam, BeamRecording, Command, Outcome, advance
from domain.hms.effects import BeamRef, EndKind, EndStream, OfferRecording, StartStream

REF = BeamRef(key="beam:1", room_id="room", session_id="session")
START = StartStream(beam=REF, url="https://cdn.example.com/master.m3u8")
STOP = EndStream(beam=REF, how=EndKind.STOPPED, message="100ms: client request")
FAIL = EndStream(beam=REF, how=EndKind.FAILED, message="lost", error_type="UPLOAD_ERROR")
RECORDING = OfferRecording(beam=REF, url="https://cdn.example.com/vod.m3u8", duration=10.0)
Told = StartStream | EndStream | OfferRecording


def life(*effects: Told) -> tuple[Beam, list[tuple[Command | None, Outcome]]]:
    beam, said = Beam(), []
    for effect in effects:
        step = advance(beam, effect)
        beam = step.beam
        said.append((step.command, step.outcome))
    return beam, said


def test_a_beam_is_started_ended_and_recorded() -> None:
    beam, said = life(START, STOP, RECORDING)
    assert said == [
        (Command.START, Outcome.STARTED),
        (Command.END, Outcome.ENDED),
        (Command.RECORDING, Outcome.RECORDING),
    ]
    assert not beam.is_running
    assert beam.recording == BeamRecording(url=RECORDING.url, duration=10.0)


@pytest.mark.parametrize("end", [STOP, FAIL])
def test_a_start_after_its_end_opens_nothing(end: EndStream) -> None:
    beam, said = life(end, START)
    assert said == [(None, Outcome.BEFORE_START), (None, Outcome.TOO_LATE)]
    assert not beam.opened


def test_a_start_of_a_closed_session_opens_nothing() -> None:
    step = advance(Beam(), START, session_closed=True)
    assert (step.command, step.outcome) == (None, Outcome.TOO_LATE)
    assert step.beam.end == SESSION_CLOSED


def test_a_repeated_start_is_repeated_to_the_workflow() -> None:
    _, said = life(START, START)
    assert said[1] == (Command.START, Outcome.STARTED_BEFORE)


def test_a_start_repeated_after_the_end_repeats_the_end() -> None:
    _, said = life(START, STOP, START)
    assert said[2] == (Command.END, Outcome.TOO_LATE)


def test_the_first_end_counts() -> None:
    beam, said = life(START, FAIL, STOP)
    assert said[2] == (Command.END, Outcome.ENDED_BEFORE)
    assert beam.end is not None
    assert beam.end.how is EndKind.FAILED


def test_a_recording_without_a_start_is_remembered() -> None:
    beam, said = life(RECORDING)
    assert said == [(None, Outcome.BEFORE_START)]
    assert beam.recording is not None


@pytest.mark.parametrize("order", list(permutations([START, STOP, FAIL, RECORDING, START])))
def test_no_order_leaves_a_beam_running_after_its_end(order: tuple[Told, ...]) -> None:
    beam, _ = life(*order)
    assert not beam.is_running
    assert beam.recording is not None
