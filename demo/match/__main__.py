"""`python -m demo.match --seed N --out DIR` makes a scripted match."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from demo.errors import DemoError
from demo.match.generate import ensure_match
from demo.match.sport import SPORTS


def main(
    seed: Annotated[int, typer.Option(help="Chooses the match.", min=0)] = 1,
    out: Annotated[Path, typer.Option(help="Directory; the match goes to its `match/`.")] = Path(),
    duration: Annotated[float, typer.Option(help="Seconds of video.", min=12)] = 300.0,
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(SPORTS)}.")] = "soccer",
) -> None:
    """Make a scripted match and say where its video and ground truth are."""
    console = Console()
    try:
        with Progress(console=console) as display:
            task = display.add_task(f"{kind} match {seed}", total=1.0)
            match = ensure_match(
                out,
                seed=seed,
                duration=duration,
                kind=kind,
                progress=lambda share: display.update(task, completed=share),
            )
    except (DemoError, ValueError) as error:
        console.print(str(error), style="red")
        raise typer.Exit(1) from error
    console.print(f"video: {match.video}\ntruth: {match.truth}")


if __name__ == "__main__":
    typer.run(main)
