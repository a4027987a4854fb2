"""What is repaired when 100ms's list and our streams disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hms.effects import BeamRef, EndKind, EndStream, StartStream
from domain.hms.reconciliation import (
    GRACE,
    KnownBeam,
    Playback,
    RemoteStream,
    Repair,
    repair_id,
    repairs,
)

NOW = datetime(2026, 5, 2, 19, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(minutes=10)
STATES = ("starting", "running", "stopping", "post_processing", "completed", "failed")
PLAYLIST = "https://cdn.example.com/master.m3u8"


def remote(
    name: str,
    status: str | None = "running",
    *,
    session: str | None = None,
    url: str | None = PLAYLIST,
    started_at: datetime | None = LONG_AGO,
    stopped_at: datetime | None = None,
) -> RemoteStream:
    return RemoteStream(
        id=name,
        room_id="room",
        session_id=session or f"s-{name}",
        status=status,
        playback=Playback(url=url),
        started_at=started_at,
        stopped_at=stopped_at,
    )


def ours(
    name: str, *, running: bool = True, session: str | None = None, job: str | None = None
) -> KnownBeam:
    session = session or f"s-{name}"
    ref = BeamRef(key=f"beam:{name}", room_id="room", session_id=session, job_id=job)
    return KnownBeam(ref=ref, is_running=running)


def test_a_missed_start_is_started() -> None:
    (found,) = repairs([remote("a")], [], now=NOW)
    assert found == StartStream(beam=ours("a", job="a").ref, url=PLAYLIST, started_at=LONG_AGO)


def test_a_beam_that_is_listed_under_its_job_is_known() -> None:
    beam = ours("b", job="j", session="s")
    assert repairs([remote("j", session="s")], [beam], now=NOW) == ()
    assert repairs([remote("j", session="s")], [ours("b", job="j", running=False)], now=NOW) == ()
    (end,) = repairs([remote("j", "completed", session="s")], [beam], now=NOW)
    assert isinstance(end, EndStream)
    assert end.beam == beam.ref


def test_another_job_of_a_session_is_another_beam() -> None:
    beam = ours("b", job="j", session="s")
    listed = [remote("k", session="s"), remote("j", session="s")]
    assert [each.beam.key for each in repairs(listed, [beam], now=NOW)] == ["beam:k"]


@pytest.mark.parametrize("status", ["stopping", "post_processing", "completed"])
def test_a_missed_stop_is_ended(status: str) -> None:
    (found,) = repairs([remote("a", status)], [ours("a")], now=NOW)
    assert isinstance(found, EndStream)
    assert (found.beam, found.how) == (ours("a").ref, EndKind.STOPPED)


def test_a_missed_failure_is_a_failure() -> None:
    (found,) = repairs([remote("a", "failed")], [ours("a")], now=NOW)
    assert isinstance(found, EndStream)
    assert found.how is EndKind.FAILED


def test_a_missed_restart_ends_the_one_and_starts_the_other() -> None:
    listed = [remote("b", session="s"), remote("a", "completed", session="s")]
    found = repairs(listed, [ours("a", session="s")], now=NOW)
    assert [(each.kind, each.beam.key) for each in found] == [
        ("end", "beam:a"),
        ("start", "beam:b"),
    ]


@pytest.mark.parametrize(
    "listed",
    [
        remote("a", started_at=NOW - GRACE / 2),
        remote("a", started_at=None),
        remote("a", url=None),
        remote("a", "starting"),
        remote("a", "unheard of"),
        remote("a", None),
    ],
)
def test_what_is_not_yet_or_not_surely_live_is_not_started(listed: RemoteStream) -> None:
    assert repairs([listed], [], now=NOW) == ()


def test_a_stop_whose_webhook_may_be_on_its_way_is_left_to_it() -> None:
    listed = remote("a", "completed", stopped_at=NOW - GRACE / 2)
    assert repairs([listed], [ours("a")], now=NOW) == ()


def test_what_ended_is_not_started_again() -> None:
    assert repairs([remote("a")], [ours("a", running=False)], now=NOW) == ()


def test_an_open_beam_that_is_not_listed_is_left_to_its_playlist() -> None:
    assert repairs([], [ours("a")], now=NOW) == ()


def test_a_stream_under_another_id_is_not_followed_twice() -> None:
    assert repairs([remote("other", session="s")], [ours("a", session="s")], now=NOW) == ()


def test_a_list_of_nonsense_repairs_nothing() -> None:
    nonsense = {"id": [1], "status": 3, "playback": "x", "started_at": {}, "session_id": None}
    assert repairs([RemoteStream.model_validate(nonsense)], [], now=NOW) == ()


def test_a_repair_has_its_own_id() -> None:
    start, end = (
        repairs([remote("a")], [], now=NOW),
        repairs([remote("a", "failed")], [ours("a")], now=NOW),
    )
    assert [repair_id(each) for each in (*start, *end)] == [
        "reconcile:start:beam:a",
        "reconcile:end:beam:a",
    ]


names = st.sampled_from("abcdef")
remotes = st.lists(
    st.builds(remote, names, st.sampled_from(STATES)), unique_by=lambda each: each.id
)
known = st.lists(st.builds(ours, names, running=st.booleans()), unique_by=lambda each: each.ref.key)


def after(beams: list[KnownBeam], made: tuple[Repair, ...]) -> list[KnownBeam]:
    found = {each.ref.key: each for each in beams}
    for repair in made:
        found[repair.beam.key] = KnownBeam(
            ref=repair.beam, is_running=isinstance(repair, StartStream)
        )
    return list(found.values())


@given(remotes, known)
def test_repairing_once_is_enough(listed: list[RemoteStream], beams: list[KnownBeam]) -> None:
    made = repairs(listed, beams, now=NOW)
    assert repairs(listed, after(beams, made), now=NOW) == ()


@given(remotes, known)
def test_after_repairs_we_follow_what_is_live_unless_it_ended_for_us(
    listed: list[RemoteStream], beams: list[KnownBeam]
) -> None:
    result = {each.ref.key: each for each in after(beams, repairs(listed, beams, now=NOW))}
    over = {each.ref.key for each in beams if not each.is_running}
    for each in listed:
        key = f"beam:{each.id}"
        if each.status == "running" and key not in over:
            assert result[key].is_running
        if each.status not in {"running", "starting"}:
            assert key not in result or not result[key].is_running


@given(remotes, known)
def test_nothing_is_repaired_that_100ms_did_not_say(
    listed: list[RemoteStream], beams: list[KnownBeam]
) -> None:
    said = {f"beam:{each.id}" for each in listed}
    made = repairs(listed, beams, now=NOW)
    assert {each.beam.key for each in made} <= said
    assert len({each.beam.key for each in made}) == len(made)
