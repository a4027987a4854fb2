"""Publication policies and reviews: what waits, what is released, and what stops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from activities.maintenance import MaintenanceActivities
from domain.feed.models import FeedEvent
from domain.highlights.publication import PublicationPolicy
from domain.tenants.keys import Scope
from domain.tenants.retention import ExpireRecordsInput
from infra.db.engine import Database
from infra.db.tables import AuditEntry, EventRow, Highlight, Stream
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account, NewAccount
from tests.integration.api.problems import assert_problem

REQUIRED = {"review": "required"}


async def stream_with(database: Database, account: Account, policy: dict[str, Any]) -> UUID:
    stream = await new_stream(database, account.tenant_id)
    async with database.session(account.tenant_id) as session:
        await session.execute(update(Stream).where(Stream.id == stream).values(policy=policy))
    return stream


@pytest.fixture
async def awaiting(account: Account, database: Database) -> UUID:
    """A highlight with a ready clip that awaits review."""
    stream = await stream_with(database, account, REQUIRED)
    highlight = await new_highlight(database, account.tenant_id, stream)
    await new_clip(database, account.tenant_id, stream, highlight)
    return highlight


async def published(database: Database, account: Account) -> list[str]:
    async with database.session(account.tenant_id) as session:
        return list(await session.scalars(select(EventRow.type).order_by(EventRow.position)))


async def audited(database: Database, account: Account) -> list[str]:
    async with database.session(account.tenant_id) as session:
        found = await session.scalars(select(AuditEntry.action).order_by(AuditEntry.at))
        return [each for each in found if each.startswith("highlight.")]


async def read(account: Account, highlight: UUID) -> dict[str, Any]:
    found: dict[str, Any] = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    return found


async def review(account: Account, highlight: UUID, verdict: str, **body: str) -> Any:  # noqa: ANN401
    return await account.http.post(f"/v1/highlights/{highlight}/{verdict}", json=body)


async def test_a_highlight_that_awaits_review_has_no_links_and_no_webhooks(
    account: Account, database: Database, awaiting: UUID
) -> None:
    shown = await read(account, awaiting)
    assert (shown["review"]["status"], shown["withheld"]) == ("awaiting", "awaiting_review")
    assert (shown["clip"]["url"], shown["clip"]["thumbnail_url"]) == (None, None)
    assert shown["playback"] == {"ready": None, "hls_url": None, "mp4_url": None}
    clip = (await account.http.get(f"/v1/clips/{shown['clip']['id']}")).json()
    assert clip["url"] is None
    assert await published(database, account) == []


async def test_what_awaits_review_can_be_listed(
    account: Account, database: Database, awaiting: UUID
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await new_highlight(database, account.tenant_id, stream)
    found = await account.http.get("/v1/highlights/list", params={"review": "awaiting"})
    assert [each["id"] for each in found.json()["data"]] == [str(awaiting)]


async def test_only_a_key_that_may_approve_sees_the_preview(
    account: Account, new_account: NewAccount, database: Database, awaiting: UUID
) -> None:
    assert (await read(account, awaiting))["preview"]["mp4_url"] is not None
    reader = await new_account(Scope.READ)
    stream = await stream_with(database, reader, REQUIRED)
    highlight = await new_highlight(database, reader.tenant_id, stream)
    assert (await read(reader, highlight))["preview"] is None


async def test_approval_sends_what_was_withheld_once(
    account: Account, database: Database, awaiting: UUID
) -> None:
    answer = await review(account, awaiting, "approve", user="editor-7", note="fine")
    assert (answer.status_code, answer.json()["status"]) == (200, "approved")
    again = await review(account, awaiting, "approve", user="editor-8")
    assert again.json()["by"] == "editor-7"
    assert await published(database, account) == ["highlight.confirmed", "clip.ready"]
    shown = await read(account, awaiting)
    assert shown["withheld"] is None
    assert shown["clip"]["url"] is not None
    assert await audited(database, account) == ["highlight.approved"]


async def test_a_rejected_highlight_is_retracted_without_a_webhook(
    account: Account, database: Database, awaiting: UUID
) -> None:
    assert (await review(account, awaiting, "reject", note="offside")).status_code == 200
    shown = await read(account, awaiting)
    assert (shown["status"], shown["withheld"]) == ("retracted", "rejected")
    assert shown["reasons"][-1]["words"].endswith("offside")
    assert await published(database, account) == []
    answer = await review(account, awaiting, "approve")
    problem = assert_problem(answer, 409, "review_closed")
    assert problem["detail"] == "The highlight was rejected, which is final."


async def test_rejecting_an_approved_highlight_retracts_it_and_stops_its_links(
    account: Account, database: Database, awaiting: UUID
) -> None:
    await review(account, awaiting, "approve")
    link = (await read(account, awaiting))["clip"]["url"]
    await review(account, awaiting, "reject")
    assert await published(database, account) == [
        "highlight.confirmed",
        "clip.ready",
        "highlight.retracted",
    ]
    assert_problem(await account.http.get(link), 410, "highlight_withheld")


async def test_a_clip_that_is_ready_after_the_approval_is_announced(
    account: Account, database: Database
) -> None:
    stream = await stream_with(database, account, REQUIRED)
    highlight = await new_highlight(database, account.tenant_id, stream)
    await review(account, highlight, "approve")
    await new_clip(database, account.tenant_id, stream, highlight)
    assert await published(database, account) == ["highlight.confirmed", "clip.ready"]


async def test_a_subject_hears_of_its_highlight_when_it_is_approved(
    account: Account, database: Database
) -> None:
    stream = await stream_with(database, account, REQUIRED)
    highlight = await new_highlight(database, account.tenant_id, stream, peak=60.0)
    async with database.session(account.tenant_id) as session:
        await session.execute(
            update(Stream).where(Stream.id == stream).values(status="completed", position=300.0)
        )
    goal = FeedEvent.model_validate(
        {"id": "g1", "kind": "settled", "at": {"media": 60.0}, "subjects": ["bet:1"]}
    )
    body = {"events": [goal.model_dump(mode="json", exclude_none=True)]}
    assert (await account.http.post(f"/v1/streams/{stream}/events", json=body)).status_code == 202
    assert "subject.highlight" not in await published(database, account)
    await review(account, highlight, "approve")
    assert await published(database, account) == ["highlight.confirmed", "subject.highlight"]


async def test_a_review_that_nobody_makes_ends_and_is_audited(
    account: Account, database: Database, awaiting: UUID
) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    async with database.session(account.tenant_id) as session:
        await session.execute(
            update(Highlight).where(Highlight.id == awaiting).values(review_until=past)
        )
    problem = assert_problem(await review(account, awaiting, "approve"), 409, "review_closed")
    assert "time for the review is over" in problem["detail"]
    for _ in range(2):
        await MaintenanceActivities(database).expire_records(ExpireRecordsInput())
    assert (await read(account, awaiting))["withheld"] == "review_expired"
    assert await audited(database, account) == ["highlight.review_expired"]


async def test_a_highlight_without_a_review_cannot_be_approved(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    problem = assert_problem(await review(account, highlight, "approve"), 409, "review_closed")
    assert problem["detail"] == "The policy of the highlight requires no review."


async def test_another_tenants_highlight_cannot_be_reviewed(
    account: Account, other_account: Account, awaiting: UUID
) -> None:
    for verdict in ("approve", "reject"):
        answer = await review(other_account, awaiting, verdict)
        assert_problem(answer, 404, "highlight_not_found")
    assert (await read(account, awaiting))["review"]["status"] == "awaiting"


async def test_what_awaits_review_is_not_embedded(account: Account, awaiting: UUID) -> None:
    path = f"/v1/highlights/{awaiting}/embed"
    assert_problem(await account.http.get(path), 410, "highlight_withheld")
    await review(account, awaiting, "approve")
    assert (await account.http.get(path)).status_code == 200


async def test_what_awaits_review_is_not_exported(
    account: Account, database: Database, awaiting: UUID
) -> None:
    made = await account.http.post(
        "/v1/exports",
        json={"source": {"highlight_id": str(awaiting)}, "renditions": [{"format": "mp4"}]},
    )
    problem = assert_problem(made, 409, "source_not_ready")
    assert f"/v1/highlights/{awaiting}/approve" in problem["detail"]


async def test_the_links_of_a_highlight_stop_when_its_policy_is_no_longer_valid(
    account: Account, database: Database
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    stream = await stream_with(database, account, PublicationPolicy(valid_until=until).stated())
    highlight = await new_highlight(database, account.tenant_id, stream)
    await new_clip(database, account.tenant_id, stream, highlight)
    shown = await read(account, highlight)
    link, playlist = shown["clip"]["url"], shown["playback"]["mp4_url"]
    assert link == playlist
    over = PublicationPolicy(valid_until=datetime.now(UTC) - timedelta(seconds=1)).stated()
    async with database.session(account.tenant_id) as session:
        await session.execute(
            update(Highlight).where(Highlight.id == highlight).values(policy=over)
        )
    problem = assert_problem(await account.http.get(link), 410, "highlight_withheld")
    assert problem["detail"] == "The `valid_until` of the highlight's policy has passed."
    shown = await read(account, highlight)
    assert (shown["withheld"], shown["clip"]["url"]) == ("no_longer_valid", None)


async def test_a_stream_inherits_what_its_policy_leaves_out(
    account: Account, database: Database
) -> None:
    mine = {
        "review": "required",
        "audience": ["members"],
        "commercial": False,
        "valid_until": "2126-08-01T00:00:00Z",
    }
    assert (await account.http.put("/v1/policy", json=mine)).status_code == 200
    url = "https://cdn.example.com/live/master.m3u8"
    made = await account.http.post(
        "/v1/streams/analyze",
        json={"url": url, "game": "soccer", "policy": {"review": "none", "audience": ["staff"]}},
        headers={"Idempotency-Key": uuid4().hex},
    )
    policy = made.json()["policy"]
    assert {name: value for name, value in policy.items() if value is not None} == {
        "review": "none",
        "audience": ["staff"],
        "commercial": False,
        "valid_until": "2126-08-01T00:00:00Z",
    }


async def test_a_policy_travels_to_webhooks(account: Account, database: Database) -> None:
    policy = {"territories": {"allow": ["GB"], "deny": []}, "audience": ["members"]}
    stream = await stream_with(database, account, policy)
    highlight = await new_highlight(database, account.tenant_id, stream)
    await new_clip(database, account.tenant_id, stream, highlight)
    async with database.session(account.tenant_id) as session:
        sent = list(await session.scalars(select(EventRow.data).order_by(EventRow.position)))
    assert [each["policy"]["territories"] for each in sent] == [policy["territories"]] * 2


@pytest.mark.parametrize(
    ("policy", "pointer"),
    [
        ({"territories": {"allow": ["England"]}}, "/territories/allow/0"),
        ({"territories": {"allow": ["GB"], "deny": ["GB"]}}, "/territories"),
        ({"territories": {"alow": ["GB"]}}, "/territories/alow"),
        ({"valid_until": "2026-08-01T00:00:00"}, "/valid_until"),
        ({"review": "maybe"}, "/review"),
        ({"review_hours": 0}, "/review_hours"),
    ],
)
async def test_a_policy_that_cannot_be_is_refused_with_its_field(
    account: Account, policy: dict[str, Any], pointer: str
) -> None:
    problem = assert_problem(
        await account.http.put("/v1/policy", json=policy), 422, "invalid_request"
    )
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


async def test_a_connection_states_a_policy_for_its_streams(account: Account) -> None:
    made = await account.http.post("/v1/connections", json={"name": "Cup", "policy": REQUIRED})
    assert made.json()["policy"]["review"] == "required"
    path = f"/v1/connections/{made.json()['id']}"
    cleared = await account.http.patch(path, json={"policy": None})
    assert cleared.json()["policy"] is None
