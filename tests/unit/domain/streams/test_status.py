"""The life of a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.streams.status import (
    NORMAL_ENDS,
    TERMINAL,
    EndReason,
    StreamEnd,
    StreamProgress,
    StreamStatus,
    conclude,
    may_become,
    may_follow,
)

statuses = st.sampled_from(StreamStatus)


def test_a_stream_lives_stalls_recovers_and_ends() -> None:
    life = [
        StreamStatus.STARTING,
        StreamStatus.LIVE,
        StreamStatus.STALLED,
        StreamStatus.LIVE,
        StreamStatus.ENDING,
        StreamStatus.COMPLETED,
    ]
    assert all(may_become(before, after) for before, after in pairwise(life))


@pytest.mark.parametrize("status", sorted(TERMINAL))
@given(after=statuses)
def test_nothing_follows_a_terminal_state(status: StreamStatus, after: StreamStatus) -> None:
    assert not may_become(status, after)
    assert may_follow(status, after) is (after is status)


@pytest.mark.parametrize("status", sorted(set(StreamStatus) - TERMINAL))
def test_any_stream_may_fail_or_be_cancelled(status: StreamStatus) -> None:
    assert may_become(status, StreamStatus.FAILED)
    assert may_become(status, StreamStatus.CANCELLED)


def test_a_stream_that_is_ending_does_not_come_back() -> None:
    assert not may_become(StreamStatus.ENDING, StreamStatus.LIVE)
    assert not may_follow(StreamStatus.ENDING, StreamStatus.STALLED)


def test_a_stream_without_media_completes_only_by_ending() -> None:
    assert not may_become(StreamStatus.STARTING, StreamStatus.COMPLETED)
    assert may_follow(StreamStatus.STARTING, StreamStatus.COMPLETED)


@given(statuses)
def test_a_change_is_to_another_state(status: StreamStatus) -> None:
    assert not may_become(status, status)


@given(st.lists(statuses, min_size=1, max_size=8))
def test_whoever_misses_steps_still_sees_a_legal_order(wanted: list[StreamStatus]) -> None:
    seen = [wanted[0]]
    for status in wanted[1:]:
        if may_become(seen[-1], status):
            seen.append(status)
    for number, before in enumerate(seen):
        assert all(may_follow(before, after) for after in seen[number:])


@pytest.mark.parametrize("reason", EndReason)
def test_every_reason_leads_to_a_terminal_state(reason: EndReason) -> None:
    assert StreamEnd(reason=reason, message="x").status in TERMINAL


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (EndReason.PLAYLIST_ENDED, StreamStatus.COMPLETED),
        (EndReason.STOPPED, StreamStatus.COMPLETED),
        (EndReason.STALLED, StreamStatus.COMPLETED),
        (EndReason.CANCELLED, StreamStatus.CANCELLED),
        (EndReason.NEVER_STARTED, StreamStatus.FAILED),
        (EndReason.SOURCE_FAILED, StreamStatus.FAILED),
        (EndReason.NO_MEDIA, StreamStatus.FAILED),
    ],
)
def test_a_reason_says_how_well_a_stream_ended(reason: EndReason, status: StreamStatus) -> None:
    assert StreamEnd(reason=reason, message="x").status is status


@pytest.mark.parametrize("reason", sorted(NORMAL_ENDS))
def test_a_stream_of_which_nothing_could_be_stored_has_failed(reason: EndReason) -> None:
    end = conclude(StreamEnd(reason=reason, message="over"), StreamProgress(missed=7))
    assert end.reason is EndReason.NO_MEDIA
    assert "7 published segments" in end.message
    assert end.status is StreamStatus.FAILED


@pytest.mark.parametrize(
    "progress", [StreamProgress(), StreamProgress(segments=1, missed=100)], ids=["none", "some"]
)
def test_a_stream_that_lost_no_more_than_some_ends_as_it_says(progress: StreamProgress) -> None:
    end = StreamEnd(reason=EndReason.STOPPED, message="over")
    assert conclude(end, progress) is end


def test_a_failure_keeps_its_own_reason() -> None:
    end = StreamEnd(reason=EndReason.ENCRYPTED, message="AES-128")
    assert conclude(end, StreamProgress(missed=7)) is end
