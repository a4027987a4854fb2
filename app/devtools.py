"""`highlights mcp` and `highlights listen`: the client's programs, also for the running `dev`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from app.recordings import api_access
from app.settings import read_settings
from infra.errors import NotConfiguredError, SetupError

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


@devtools.command("listen")
def listen_(
    forward_to: Annotated[
        str, typer.Argument(metavar="URL", help="Program, such as http://localhost:3000/hooks.")
    ],
    *,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Such as clip.ready; repeat for several.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Begin with the events of this time (UTC).")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="HIGHLIGHTS_WEBHOOK_SECRET",
            help="Sign with this secret. Default: a new one, which is printed.",
        ),
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Forward a tenant's webhooks to a program of this machine, signed."""
    try:
        from tldrtv_highlights import HighlightsError
        from tldrtv_highlights.devtools.listener import listen
    except ModuleNotFoundError as error:
        raise _client_missing("tldrtv-highlights-client") from error

    access = api_access(read_settings(), url=url, key=key)
    try:
        asyncio.run(
            listen(
                url=access.url,
                key=access.key,
                forward_to=forward_to,
                types=types,
                since=None if since is None else since.replace(tzinfo=UTC),
                secret=secret,
            )
        )
    except (HighlightsError, ValueError) as error:
        raise SetupError(str(error), remedy="Correct it and run the command again.") from error


def _client_missing(package: str) -> NotConfiguredError:
    return NotConfiguredError(
        "This command is part of the Python client, which is not installed.",
        remedy=f"Install {package}.",
    )
