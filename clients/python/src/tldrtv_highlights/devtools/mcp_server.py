"""The MCP server: an agent reads streams, highlights, clips and exports of a tenant.

It needs the extra `mcp` of this package. Without `allow_writes` the tools that change something do
not exist, so that no prompt can talk an agent into calling one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, Final, Literal, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from tldrtv_highlights._transport import __version__
from tldrtv_highlights.client import AsyncHighlightsClient
from tldrtv_highlights.errors import ApiError, HighlightsError
from tldrtv_highlights.models import (
    ClipDetail,
    Export,
    Feedback,
    FoundHighlight,
    Highlight,
    HighlightDetail,
    Page,
    Stream,
    StreamDetail,
)

P = ParamSpec("P")
T = TypeVar("T")

_INSTRUCTIONS: Final = (
    "Live streams, and the highlights and clips found in them. Positions are seconds of a stream's "
    "media time; scores are from 0 to 1. Links to files open without a key until they expire; read "
    "the clip or export again for new ones. Lists have pages: pass `next_cursor` as `cursor`."
)
_READS: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
_CREATES: Final = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)

Limit = Annotated[int, Field(ge=1, le=100, description="Size of a page.")]
Cursor = Annotated[str | None, Field(description="`next_cursor` of the page before.")]
StreamId = Annotated[str, Field(description="Id of the stream.")]
HighlightId = Annotated[str, Field(description="Id of the highlight.")]
Statuses = Annotated[
    list[str] | None,
    Field(description="Such as `confirmed`. Default: all but held and rejected ones."),
]
MinScore = Annotated[float | None, Field(ge=0, le=1, description="Lowest score.")]
Since = Annotated[datetime | None, Field(description="Found at this time or later.")]
Until = Annotated[datetime | None, Field(description="Found before this time.")]
Seconds = Annotated[float, Field(ge=0, description="Seconds of media time.")]


class StreamTools:
    """Tools that read streams and their clips."""

    def __init__(self, client: AsyncHighlightsClient) -> None:
        self._client = client

    async def list_streams(
        self,
        status: Annotated[
            str | None, Field(description="Such as `running`, `completed` or `failed`.")
        ] = None,
        game: Annotated[str | None, Field(description="Id of a game, such as `soccer`.")] = None,
        external_id: Annotated[str | None, Field(description="Your own id of a stream.")] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Stream]:
        """List streams, newest first."""
        return await self._client.streams.list.page(
            cursor, status=status, game=game, external_id=external_id, limit=limit
        )

    async def get_stream(self, stream_id: StreamId) -> StreamDetail:
        """Read a stream: its state, how far it is analyzed, and its gaps."""
        return await self._client.streams.get(stream_id)

    async def list_clips(
        self, stream_id: StreamId, limit: Limit = 20, cursor: Cursor = None
    ) -> Page[ClipDetail]:
        """List a stream's clips with links to their files, newest first."""
        return await self._client.clips.list.page(cursor, stream_id, limit=limit)

    async def get_clip(
        self, clip_id: Annotated[str, Field(description="Id of the clip.")]
    ) -> ClipDetail:
        """Read a clip: its state, and fresh links to its video and picture."""
        return await self._client.clips.get(clip_id)


