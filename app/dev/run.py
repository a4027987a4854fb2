"""`highlights dev`: run the embedded stack until told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from app.dev import temporal_binary
from app.dev.progress import Steps
from app.dev.stack import Stack, with_ports
from infra.settings import Settings
from infra.state_directory import Running, StateDirectory, usable


def run_dev(settings: Settings, *, choose_ports: bool, console: Console) -> None:
    """Start everything, say where it is, and run until SIGINT or SIGTERM.

    Args:
        settings: what to start; configured parts are used, the others started.
        choose_ports: take free ports instead of those of the settings.
        console: where to write.

    Raises:
        SetupError: something is missing, taken or does not start.
    """
    signal.signal(signal.SIGTERM, _exit_on_signal)
    path = settings.state_path()
    with usable(path), StateDirectory(path) as state, Steps(console) as steps:
        settings = with_ports(settings, choose=choose_ports)
        binary = None
        if settings.temporal_address is None:
            binary = temporal_binary.obtain(
                settings.home_path(),
                offline=settings.offline,
                progress=steps.show,
                configured=settings.temporal_binary_path,
            )
        stack = Stack(settings, state, binary=binary, progress=steps.show)
        asyncio.run(_run(stack, steps, console))


async def _run(stack: Stack, steps: Steps, console: Console) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    running = asyncio.create_task(_run_stack(stack, steps, console))
    await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        console.print("stopped; the data are kept")


async def _run_stack(stack: Stack, steps: Steps, console: Console) -> None:
    async with stack:
        steps.done()
        console.print(_addresses(stack.running()))
        console.print("Ctrl-C stops everything.")
        await stack.watch()


def _addresses(running: Running) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in (
        ("API", running.api_url),
        ("API docs", running.docs_url),
        ("API key", running.api_key),
        ("Temporal UI", running.temporal_ui_url or running.temporal_address),
        ("Clips", running.clips),
    ):
        table.add_row(f"[bold]{name}[/bold]", value, style=None)
    return table


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
