"""Events of a feed over the API: sent, listed, linked to highlights, taken back."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from app.container import Container
from app.services.feed.feed_service import (
    ASKED_AGAIN_AFTER,
    SIGNALED_AGAIN_AFTER,
    FeedService,
)
from app.services.streams import StreamStarter
from domain.analysis.screen import MatchState
from domain.feed.clock import REACTION
from domain.feed.messages import FeedEventsStored, LinkFeedInput
from domain.feed.models import FeedEvent, FeedOutcome
from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.tenants.usage import PLANS, PlanName
from infra.db.engine import Database
from infra.db.repositories import highlights, streams, tenants
from infra.db.repositories.feed import feed_events
from infra.db.tables import Clip, EventRow, FeedEventRow, Stream
from infra.settings import Settings
from tests.factories.rows import PEAK_AT, new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem

GOAL: dict[str, Any] = {"id": "g1", "kind": "score", "at": {"media": 60.0}, "label": "goal"}


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    """A stream that has ended, with a highlight at 60 s."""
    made = await new_stream(database, account.tenant_id)
    await new_highlight(database, account.tenant_id, made, peak=60.0)
    await end(database, account, made)
    return made


async def end(database: Database, account: Account, stream: UUID) -> None:
    done = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="ended")
    progress = StreamProgress(
        status=StreamStatus.COMPLETED, end=done, position=300.0, analyzed=300.0, segments=1
    )
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(
            session,
            StreamRecord(tenant_id=account.tenant_id, stream_id=stream, progress=progress),
        )


async def send(account: Account, stream: UUID, *events: dict[str, Any]) -> list[dict[str, Any]]:
    response = await account.http.post(f"/v1/streams/{stream}/events", json={"events": [*events]})
    assert response.status_code == 202, response.text
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def published(database: Database, account: Account) -> list[str]:
    async with database.session(account.tenant_id) as session:
        rows = await session.scalars(select(EventRow.type).order_by(EventRow.position))
        return [each for each in rows if not each.startswith("stream.")]


async def only_highlight(database: Database, account: Account, stream: UUID) -> UUID:
    async with database.session(account.tenant_id) as session:
        (row,) = await highlights.between(
            session, tenant_id=account.tenant_id, stream_id=stream, first=0.0, last=100.0
        )
        return row.id


async def test_an_event_of_an_ended_stream_is_answered_with_its_highlight(
    account: Account, database: Database, stream: UUID
) -> None:
    (answer,) = await send(account, stream, GOAL)
    highlight = await only_highlight(database, account, stream)
    assert (answer["outcome"], answer["highlight_id"]) == ("linked", str(highlight))
    assert (answer["place"], answer["error"]) == (60.0, 0.5)


async def test_an_event_far_from_every_highlight_is_too_late_or_unplaced(
    account: Account, stream: UUID
) -> None:
    late, future, dateless = await send(
        account,
        stream,
        {"id": "a", "kind": "custom", "at": {"media": 200.0}},
        {"id": "b", "kind": "custom", "at": {"media": 90_000.0}},
        {"id": "c", "kind": "custom", "at": {"wall_clock": "2020-01-01T00:00:00Z"}},
    )
    assert late["outcome"] == "too_late"
    assert "after its moment was analyzed" in late["detail"]
    assert (future["outcome"], future["detail"]) == (
        "unplaced",
        "Its time is 89700 s in the future.",
    )
    assert dateless["outcome"] == "unplaced"


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_any_order_of_revisions_leaves_the_same_event(
    account: Account, stream: UUID, order: tuple[int, ...]
) -> None:
    for number in order:
        label = f"label {number}"
        await send(
            account,
            stream,
            GOAL | {"revision": number, "label": label, "subjects": [f"b:{number}"]},
        )
    found = (await account.http.get(f"/v1/streams/{stream}/feed-events")).json()["data"]
    assert [(each["revision"], each["subjects"]) for each in found] == [(2, ["b:2"])]


async def test_the_same_request_is_answered_once(account: Account, stream: UUID) -> None:
    path, key = f"/v1/streams/{stream}/events", {"Idempotency-Key": uuid4().hex}
    first = await account.http.post(path, json={"events": [GOAL]}, headers=key)
    again = await account.http.post(path, json={"events": [GOAL]}, headers=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()


async def test_a_page_of_events_continues_after_the_last_one(
    account: Account, stream: UUID
) -> None:
    for number in range(3):
        await send(account, stream, GOAL | {"id": f"g{number}"})
    path = f"/v1/streams/{stream}/feed-events"
    first = (await account.http.get(path, params={"limit": 2})).json()
    rest = (await account.http.get(path, params={"cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in [*first["data"], *rest["data"]]] == ["g2", "g1", "g0"]


async def test_odds_that_cannot_be_are_refused_with_the_field(
    account: Account, stream: UUID
) -> None:
    event = {"id": "o", "kind": "odds", "at": {"now": True}, "odds": {"before": 0, "after": 2.0}}
    response = await account.http.post(f"/v1/streams/{stream}/events", json={"events": [event]})
    assert_problem(response, 422, "invalid_request")
    (error,) = response.json()["errors"]
    assert error["pointer"] == "/events/0/odds/before"
    assert "decimal odds are above 1" in error["detail"]


async def test_the_highlights_of_a_subject_are_listed_and_published_until_it_is_deleted(
    account: Account, other_account: Account, database: Database, stream: UUID
) -> None:
    settled = {
        "id": "s1",
        "kind": "settled",
        "at": {"media": 95.0},
        "result": "won",
        "subjects": ["bet:8841"],
    }
    (answer,) = await send(account, stream, settled)
    highlight = str(await only_highlight(database, account, stream))
    assert (answer["outcome"], answer["highlight_id"]) == ("linked", highlight)
    path = "/v1/subjects/bet:8841/highlights"
    assert [each["id"] for each in (await account.http.get(path)).json()["data"]] == [highlight]
    assert (await other_account.http.get(path)).json()["data"] == []
    assert "subject.highlight" in await published(database, account)
    assert (await other_account.http.delete("/v1/subjects/bet:8841")).status_code == 204
    assert len((await account.http.get(path)).json()["data"]) == 1
    assert (await account.http.delete("/v1/subjects/bet:8841")).status_code == 204
    assert (await account.http.get(path)).json()["data"] == []
    listed = (await account.http.get(f"/v1/streams/{stream}/feed-events")).json()["data"]
    assert listed[0]["subjects"] == []


FED: dict[str, Any] = GOAL | {"market": "next goal", "subjects": ["bet:8841"]}


@pytest.fixture
async def filtered(account: Account, database: Database, stream: UUID) -> UUID:
    """A highlight with a feed event and a state of the match, among others without."""
    state = MatchState(score_before=(1, 1), score_after=(2, 1), period="2nd")
    made = await new_highlight(database, account.tenant_id, stream, peak=150.0, state=state)
    (answer,) = await send(account, stream, FED | {"at": {"media": 150.0}})
    assert answer["highlight_id"] == str(made)
    return made


async def found(account: Account, path: str, **params: str) -> list[str]:
    response = await account.http.get(path, params=params)
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    return [each.get("highlight", each)["id"] for each in data]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("market", "next goal", "goal"),
        ("subject", "bet:8841", "bet:884"),
        ("state", "2-1", "1-1"),
        ("state", "02-1", "2-1-0"),
        ("period", "2ND", "1st"),
    ],
)
async def test_highlights_are_listed_and_searched_by_feed_and_match(
    account: Account,
    other_account: Account,
    filtered: UUID,
    *,
    name: str,
    value: str,
    other: str,
) -> None:
    listing, search = "/v1/highlights/list", "/v1/highlights/search"
    assert len(await found(account, listing)) == 2
    assert await found(account, listing, **{name: value}) == [str(filtered)]
    assert await found(account, listing, **{name: other}) == []
    assert await found(account, search, q="crowd", **{name: value}) == [str(filtered)]
    assert await found(account, search, q="crowd", **{name: other}) == []
    assert await found(other_account, listing, **{name: value}) == []
    assert await found(other_account, search, q="crowd", **{name: value}) == []


async def test_a_highlight_of_an_event_that_was_taken_back_is_not_found_by_it(
    account: Account, stream: UUID, filtered: UUID
) -> None:
    undo = {"id": "var", "kind": "review", "at": {"media": 155.0}, "retracts": "g1"}
    await send(account, stream, undo)
    for only in ({"market": "next goal"}, {"subject": "bet:8841"}):
        assert await found(account, "/v1/highlights/list", **only) == []
    assert str(filtered) in await found(account, "/v1/highlights/list")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("state", "2:1", "must be the score after the moment, such as 2-1"),
        ("state", "-1", "must be the score after the moment, such as 2-1"),
        ("period", "second half", "must be a period as screens show it: 1st to 4th"),
        ("subject", "a bet", "should match pattern"),
        ("market", "", "at least 1 character"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/highlights/list", "/v1/highlights/search"])
async def test_a_filter_that_can_match_nothing_is_refused_by_name(
    account: Account, path: str, name: str, value: str, says: str
) -> None:
    query = {"q": "crowd"} if path.endswith("search") else {}
    response = await account.http.get(path, params=query | {name: value})
    assert_problem(response, 422, "invalid_request")
    (error,) = response.json()["errors"]
    assert error["pointer"] == f"query/{name}"
    assert says in error["detail"]


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("market", "next goal", "goal"),
        ("subject", "bet:8841", "bet:1"),
        ("state", "2-1", "1-1"),
        ("period", "2nd", "1st"),
    ],
)
async def test_a_batch_is_chosen_by_feed_and_match(
    account: Account,
    database: Database,
    stream: UUID,
    filtered: UUID,
    *,
    name: str,
    value: str,
    other: str,
) -> None:
    for highlight in (filtered, await only_highlight(database, account, stream)):
        await new_clip(database, account.tenant_id, stream, highlight)
    body = {"renditions": [{"format": "audio"}]}
    path = "/v1/export-batches"
    made = await account.http.post(path, json=body | {"filter": {name: value}})
    assert (made.status_code, made.json()["exports"]) == (201, 1)
    await account.http.post(f"{path}/{made.json()['id']}/cancel")
    none = await account.http.post(path, json=body | {"filter": {name: other}})
    assert_problem(none, 409, "nothing_to_export")


async def attached(account: Account, database: Database, stream: UUID, *, is_base: bool) -> UUID:
    """A goal of the feed that the analyzer has attached to the highlight at 60 s."""
    highlight = await only_highlight(database, account, stream)
    tenant, event = account.tenant_id, FeedEvent.model_validate(GOAL)
    async with database.session(tenant) as session:
        (row,) = await feed_events.put(session, tenant_id=tenant, stream_id=stream, events=[event])
        await feed_events.attach(
            session, tenant_id=tenant, highlights={row.id: (highlight, is_base)}
        )
    return highlight


async def test_a_goal_taken_back_withdraws_what_rested_on_it_alone(
    account: Account, database: Database, stream: UUID
) -> None:
    other = await new_highlight(database, account.tenant_id, stream, peak=150.0)
    highlight = await attached(account, database, stream, is_base=True)
    await send(account, stream, {"id": "x", "kind": "custom", "at": {"media": 151.0}})
    listed = (await account.http.get(f"/v1/streams/{stream}/feed-events")).json()["data"]
    assert {each["id"]: each["outcome"] for each in listed} == {"g1": "marked", "x": "linked"}
    undo = {"id": "var", "kind": "review", "at": {"media": 100.0}, "retracts": "g1"}
    await send(account, stream, undo)
    answer = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert answer["status"] == "retracted"
    assert answer["reasons"][-1]["words"] == "Event g1 of the feed was taken back by var."
    assert (await account.http.get(f"/v1/highlights/{other}")).json()["status"] == "confirmed"
    assert (await published(database, account))[-1] == "highlight.retracted"


async def test_a_goal_taken_back_relabels_a_highlight_that_was_found_without_it(
    account: Account, database: Database, stream: UUID
) -> None:
    highlight = await attached(account, database, stream, is_base=False)
    await send(account, stream, GOAL | {"id": "var", "kind": "review", "retracts": "g1"})
    answer = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert (answer["status"], answer["tags"]) == ("confirmed", [])
    assert (await published(database, account))[-1] == "highlight.relabeled"


async def test_a_retraction_that_comes_before_its_event_counts(
    account: Account, stream: UUID
) -> None:
    await send(account, stream, GOAL | {"id": "var", "kind": "review", "retracts": "g1"})
    (answer,) = await send(account, stream, GOAL)
    assert answer["outcome"] == "retracted"


async def test_no_decision_brings_a_withdrawn_highlight_back(
    account: Account, database: Database, stream: UUID
) -> None:
    highlight = await attached(account, database, stream, is_base=True)
    await send(account, stream, GOAL | {"id": "var", "kind": "review", "retracts": "g1"})
    await new_highlight(database, account.tenant_id, stream, peak=60.0, score=0.9)
    answer = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert answer["status"] == "retracted"


async def test_an_events_place_follows_the_feed_clock_that_the_tenant_sets(
    account: Account, stream: UUID
) -> None:
    path = f"/v1/streams/{stream}/feed-clock"
    assert (await account.http.get(path)).json()["source"] == "unknown"
    answer = await account.http.put(path, json={"offset": -7.5})
    assert answer.json() == {"source": "set", "offset": -7.5, "error": 1.0, "pairs": 0}
    # The highlight at 60 s peaked at PEAK_AT.
    at = (PEAK_AT + timedelta(seconds=7.5)).isoformat()
    (event,) = await send(account, stream, GOAL | {"at": {"wall_clock": at}})
    assert (event["place"], event["error"], event["outcome"]) == (60.0, 1.0, "linked")
    assert (await account.http.delete(path)).status_code == 204
    assert (await account.http.get(path)).json()["source"] == "unknown"


async def test_the_feed_clock_is_estimated_from_goals_and_highlights(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    goals = [40.0, 95.0, 170.0, 260.0]
    for at in goals:
        peak = at + REACTION
        wall = PEAK_AT + timedelta(seconds=peak)
        await new_highlight(database, account.tenant_id, stream, peak=peak, peak_wall_clock=wall)
    await end(database, account, stream)
    late = [(PEAK_AT + timedelta(seconds=at + 9.0)).isoformat() for at in goals]
    sent = [GOAL | {"id": f"g{number}", "at": {"wall_clock": at}} for number, at in enumerate(late)]
    answers = await send(account, stream, *sent)
    clock = (await account.http.get(f"/v1/streams/{stream}/feed-clock")).json()
    assert clock == {"source": "estimated", "offset": -9.0, "error": 1.05, "pairs": 4}
    assert [each["place"] for each in answers] == goals
    assert {each["outcome"] for each in answers} == {"linked"}


async def test_the_clip_of_a_highlight_withdrawn_after_the_end_is_deleted(
    account: Account, database: Database, stream: UUID, clip_root: Path
) -> None:
    highlight = await attached(account, database, stream, is_base=True)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    async with database.session(account.tenant_id) as session:
        row = await session.get_one(Clip, (account.tenant_id, clip))
        keys = [row.key, row.thumbnail_key]
    for key in keys:
        assert key is not None
        (clip_root / key).parent.mkdir(parents=True, exist_ok=True)
        (clip_root / key).write_bytes(b"film")
    await send(account, stream, GOAL | {"id": "var", "kind": "review", "retracts": "g1"})
    assert (await account.http.get(f"/v1/clips/{clip}")).json()["status"] == "deleted"
    assert [key for key in keys if key and (clip_root / key).exists()] == []


async def test_a_stream_without_events_is_not_asked_about_for_each_window(
    account: Account, database: Database, stream: UUID, settings: Settings
) -> None:
    now = 0.0
    async with Container(settings) as container:
        known = container.services
        feed = FeedService(
            database,
            starter=known.starter,
            dispatcher=known.dispatcher,
            files=known.clips,
            clock=lambda: now,
        )

        async def markers() -> int:
            found = await feed.markers(tenant_id=account.tenant_id, stream_id=stream, since=0.0)
            return len(found)

        assert await markers() == 0
        event = FeedEvent.model_validate(GOAL)
        async with database.session(account.tenant_id) as session:
            (row,) = await feed_events.put(
                session, tenant_id=account.tenant_id, stream_id=stream, events=[event]
            )
            row.place, row.error = 60.0, 0.5
        assert await markers() == 0
        now = ASKED_AGAIN_AFTER + 1.0
        assert await markers() == 1


class RecordedStarter(StreamStarter):
    """Records the signals that workflows get."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    async def feed_events_stored(self, stream: Stream, stored: FeedEventsStored) -> bool:  # noqa: ARG002
        self.signals.append(stored.events)
        return True


