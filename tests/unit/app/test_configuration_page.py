"""The page of all settings."""

from __future__ import annotations

from pathlib import Path

from infra.settings import Settings
from tools.configuration_page import render

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == render(), "run `make docs`"


def test_every_setting_is_on_the_page() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)


def test_a_well_known_name_is_shown_without_our_prefix() -> None:
    assert "| `TEMPORAL_ADDRESS` | none |" in render()
