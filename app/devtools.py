"""`highlights mcp` and `highlights listen`: the client's programs, also for the running `dev`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from app.recordings import api_access
from app.settings import read_settings
from infra.errors import NotConfiguredError

devtools = typer.Typer()

Url = Annotated[
    str | None, typer.Option(envvar="HIGHLIGHTS_URL", help="API; else that of the running `dev`.")
]
Key = Annotated[str | None, typer.Option(envvar="HIGHLIGHTS_KEY", help="Key of the API.")]


@devtools.command()
def mcp(
    *,
    allow_writes: Annotated[
        bool,
        typer.Option("--allow-writes", help="Let the agent give feedback and start exports."),
    ] = False,
    user: Annotated[str, typer.Option(help="Who gives feedback, as the API records it.")] = "mcp",
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Serve HTTP on this port of 127.0.0.1 instead of stdio."
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Serve a tenant's highlights to an agent, over the Model Context Protocol."""
    try:
        from tldrtv_highlights.devtools.mcp_server import serve_mcp
    except ModuleNotFoundError as error:
        raise _client_missing("tldrtv-highlights-client[mcp]") from error

    access = api_access(read_settings(), url=url, key=key)
    asyncio.run(
        serve_mcp(url=access.url, key=access.key, allow_writes=allow_writes, user=user, port=port)
    )


def _client_missing(package: str) -> NotConfiguredError:
    return NotConfiguredError(
        "This command is part of the Python client, which is not installed.",
        remedy=f"Install {package}.",
    )
