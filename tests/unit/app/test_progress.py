"""Progress of a set-up, as a log file shows it."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from app.dev.stack import Steps


def test_steps_are_lines_and_the_packages_of_a_build_are_thinned_out() -> None:
    console = Console(file=StringIO(), width=200)
    with Steps(console) as steps:
        steps.show("starting the build")
        for number in range(1000):
            steps.show(f"example.com/package-{number}")
        steps.show("built it [all]")
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert "starting the build" in lines[0]
    assert "built it [all]" in lines[-1]
    assert len(lines) < 10
