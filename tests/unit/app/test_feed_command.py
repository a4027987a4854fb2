"""`highlights feed` sends every event of a feed once, and names what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from app.feed import FeedSource, FeedSummary, send_feed
from app.recordings import ApiAccess
from domain.feed.adapters.match import FeedFormat
from domain.feed.models import FeedEventKind
from infra.errors import SetupError
from tests.fakes.feed_api import KEY, FakeFeedApi, problem

STREAM = UUID("0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11")
FEEDS = Path(__file__).parents[1] / "domain" / "feed" / "adapters" / "data"


@pytest.fixture
def api() -> Iterator[FakeFeedApi]:
    with FakeFeedApi() as api:
        yield api


@pytest.fixture
def source(tmp_path: Path) -> FeedSource:
    """An empty file of tenant's events, sent with a state file."""
    file = tmp_path / "feed.jsonl"
    file.touch()
    return FeedSource(
        stream_id=STREAM, source=str(file), format=FeedFormat.EVENTS, state=tmp_path / "state.json"
    )


def event(number: int, **over: object) -> str:
    return json.dumps({"id": f"e{number}", "kind": "custom", "at": {"media": number}} | over)


def write(source: FeedSource, *lines: str) -> None:
    with Path(source.source).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


async def send(
    source: FeedSource, api: FakeFeedApi, *, key: str = KEY, console: Console | None = None
) -> FeedSummary:
    access = ApiAccess(url=api.url, key=key)
    return await send_feed(source, access, console=console or Console(file=StringIO()))


@pytest.mark.parametrize(
    ("file", "feed_format", "kinds"),
    [
        ("sportradar.xml", FeedFormat.SPORTRADAR, {"score", "odds", "suspended", "settled"}),
        ("betfair.jsonl", FeedFormat.BETFAIR, {"period", "odds", "reopened", "settled"}),
        ("odds_api.jsonl", FeedFormat.ODDS_API, {"score", "odds", "period"}),
    ],
)
async def test_a_file_of_each_format_is_sent(
    api: FakeFeedApi, source: FeedSource, file: str, feed_format: FeedFormat, kinds: set[str]
) -> None:
    summary = await send(replace(source, source=str(FEEDS / file), format=feed_format), api)
    assert kinds <= {each.kind.value for each in api.events}
    assert summary.events == len(api.events)
    assert summary.outcomes == {"waiting": len(api.events)}


async def test_events_go_in_batches_that_the_api_takes(
    api: FakeFeedApi, source: FeedSource
) -> None:
    subjects = [f"bet:{number:0120}" for number in range(20)]
    write(source, *(event(number, subjects=subjects) for number in range(250)))
    summary = await send(source, api)
    assert [each.id for each in api.events] == [f"e{number}" for number in range(250)]
    assert max(map(len, api.batches)) <= 100
    assert summary.messages == 250


async def test_a_feed_that_grows_is_continued_where_it_was_left(
    api: FakeFeedApi, source: FeedSource
) -> None:
    write(source, event(1), event(2))
    await send(source, api)
    write(source, event(3))
    summary = await send(source, api)
    assert [[each.id for each in batch] for batch in api.batches] == [["e1", "e2"], ["e3"]]
    assert summary.messages == 1


async def test_the_memory_of_an_adapter_outlives_the_command(
    api: FakeFeedApi, source: FeedSource
) -> None:
    source = replace(source, format=FeedFormat.SPORTRADAR)
    lines = (FEEDS / "sportradar.xml").read_text().splitlines()
    write(source, *lines[:1])
    await send(source, api)
    write(source, *lines[1:4])
    await send(source, api)
    [odds] = [e for e in api.events if e.kind is FeedEventKind.ODDS and e.selection == "home"]
    assert odds.odds is not None
    assert odds.odds.before == 2.40


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_refusal_that_passes_is_waited_for(
    api: FakeFeedApi, source: FeedSource, status: int
) -> None:
    write(source, event(1))
    api.refusals = [problem(status, "Later.", retry_after=0)] * 3
    await send(source, api)
    assert [each.id for each in api.events] == ["e1"]
    assert len(set(api.keys)) == 1


async def test_a_lost_answer_stores_nothing_twice(api: FakeFeedApi, source: FeedSource) -> None:
    write(source, event(1), event(2))
    api.lose = 1
    await send(source, api)
    assert [each.id for each in api.events] == ["e1", "e2"]
    assert len(api.keys) == 2