class HighlightTools:
    """Tools that read highlights and exports."""

    def __init__(self, client: AsyncHighlightsClient) -> None:
        self._client = client

    async def list_highlights(
        self,
        *,
        stream_id: Annotated[str | None, Field(description="Those of one stream.")] = None,
        status: Statuses = None,
        game: Annotated[str | None, Field(description="Id of a game, such as `soccer`.")] = None,
        tag: Annotated[str | None, Field(description="Such as `goal`.")] = None,
        min_score: MinScore = None,
        created_from: Since = None,
        created_to: Until = None,
        sort: Annotated[
            str | None, Field(description="Such as `-score`. Default: newest first.")
        ] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[Highlight]:
        """List highlights that match all filters, with their scores, reasons and clips."""
        return await self._client.highlights.list.page(
            cursor,
            stream_id=stream_id,
            status=status,
            game=game,
            tag=tag,
            min_score=min_score,
            created_from=created_from,
            created_to=created_to,
            sort=sort,
            limit=limit,
        )

    async def search_highlights(
        self,
        *,
        q: Annotated[
            str,
            Field(
                description='Words; "a phrase", `or` between alternatives, a minus sign for not.'
            ),
        ],
        stream_id: Annotated[str | None, Field(description="Those of one stream.")] = None,
        game: Annotated[str | None, Field(description="Id of a game, such as `soccer`.")] = None,
        min_score: MinScore = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[FoundHighlight]:
        """Search the titles, descriptions and tags of highlights, most relevant first."""
        return await self._client.highlights.search.page(
            cursor, q, stream_id=stream_id, game=game, min_score=min_score, limit=limit
        )

    async def explain_highlight(self, highlight_id: HighlightId) -> HighlightDetail:
        """Explain a highlight: its eight scores, evidence, reasons, match state and clip.

        `explanation` states in sentences why it was chosen or not.
        """
        return await self._client.highlights.get(highlight_id)

    async def get_export(
        self, export_id: Annotated[str, Field(description="Id of the export.")]
    ) -> Export:
        """Read an export: its progress, and fresh links to its files."""
        return await self._client.exports.get(export_id)


class WritingTools:
    """Tools that change something."""

    def __init__(self, client: AsyncHighlightsClient, *, user: str) -> None:
        self._client = client
        self._user = user

    async def rate_highlight(
        self,
        highlight_id: HighlightId,
        verdict: Literal["like", "dislike"],
        note: Annotated[str | None, Field(description="Why, for people.")] = None,
    ) -> Feedback:
        """Like or dislike a highlight. It teaches what this tenant wants to see."""
        return await self._client.highlights.give_feedback(
            highlight_id, user=self._user, verdict=verdict, note=note
        )

    async def correct_highlight(
        self, highlight_id: HighlightId, start: Seconds, end: Seconds
    ) -> Feedback:
        """Correct where a highlight starts and ends. Its clip is cut again while media is kept."""
        return await self._client.highlights.give_feedback(
            highlight_id, user=self._user, correction={"start": start, "end": end}
        )

    async def export_highlight(
        self,
        highlight_id: HighlightId,
        preset: Annotated[
            str | None,
            Field(
                description="Preset of a platform, such as `tiktok`. Default: the clip as it is."
            ),
        ] = None,
    ) -> Export:
        """Start an export of a highlight as MP4. Read it with `get_export` until it is ready."""
        rendition = {"format": "mp4"} | ({} if preset is None else {"preset": preset})
        return await self._client.exports.create({"highlight_id": highlight_id}, [rendition])


def build_mcp_server(
    client: AsyncHighlightsClient, *, allow_writes: bool = False, user: str = "mcp"
) -> MCPServer[Any]:
    """Return the MCP server of a tenant.

    Args:
        client: with the tenant's key; the program that runs the server closes it.
        allow_writes: also offer the tools that give feedback and start exports.
        user: who gives the feedback, as the API records it.
    """
    server: MCPServer[Any] = MCPServer(
        "tldrtv-highlights",
        title="tldrtv highlights",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
    )
    streams, found = StreamTools(client), HighlightTools(client)
    for read in (
        *(streams.list_streams, streams.get_stream, streams.list_clips, streams.get_clip),
        *(found.list_highlights, found.search_highlights, found.explain_highlight),
        found.get_export,
    ):
        server.tool(annotations=_READS)(_reporting(read))
    if allow_writes:
        writing = WritingTools(client, user=user)
        for write in (writing.rate_highlight, writing.correct_highlight):
            server.tool(annotations=_WRITES)(_reporting(write))
        server.tool(annotations=_CREATES)(_reporting(writing.export_highlight))
    return server


def _reporting(tool: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T | CallToolResult]]:
    """Return a tool that reports the API's refusals to the agent: in words and as the problem."""

    @wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T | CallToolResult:
        try:
            return await tool(*args, **kwargs)
        except ApiError as error:
            return CallToolResult(
                content=[TextContent(text=str(error))],
                structured_content=error.problem,
                is_error=True,
            )
        except HighlightsError as error:
            raise ToolError(str(error)) from error

    return call


async def serve_mcp(
    *,
    url: str,
    key: str,
    allow_writes: bool = False,
    user: str = "mcp",
    port: int | None = None,
) -> None:
    """Serve a tenant's highlights over MCP until the agent leaves.

    Args:
        url: where the API is.
        key: the tenant's.
        allow_writes: also offer the tools that give feedback and start exports.
        user: who gives the feedback, as the API records it.
        port: serve streamable HTTP at `http://127.0.0.1:<port>/mcp`; None serves standard input
            and output. A program that reaches the port acts with the key, so the server listens
            on this machine only.
    """
    async with AsyncHighlightsClient(url, key) as client:
        server = build_mcp_server(client, allow_writes=allow_writes, user=user)
        if port is None:
            await server.run_stdio_async()
        else:
            await server.run_streamable_http_async(host="127.0.0.1", port=port)
