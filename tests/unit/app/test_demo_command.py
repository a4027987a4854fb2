"""`highlights demo` where the demo is not installed."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from app.cli import DemoMissingError, cli


@pytest.mark.parametrize("missing", ["demo", "demo.runner"])
def test_without_the_demo_it_says_what_to_do(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "demo":
        monkeypatch.delitem(sys.modules, "demo.runner", raising=False)
    result = CliRunner().invoke(cli, ["demo"])
    assert isinstance(result.exception, DemoMissingError)
    assert "make demo" in str(result.exception)


def test_a_fault_of_ours_is_not_mistaken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    for name in [name for name in sys.modules if name.startswith("demo")]:
        monkeypatch.delitem(sys.modules, name)
    result = CliRunner().invoke(cli, ["demo"])
    assert isinstance(result.exception, ModuleNotFoundError)
