"""Settings of a command: the environment, the command line, a running installation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.process_settings import read_settings, require_database
from infra.embedded.home import Running, StateDirectory
from infra.errors import NotConfiguredError
from infra.settings import Settings


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "9000")
    assert read_settings(api_port=9001).api_port == 9001


def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "eighty")
    with pytest.raises(NotConfiguredError, match="api_port"):
        read_settings()


def test_a_configured_database_is_used(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://h/d")
    assert require_database(settings) is settings


def test_without_one_that_of_the_running_installation_is_used(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    running = Running(
        pid=os.getpid(),
        pids={},
        api_url="http://127.0.0.1:1",
        docs_url="http://127.0.0.1:1/docs",
        temporal_address="127.0.0.1:2",
        temporal_namespace="default",
        clips="/clips",
        database_url="postgresql://app@h/d",
        database_owner_url="postgresql://owner@h/d",
    )
    settings.state_path().mkdir(parents=True)
    StateDirectory(settings.state_path()).announce(running)
    completed = require_database(settings)
    assert completed.database_url is not None
    assert completed.database_url.get_secret_value() == "postgresql://app@h/d"
    assert completed.temporal_address == "127.0.0.1:2"


def test_with_neither_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotConfiguredError, match="highlights dev"):
        require_database(Settings(home=tmp_path))
