"""How a follower's news become a stream of events."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from api.errors.problems import (
    AddressNotAllowedProblem,
    MissingScopeProblem,
    Problem,
    UnauthenticatedProblem,
)
from api.event_stream import events
from infra.db.engine import DatabaseUnavailableError
from infra.settings.services import EventSettings

SETTINGS = EventSettings(events_interval=0.001, events_keep_alive=1e-9)
RETRY = b"retry: 2000\n\n"
COMMENT = b": still here\n\n"


class Scripted:
    """Gives its news in turn, and is done with the last; an error is raised."""

    def __init__(self, *news: list[bytes] | Exception) -> None:
        self._news = list(news)
        self.done = False
        self.has_more = False

    async def read(self) -> list[bytes]:
        news = self._news.pop(0)
        self.done = not self._news
        if isinstance(news, Exception):
            raise news
        return news


async def permitted() -> None:
    """Let every event be told."""


async def sent(
    follower: Scripted,
    settings: EventSettings = SETTINGS,
    authorize: Callable[[], Awaitable[None]] = permitted,
) -> list[bytes]:
    sending = events(settings, follower, authorize=authorize, request_id="req_1")
    return [event async for event in sending]


async def test_silence_is_filled_with_comments() -> None:
    assert await sent(Scripted([b"a"], [], [], [b"b", b"c"])) == [
        *(RETRY, b"a", COMMENT, COMMENT, b"b"),
        b"c",
    ]


async def test_a_short_silence_is_not() -> None:
    patient = SETTINGS.model_copy(update={"events_keep_alive": 3600.0})
    assert await sent(Scripted([b"a"], [], [b"b"]), patient) == [RETRY, b"a", b"b"]


async def test_a_database_that_is_away_ends_it_so_that_the_client_comes_back() -> None:
    assert await sent(Scripted([b"a"], DatabaseUnavailableError(), [b"b"])) == [RETRY, b"a"]


async def test_a_lifetime_that_is_over_ends_it() -> None:
    done = SETTINGS.model_copy(update={"events_lifetime": 1e-9})
    assert await sent(Scripted([b"a"]), done) == [RETRY]


@pytest.mark.parametrize(
    "problem", [UnauthenticatedProblem, MissingScopeProblem, AddressNotAllowedProblem]
)
async def test_a_key_that_may_no_longer_be_used_ends_it_with_the_problem(
    problem: type[Problem],
) -> None:
    asked = 0

    async def authorize() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise problem

    retry, first, error = await sent(Scripted([b"a"], [b"b"]), authorize=authorize)
    assert (retry, first) == (RETRY, b"a")
    name, data = error.decode().strip().split("\n")
    assert name == "event: error"
    document = json.loads(data.removeprefix("data: "))
    assert (document["code"], document["request_id"]) == (problem.code, "req_1")


async def test_events_for_a_slow_client_are_not_sent_after_its_key_has_ended() -> None:
    asked = 0

    async def authorize() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise UnauthenticatedProblem

    told = await sent(Scripted([b"a", b"b", b"c"]), authorize=authorize)
    assert told[:2] == [RETRY, b"a"]
    assert b"event: error" in told[2]
    assert len(told) == 3