async def test_a_stream_that_is_known_to_have_a_feed_is_signaled_for_retractions_only(
    account: Account, database: Database, settings: Settings
) -> None:
    live, now, starter = await new_stream(database, account.tenant_id), 0.0, RecordedStarter()
    async with Container(settings) as container:
        known = container.services
        feed = FeedService(
            database,
            starter=starter,
            dispatcher=known.dispatcher,
            files=known.clips,
            clock=lambda: now,
        )

        async def send_to(*events: dict[str, Any]) -> int:
            new = [FeedEvent.model_validate(each) for each in events]
            async with database.session(account.tenant_id) as session:
                stream, rows = await feed.store(
                    session, tenant_id=account.tenant_id, stream_id=live, new=new
                )
            before = len(starter.signals)
            await feed.notify(stream, rows)
            return len(starter.signals) - before

        assert await send_to(GOAL) == 1
        assert await send_to(GOAL | {"id": "g2"}) == 0
        assert await send_to(GOAL | {"id": "g3"}, GOAL | {"id": "v", "retracts": "g1"}) == 1
        now = SIGNALED_AGAIN_AFTER + 1.0
        assert await send_to(GOAL | {"id": "g4"}) == 1


async def test_a_burst_of_events_is_refused_above_the_limit_and_loses_none_below_it(
    account: Account, database: Database, settings: Settings
) -> None:
    """10,000 events in a minute: the plan's share is stored and decided, the rest is refused."""
    async with database.session(account.tenant_id) as session:
        await tenants.set_plan(session, tenant_id=account.tenant_id, plan=PlanName.STARTER)
    live = await new_stream(database, account.tenant_id)
    path = f"/v1/streams/{live}/events"
    limit = PLANS[PlanName.STARTER].feed_events_per_minute
    stored, refused = 0, []
    for number in range(100):
        batch = [
            {"id": f"e{number}-{each}", "kind": "odds", "at": {"media": 20.0 + each}}
            | {"market": "next goal", "odds": {"before": 2.4, "after": 1.25}}
            for each in range(100)
        ]
        answer = await account.http.post(path, json={"events": batch})
        if answer.status_code == 202:
            stored += 100
        else:
            refused.append(assert_problem(answer, 429, "rate_limited"))
    assert (stored, len(refused)) == (limit, 100 - limit // 100)
    assert f"takes {limit} feed events in 60 s" in refused[0]["detail"]

    undo = FeedEvent.model_validate(GOAL | {"id": "undo", "retracts": "e0-99"})
    async with database.session(account.tenant_id) as session:
        await feed_events.put(session, tenant_id=account.tenant_id, stream_id=live, events=[undo])
    waits, decides = (
        LinkFeedInput(
            tenant_id=account.tenant_id, stream_id=live, media_end=200.0, analyzed=analyzed
        )
        for analyzed in (10.0, 200.0)
    )
    async with Container(settings) as container:
        feed = container.services.feed
        await feed.link(waits)
        assert await outcomes(database, account, FeedOutcome.RETRACTED) == 1
        for _ in range(limit // 500 + 1):
            await feed.link(waits)
        marked = await feed.markers(tenant_id=account.tenant_id, stream_id=live, since=0.0)
        assert len(marked) == limit - 1
        for _ in range(limit // 500 + 1):
            await feed.link(decides)
    assert await outcomes(database, account, FeedOutcome.WAITING) == 0


async def outcomes(database: Database, account: Account, outcome: FeedOutcome) -> int:
    async with database.session(account.tenant_id) as session:
        found = await session.scalars(
            select(FeedEventRow.id).where(FeedEventRow.outcome == outcome)
        )
        return len(list(found))


@pytest.fixture
async def read_clocks(account: Account, database: Database, stream: UUID) -> UUID:
    """The stream, of which the screen was read at four moments of two periods."""
    for peak, clock, period in (
        (100.0, "10:00", "1st"),
        (160.0, "11:00", "1st"),
        (220.0, "10:00", "2nd"),
        (280.0, "11:00", "2nd"),
    ):
        state = MatchState(clock=clock, period=period)
        await new_highlight(database, account.tenant_id, stream, peak=peak, state=state)
    return stream


async def test_a_match_clock_that_runs_backwards_places_each_event_where_it_was_shown(
    account: Account, read_clocks: UUID
) -> None:
    clocks = [("11:10", "1st"), ("10:30", "1st"), ("11:10", "2nd"), ("10:30", "2nd")]
    events = [
        {"id": f"c{number}", "kind": "custom", "at": {"clock": clock, "period": period}}
        for number, (clock, period) in enumerate(clocks)
    ]
    answers = [(await send(account, read_clocks, each))[0] for each in events]
    assert [each["place"] for each in answers] == [170.0, 130.0, 290.0, 250.0]
    assert {each["error"] for each in answers} == {3.0}


async def test_a_correction_of_the_match_clock_moves_its_event_back(
    account: Account, read_clocks: UUID
) -> None:
    def seen(clock: str, revision: int) -> dict[str, Any]:
        at = {"clock": clock, "period": "2nd"}
        return {"id": "c", "revision": revision, "kind": "period", "at": at}

    places = [
        (await send(account, read_clocks, seen(*each)))[0]["place"]
        for each in (("11:00", 1), ("10:20", 2), ("11:30", 0))
    ]
    assert places == [280.0, 240.0, 240.0]


async def test_a_match_clock_of_a_period_that_was_not_read_is_unplaced(
    account: Account, read_clocks: UUID
) -> None:
    at = {"clock": "10:30", "period": "3rd"}
    (answer,) = await send(account, read_clocks, {"id": "c", "kind": "custom", "at": at})
    assert (answer["outcome"], answer["place"]) == ("unplaced", None)
    assert answer["detail"].startswith("No match clock near 10:30 was read on the screen")
