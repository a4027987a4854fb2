"""What people think of highlights, over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from temporalio.client import Client

from domain.highlights.feedback import HighlightCorrection
from domain.ids import stream_workflow_id
from domain.streams.messages import ClipCorrection
from infra.db.engine import Database
from infra.settings import Settings
from tests.factories.rows import new_highlight, new_stream
from tests.integration.api.conftest import Account, NewAccount, OpenClient


@pytest.fixture
async def path(account: Account, database: Database) -> str:
    """The feedback of a highlight at 55-65 s."""
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream, peak=60.0)
    return f"/v1/highlights/{highlight}/feedback"


async def give(account: Account, path: str, **body: object) -> dict[str, Any]:
    response = await account.http.post(path, json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_an_opinion_is_kept_and_read(account: Account, path: str) -> None:
    given = await give(
        account,
        path,
        user="editor-7",
        verdict="like",
        correction={"start": 56.5, "end": 64.0},
        note="keep the celebration",
    )
    assert (given["user"], given["verdict"]) == ("editor-7", "like")
    assert given["correction"] == {"start": 56.5, "end": 64.0}
    assert (await account.http.get(path)).json() == {"data": [given], "next_cursor": None}


async def test_a_user_has_one_opinion_the_latest(account: Account, path: str) -> None:
    await give(account, path, user="a", verdict="like", note="great")
    await give(account, path, user="b", verdict="like")
    await give(account, path, user="a", verdict="dislike")
    listed = (await account.http.get(path)).json()["data"]
    assert [(each["user"], each["verdict"], each["note"]) for each in listed] == [
        ("b", "like", ""),
        ("a", "dislike", ""),
    ]


async def test_without_a_user_it_is_the_keys_opinion(account: Account, path: str) -> None:
    given = await give(account, path, verdict="dislike")
    assert UUID(given["user"].removeprefix("key:"))


async def test_a_list_goes_on_where_the_page_ended(account: Account, path: str) -> None:
    for user in "abc":
        await give(account, path, user=user, verdict="like")
    first = (await account.http.get(path, params={"limit": 2})).json()
    params = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await account.http.get(path, params=params)).json()
    assert [each["user"] for each in first["data"] + second["data"]] == ["c", "b", "a"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        ({"start": 56, "end": 400}, "the stream has"),
        ({"start": 1, "end": 5}, "the moment lies at 55.0-65.0 s"),
    ],
)
async def test_a_correction_must_be_one_of_the_same_moment(
    account: Account, path: str, correction: dict[str, float], words: str
) -> None:
    response = await account.http.post(path, json={"correction": correction})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["pointer"] == "/correction"
    assert words in error["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"user": "a"}, {"verdict": "meh"}, {"correction": {"start": 5, "end": 5}}]
)
async def test_what_says_nothing_is_refused(
    account: Account, path: str, body: dict[str, Any]
) -> None:
    response = await account.http.post(path, json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_a_correction_reaches_the_stream_that_runs(
    account: Account, database: Database, workflows: Client
) -> None:
    made = await account.http.post(
        "/v1/streams/analyze", json={"url": "https://cdn.example.com/live.m3u8", "game": "soccer"}
    )
    stream = UUID(made.json()["id"])
    highlight = await new_highlight(database, account.tenant_id, stream, peak=60.0)
    path = f"/v1/highlights/{highlight}/feedback"
    await give(account, path, verdict="like")
    await give(account, path, correction={"start": 56.5, "end": 64.0})
    handle = workflows.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=stream)
    )
    told = await handle.query("corrections", result_type=list[ClipCorrection])
    assert told == [
        ClipCorrection(highlight_id=highlight, correction=HighlightCorrection(start=56.5, end=64.0))
    ]
    await account.http.post(f"/v1/streams/{stream}/stop")


async def test_a_correction_that_cannot_be_passed_on_is_kept_and_may_be_repeated(
    new_account: NewAccount,
    database: Database,
    settings_without_temporal: Settings,
    open_client: OpenClient,
) -> None:
    account = await new_account()
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream, peak=60.0)
    path = f"/v1/highlights/{highlight}/feedback"
    async with open_client(settings_without_temporal) as client:
        headers = {"Authorization": f"Bearer {account.key}"}
        body = {"correction": {"start": 56.5, "end": 64.0}}
        response = await client.post(path, json=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
    (kept,) = (await account.http.get(path)).json()["data"]
    assert kept["correction"] == body["correction"]
    assert (await give(account, path, **body))["correction"] == body["correction"]
