"""The doctor: what is found, and what is said about what is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from app.dev import temporal as temporal_binary
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from app.doctor import Finding, examine, show
from app.worker import require_ffmpeg
from infra.errors import ComponentMissingError
from infra.media.ffmpeg import find_ffmpeg
from infra.settings import Settings

COMPONENTS = {
    "AMQP",
    "Chromium",
    "Clip store",
    "Gemini",
    "Go",
    "PostgreSQL",
    "PyAV",
    "Python",
    "Redis",
    "Segment store",
    "Temporal",
    "ffmpeg",
    "uv",
}


def by_component(settings: Settings) -> dict[str, Finding]:
    return {finding.component: finding for finding in examine(settings)}


def test_every_component_is_looked_for(home: Path) -> None:
    findings = by_component(Settings(home=home))
    assert set(findings) == COMPONENTS
    for name in ("Python", "PostgreSQL", "ffmpeg", "PyAV", "Segment store", "Clip store"):
        assert findings[name].state == "ok"
        assert findings[name].where
        assert findings[name].version


def test_whatever_is_not_there_comes_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.setattr(temporal_binary, "_WHEEL", "a-package-that-is-not-installed")
    findings = by_component(Settings(home=tmp_path))
    assert findings["Temporal"].blocks
    assert findings["Go"].state == "optional"
    assert all(finding.advice for finding in findings.values() if finding.state != "ok")


def test_what_is_configured_but_does_not_answer_blocks() -> None:
    temporal, database, redis = free_ports(3)
    findings = by_component(
        Settings(
            temporal_address=f"127.0.0.1:{temporal}",
            database_url=f"postgresql://hush@127.0.0.1:{database}/d",
            redis_url=f"redis://:hush@127.0.0.1:{redis}",
        )
    )
    for name in ("Temporal", "PostgreSQL", "Redis"):
        assert findings[name].blocks
        assert findings[name].advice
    assert "hush" not in str(findings)


def test_a_configured_temporal_that_answers_is_fine(temporal_server: TemporalServer) -> None:
    found = by_component(Settings(temporal_address=temporal_server.address))["Temporal"]
    assert (found.state, found.where) == ("ok", temporal_server.address)


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    show([Finding("uv", "optional", advice="get it")], console=Console(), as_json=True)
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding == {
        "component": "uv",
        "state": "optional",
        "where": "",
        "version": "",
        "advice": "get it",
    }


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show([Finding("uv", "missing", advice="get it")], console=Console(width=100), as_json=False)
    printed = capsys.readouterr().out
    assert "uv" in printed
    assert "get it" in printed


def test_an_ffmpeg_that_is_too_old_blocks_doctor_and_worker(tmp_path: Path) -> None:
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\necho 'ffmpeg version 5.1.8-0+deb12u1 Copyright'\n")
    old.chmod(0o755)
    settings = Settings(home=tmp_path, ffmpeg_path=old)
    found = by_component(settings)["ffmpeg"]
    assert (found.state, found.where) == ("missing", str(old))
    assert "7.0 or later is needed" in found.advice
    with pytest.raises(ComponentMissingError, match=r"5\.1\.8.*HIGHLIGHTS_FFMPEG_PATH"):
        require_ffmpeg(settings)


def test_an_ffmpeg_on_the_path_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = by_component(Settings(home=tmp_path))["ffmpeg"]
    assert (found.state, found.where) == ("ok", str(find_ffmpeg()))
