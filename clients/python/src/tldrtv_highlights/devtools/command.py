"""`python -m tldrtv_highlights`: the programs of this package."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from os import environ
from typing import Final, NoReturn

from tldrtv_highlights.devtools.listener import listen
from tldrtv_highlights.errors import HighlightsError

_NEEDS_EXTRA: Final = (
    "The MCP server needs the package `mcp`: install `tldrtv-highlights-client[mcp]`."
)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one of the programs."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if not chosen.url or not chosen.key:
        parser.error("set HIGHLIGHTS_URL and HIGHLIGHTS_KEY, or pass --url and --key")
    try:
        asyncio.run(chosen.program(chosen))
    except KeyboardInterrupt:
        sys.exit(130)
    except (HighlightsError, ValueError) as error:
        _give_up(str(error))


async def _mcp(chosen: argparse.Namespace) -> None:
    try:
        from tldrtv_highlights.devtools.mcp_server import serve_mcp  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        _give_up(_NEEDS_EXTRA)
    await serve_mcp(
        url=chosen.url,
        key=chosen.key,
        allow_writes=chosen.allow_writes,
        user=chosen.user,
        port=chosen.port,
    )


async def _listen(chosen: argparse.Namespace) -> None:
    await listen(
        url=chosen.url,
        key=chosen.key,
        forward_to=chosen.forward_to,
        types=chosen.types,
        since=None if chosen.since is None else chosen.since.astimezone(),
        secret=chosen.secret,
    )


def _parser() -> argparse.ArgumentParser:
    api = argparse.ArgumentParser(add_help=False)
    api.add_argument(
        "--url", default=environ.get("HIGHLIGHTS_URL"), help="the API; default HIGHLIGHTS_URL"
    )
    api.add_argument(
        "--key",
        default=environ.get("HIGHLIGHTS_KEY"),
        help="your key; default HIGHLIGHTS_KEY, which other users of this machine cannot see",
    )
    parser = argparse.ArgumentParser(prog="python -m tldrtv_highlights", description=__doc__)
    programs = parser.add_subparsers(required=True, metavar="PROGRAM")
    mcp = programs.add_parser("mcp", parents=[api], help="serve your highlights to an agent (MCP)")
    mcp.add_argument(
        "--allow-writes", action="store_true", help="let the agent give feedback and start exports"
    )
    mcp.add_argument("--user", default="mcp", help="who gives feedback, as the API records it")
    mcp.set_defaults(program=_mcp)
    mcp.add_argument("--port", type=int, help="serve HTTP on this port of 127.0.0.1, not stdio")
    forward = programs.add_parser(
        "listen", parents=[api], help="forward your webhooks to a program of this machine"
    )
    forward.set_defaults(program=_listen)
    forward.add_argument("forward_to", metavar="URL", help="such as http://localhost:3000/hooks")
    forward.add_argument(
        "--type", dest="types", action="append", metavar="TYPE", help="such as clip.ready; repeat"
    )
    forward.add_argument(
        "--since", type=datetime.fromisoformat, help="begin with the events of this time (ISO 8601)"
    )
    forward.add_argument(
        "--secret",
        default=environ.get("HIGHLIGHTS_WEBHOOK_SECRET"),
        help="sign with this secret; default HIGHLIGHTS_WEBHOOK_SECRET, else a new one",
    )
    return parser


def _give_up(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201 - a program
    sys.exit(1)