async def test_a_command_that_ends_before_its_state_is_stored_repeats_its_key(
    api: FakeFeedApi, source: FeedSource
) -> None:
    write(source, event(1))
    await send(source, api)
    assert source.state is not None
    source.state.unlink()
    await send(source, api)
    assert [each.id for each in api.events] == ["e1"]


async def test_an_api_that_takes_nothing_ends_the_command_with_where_to_go_on(
    api: FakeFeedApi, source: FeedSource
) -> None:
    write(source, event(1))
    api.refusals = [problem(429, "The limit is reached.", retry_after=60)]
    with pytest.raises(SetupError, match=r"The limit is reached.* goes on at message 1"):
        await send(replace(source, patience=1.0), api)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"id": "e2"}', "message 2: kind: Field required"),
        ("{", "message 2: message: Invalid JSON"),
        (event(2, importance=2), "message 2: importance: Input should be less than"),
        (event(2, at={"media": 1, "now": True}), "message 2: at: Value error, give exactly one"),
        (
            event(2, kind="odds", odds={"before": 0, "after": 2}),
            "message 2: odds.before: Value error, decimal odds are above 1",
        ),
    ],
)
async def test_a_wrong_event_is_named_by_line_and_field(
    api: FakeFeedApi, source: FeedSource, line: str, field: str
) -> None:
    write(source, event(1), line, event(3))
    with pytest.raises(SetupError) as error:
        await send(source, api)
    assert field in str(error.value)
    assert [each.id for each in api.events] == ["e1"]


async def test_wrong_events_are_left_out_on_request(api: FakeFeedApi, source: FeedSource) -> None:
    write(source, event(1), "{}", event(3))
    printed = StringIO()
    summary = await send(
        replace(source, skip_invalid=True), api, console=Console(file=printed, width=200)
    )
    assert [each.id for each in api.events] == ["e1", "e3"]
    assert "message 2: id: Field required" in printed.getvalue()
    assert summary.invalid == 3


async def test_what_the_api_refuses_is_named_by_line(api: FakeFeedApi, source: FeedSource) -> None:
    write(source, event(1), event(2))
    wrong = [{"loc": ["events", 1, "market"], "msg": "is not known"}]
    api.refusals = [problem(422, "The request is invalid.", wrong)]
    with pytest.raises(SetupError, match="message 2, event e2: market: is not known"):
        await send(source, api)


async def test_a_wrong_key_is_the_apis_to_explain(api: FakeFeedApi, source: FeedSource) -> None:
    write(source, event(1))
    with pytest.raises(SetupError, match="The API key is not valid"):
        await send(source, api, key="hl_test_other")


async def test_a_missing_file_is_named(api: FakeFeedApi, source: FeedSource) -> None:
    with pytest.raises(SetupError, match=r"nowhere\.xml cannot be read: No such file"):
        await send(replace(source, source="nowhere.xml"), api)


@pytest.mark.parametrize(
    "other",
    [{"stream_id": UUID(int=1)}, {"match": "33002"}, {"format": FeedFormat.SPORTRADAR}],
    ids=["stream", "match", "format"],
)
async def test_a_state_file_belongs_to_one_feed(
    api: FakeFeedApi, source: FeedSource, other: dict[str, Any]
) -> None:
    source = replace(source, format=FeedFormat.BETFAIR, match="33001")
    await send(source, api)
    write(source, (FEEDS / "betfair.jsonl").read_text().splitlines()[0])
    await send(source, api)
    with pytest.raises(SetupError, match="belongs to stream"):
        await send(replace(source, **other), api)


async def test_events_of_the_api_name_no_match(api: FakeFeedApi, source: FeedSource) -> None:
    with pytest.raises(SetupError, match="Leave out --match"):
        await send(replace(source, match="33001"), api)


async def test_a_queue_needs_its_name(api: FakeFeedApi, source: FeedSource) -> None:
    with pytest.raises(SetupError, match="name of the queue is missing"):
        await send(replace(source, source="amqp://localhost/"), api)


def test_the_command_reads_standard_input(api: FakeFeedApi) -> None:
    arguments = ["feed", str(STREAM), "-", "--format", "events", "--url", api.url, "--key", KEY]
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *arguments],
        input=f"{event(1)}\n{event(2)}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "2 messages, 2 events (2 waiting)\n", done.stderr
    assert [each.id for each in api.events] == ["e1", "e2"]
