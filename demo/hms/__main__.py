"""`python -m demo.hms --file match.mp4 --webhook URL`: play sessions of a room as 100ms would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from demo.errors import DemoError
from demo.hms.management import Keys, management_token
from demo.hms.room import Room
from demo.hms.simulator import Simulator, SimulatorOptions
from demo.hms.webhooks import EventFault, Webhook
from demo.origin import Faults, Mark

_console = Console(highlight=False, markup=False)


def play(
    file: Annotated[Path, typer.Option(help="Any video or audio file.")],
    *,
    webhook: Annotated[str | None, typer.Option(help="Endpoint for the events.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="`Name: value` sent with every event.")
    ] = None,
    signature_secret: Annotated[
        str | None, typer.Option(help="Sign the events as a relay does.")
    ] = None,
    event_fault: Annotated[
        list[str] | None,
        typer.Option(help='JSON, such as {"type": "hls.stopped.success", "drop": true}.'),
    ] = None,
    faults: Annotated[str, typer.Option(help='Of the stream: JSON, as {"missing": [4]}.')] = "{}",
    marks: Annotated[
        list[float] | None, typer.Option("--mark", help="Timed metadata at s.")
    ] = None,
    access_key: Annotated[str | None, typer.Option(help="Of the management API.")] = None,
    app_secret: Annotated[str | None, typer.Option(help="Of the management API.")] = None,
    account_id: Annotated[str | None, typer.Option(help="Of the workspace.")] = None,
    room: Annotated[str, typer.Option(help="Name of the room.")] = "Match",
    sessions: Annotated[int, typer.Option(min=1, help="One after the other.")] = 1,
    pace: Annotated[float, typer.Option(help="Seconds of the file per second.")] = 1.0,
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 0,
    linger: Annotated[float, typer.Option(help="Seconds to keep serving after the end.")] = 30.0,
) -> None:
    """Open a room, stream FILE in it, record it, end it, and tell the webhook of each step."""
    try:
        given: dict[str, object] = {"account_id": account_id} if account_id else {}
        if access_key and app_secret:
            given["keys"] = Keys(access_key=access_key, app_secret=app_secret)
        options = SimulatorOptions.model_validate(
            given
            | {
                "webhook": _webhook(webhook, header or [], signature_secret),
                "event_faults": [EventFault.model_validate_json(f) for f in event_fault or ()],
                "pace": pace,
                "port": port,
            }
        )
        script = _Script(
            file=file,
            faults=Faults.model_validate_json(faults),
            marks=tuple(Mark(at=at, payload="highlight") for at in marks or ()),
        )
        asyncio.run(_play(options, script, room=room, sessions=sessions, linger=linger))
    except (DemoError, ValidationError, ValueError, OSError) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as stop:
        raise typer.Exit(130) from stop


class _Script:
    """What happens in each session."""

    def __init__(self, *, file: Path, faults: Faults, marks: tuple[Mark, ...]) -> None:
        self._file = file
        self._faults = faults
        self._marks = marks

    async def run(self, simulator: Simulator, room: Room) -> None:
        session = room.open()
        session.join()
        beam = await session.start_beam(self._file, marks=self._marks, faults=self._faults)
        _console.print(f"beam {beam.id}: {beam.url}", soft_wrap=True)
        await beam.finished()
        await beam.stop()
        session.end()
        url = await simulator.publish_recording(beam)
        await simulator.sender.settled()
        _console.print(f"recording: {url}", soft_wrap=True)


async def _play(
    options: SimulatorOptions, script: _Script, *, room: str, sessions: int, linger: float
) -> None:
    async with Simulator(options) as simulator:
        stage = simulator.room(room)
        _console.print(f"management API: {simulator.base_url}/v2/live-streams", soft_wrap=True)
        _console.print(f"management token: {management_token(simulator.keys)}", soft_wrap=True)
        _console.print(f"room {stage.id}: {simulator.room_url(stage)}", soft_wrap=True)
        for _ in range(sessions):
            await script.run(simulator, stage)
        for delivery in simulator.sender.deliveries:
            _console.print(f"{delivery.status or '---'}  {delivery.type} #{delivery.number}")
        await asyncio.sleep(linger)


def _webhook(url: str | None, headers: list[str], secret: str | None) -> Webhook | None:
    if url is None:
        return None
    pairs = [header.partition(":") for header in headers]
    return Webhook(
        url=url,
        headers={name.strip(): value.strip() for name, _, value in pairs},
        signature_secret=secret,
    )


if __name__ == "__main__":
    typer.run(play)
