"""The MCP server, called by the SDK's client, over the live API.

Two tests start it as an agent does, over standard input and output; the others call it in this
process, which is quicker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, TextContent

from infra.db.engine import Database
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account
from tldrtv_highlights import AsyncHighlightsClient
from tldrtv_highlights.devtools.mcp_server import build_mcp_server

Connect = Callable[..., AbstractAsyncContextManager[Client]]
READS = {
    *("list_streams", "get_stream", "list_clips", "get_clip"),
    *("list_highlights", "search_highlights", "explain_highlight", "get_export"),
}
WRITES = {"rate_highlight", "correct_highlight", "export_highlight"}


@pytest.fixture
def connect(api_url: str, account: Account) -> Connect:
    """Starts the server as an agent does, with the account's key in its environment."""

    @asynccontextmanager
    async def started(*options: str) -> AsyncIterator[Client]:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "tldrtv_highlights", "mcp", *options],
            env={
                "PATH": os.environ["PATH"],
                "HIGHLIGHTS_URL": api_url,
                "HIGHLIGHTS_KEY": account.key,
            },
        )
        async with Client(stdio_client(server)) as client:
            yield client

    return started


@pytest.fixture
def agent(api_url: str, account: Account) -> Connect:
    """Runs a server that only reads, in this process."""

    @asynccontextmanager
    async def started() -> AsyncIterator[Client]:
        async with (
            AsyncHighlightsClient(api_url, account.key) as api,
            Client(build_mcp_server(api)) as client,
        ):
            yield client

    return started


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    return await new_stream(database, account.tenant_id)


@pytest.fixture
async def highlight(account: Account, database: Database, stream: UUID) -> UUID:
    return await new_highlight(database, account.tenant_id, stream, title="Late equalizer")


async def answer(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found: dict[str, Any] = result.structured_content
    return found


def words(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_an_agent_follows_a_stream_to_the_reasons_and_the_clip_of_a_highlight(
    connect: Connect, account: Account, database: Database, stream: UUID, highlight: UUID
) -> None:
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    async with connect() as client:
        streams = await answer(client, "list_streams")
        assert [each["id"] for each in streams["data"]] == [str(stream)]
        read = await answer(client, "get_stream", stream_id=str(stream))
        assert read["gaps"] == []
        found = await answer(client, "list_highlights", stream_id=str(stream), min_score=0.5)
        assert [each["id"] for each in found["data"]] == [str(highlight)]
        explained = await answer(client, "explain_highlight", highlight_id=str(highlight))
        assert len(explained["dimensions"]) == 8
        assert explained["explanation"]
        clips = await answer(client, "list_clips", stream_id=str(stream))
        assert [each["id"] for each in clips["data"]] == [str(clip)]
        assert (await answer(client, "get_clip", clip_id=str(clip)))["url"].startswith("http")


async def test_a_search_finds_words_and_shows_where(agent: Connect, highlight: UUID) -> None:
    async with agent() as client:
        found = await answer(client, "search_highlights", q="equalizer")
    (only,) = found["data"]
    assert only["highlight"]["id"] == str(highlight)
    assert {"text": "equalizer", "match": True} in only["matches"][0]["pieces"]


async def test_a_list_is_read_page_by_page(
    agent: Connect, account: Account, database: Database, stream: UUID
) -> None:
    made = {
        str(await new_highlight(database, account.tenant_id, stream, peak=60.0 * number))
        for number in (1, 2, 3)
    }
    async with agent() as client:
        first = await answer(client, "list_highlights", limit=2)
        assert first["next_cursor"]
        second = await answer(client, "list_highlights", limit=2, cursor=first["next_cursor"])
    assert second["next_cursor"] is None
    assert {each["id"] for each in first["data"] + second["data"]} == made


async def test_results_have_a_schema_and_tools_say_that_they_only_read(agent: Connect) -> None:
    async with agent() as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == READS
    for tool in tools:
        assert tool.output_schema, tool.name
        assert tool.description, tool.name
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint, tool.name


async def test_a_refusal_is_the_problem_in_words_and_as_data(agent: Connect) -> None:
    async with agent() as client:
        result = await client.call_tool("explain_highlight", {"highlight_id": str(uuid4())})
    assert result.is_error
    assert result.structured_content["code"] == "highlight_not_found"
    assert result.structured_content["request_id"]
    assert words(result).startswith("404 highlight_not_found:")


async def test_another_tenants_highlight_does_not_exist(
    agent: Connect, other_account: Account, database: Database
) -> None:
    theirs = await new_stream(database, other_account.tenant_id)
    highlight = await new_highlight(database, other_account.tenant_id, theirs)
    async with agent() as client:
        result = await client.call_tool("explain_highlight", {"highlight_id": str(highlight)})
        assert (await answer(client, "list_highlights"))["data"] == []
    assert result.structured_content["code"] == "highlight_not_found"


async def test_nothing_can_be_changed_unless_it_was_allowed(
    agent: Connect, account: Account, highlight: UUID
) -> None:
    arguments = {"highlight_id": str(highlight), "verdict": "like"}
    async with agent() as client:
        refused = await client.call_tool("rate_highlight", arguments)
    assert refused.is_error
    feedback = await account.http.get(f"/v1/highlights/{highlight}/feedback")
    assert feedback.json()["data"] == []


async def test_an_agent_that_may_write_rates_corrects_and_exports(
    connect: Connect, account: Account, database: Database, stream: UUID, highlight: UUID
) -> None:
    await new_clip(database, account.tenant_id, stream, highlight)
    id_ = str(highlight)
    async with connect("--allow-writes", "--user", "agent-7") as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == READS | WRITES
        await answer(client, "rate_highlight", highlight_id=id_, verdict="like", note="late goal")
        rated = (await account.http.get(f"/v1/highlights/{id_}/feedback")).json()["data"]
        assert [(each["user"], each["verdict"], each["note"]) for each in rated] == [
            ("agent-7", "like", "late goal")
        ]
        corrected = await answer(
            client, "correct_highlight", highlight_id=id_, start=57.0, end=63.0
        )
        assert corrected["correction"] == {"start": 57.0, "end": 63.0}
        exported = await answer(client, "export_highlight", highlight_id=id_, preset="tiktok")
        assert exported["renditions"][0]["aspect"] == "9:16"
        read = await answer(client, "get_export", export_id=exported["id"])
        assert read["source"]["highlight_id"] == id_
