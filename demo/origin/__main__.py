"""`python -m demo.origin FILE`: play a file as a live stream until it ends or Ctrl-C."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, cast

import typer
from pydantic import ValidationError
from rich.console import Console

from demo.errors import DemoError
from demo.match.commentary import spoken
from demo.match.script import Truth
from demo.origin.captions import Caption
from demo.origin.faults import Faults
from demo.origin.ladder import Tracks
from demo.origin.live import LiveOrigin
from demo.origin.options import OriginOptions
from demo.origin.packager import Container
from demo.origin.playlist import Mark, PlaylistType

_console = Console(highlight=False)


def play(
    file: Annotated[Path, typer.Argument(help="Any video or audio file.")],
    *,
    pace: Annotated[float, typer.Option(help="Seconds of the file per second.")] = 1.0,
    window: Annotated[int | None, typer.Option(help="Segments listed; 5 at real time.")] = None,
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 0,
    container: Annotated[str, typer.Option(help="mpegts or fmp4.")] = "mpegts",
    tracks: Annotated[str, typer.Option(help="all, audio or video.")] = "all",
    playlist: Annotated[str, typer.Option(help="live, event or vod.")] = "live",
    marks: Annotated[
        list[float] | None, typer.Option("--mark", help="Timed metadata at s.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Ground truth of a scripted match; gives it captions.")
    ] = None,
    faults: Annotated[str, typer.Option(help='JSON, such as {"missing": [4]}.')] = "{}",
    linger: Annotated[float, typer.Option(help="Seconds to keep serving after the end.")] = 30.0,
    parts: Annotated[
        float | None, typer.Option(help="Seconds of the parts of low-latency HLS.")
    ] = None,
    ladder: Annotated[bool, typer.Option(help="Offer lower qualities too.")] = False,
) -> None:
    """Play FILE as a live HLS stream in 100ms's form and print its address."""
    try:
        options = OriginOptions(
            pace=pace,
            window=window,
            port=port,
            container=cast("Container", container),
            tracks=cast("Tracks", tracks),
            playlist_type=cast("PlaylistType", playlist),
            marks=tuple(Mark(at=at, payload="highlight") for at in marks or ()),
            captions=_captions(truth),
            faults=Faults.model_validate_json(faults),
            ladder=ladder,
            part_duration=parts,
        )
        asyncio.run(_play(file, options, linger))
    except (DemoError, ValidationError, OSError) as error:
        _console.print(str(error), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as stop:
        raise typer.Exit(130) from stop


def _captions(truth: Path | None) -> tuple[Caption, ...]:
    return spoken(Truth.model_validate_json(truth.read_text("utf-8"))) if truth else ()


async def _play(file: Path, options: OriginOptions, linger: float) -> None:
    async with LiveOrigin(file, options) as origin:
        _console.print(origin.master_url, soft_wrap=True)
        await origin.finished.wait()
        _console.print(f"ended: {origin.published} segments, {origin.position:.1f} s")
        await asyncio.sleep(linger)


if __name__ == "__main__":
    typer.run(play)
