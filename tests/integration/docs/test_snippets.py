"""Each fenced block of the documentation is run or validated, or is listed with the reason.

The blocks of a page are run one after the other, in one directory, against one live API.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from api.openapi.document import EventMessage
from app.cli import cli
from app.services.jobs import AnalyzeJob
from domain.profiles.documents import profile_json_schema
from domain.webhooks.events import ClipPayload
from tests.integration.docs.conftest import World
from tests.integration.docs.snippets import (
    LANGUAGES,
    NOT_RUN,
    ROOT,
    RUN_BY,
    Snippet,
    reason,
    run_elsewhere,
    snippets,
)
from tests.openapi import document
from tldrtv_highlights import HighlightsClient

ALL = snippets()
HERE = [each for each in ALL if reason(each) is None and run_elsewhere(each) is None]
PRELUDE = (
    'set -euo pipefail\ncurl() { command curl --fail-with-body --silent --show-error "$@"; }\n'
)
LIMIT = 60.0
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")

SCHEMAS = {
    ("docs/clips.md", '{"ready":'): "Playback",
    ("docs/exports.md", '{"lower_third":'): "CreateExportRequest",
    ("docs/exports.md", "{"): "CreateExportRequest",
    ("docs/titles.md", '{"requested":'): "LocalizedTitle",
    ("docs/titles.md", '{"text":'): "Criteria",
}
"""Schemas of the OpenAPI document whose fields a JSON block shows."""


def of(language: str) -> list[Snippet]:
    return [each for each in HERE if each.language == language]


def test_every_block_has_a_language_that_says_what_becomes_of_it() -> None:
    assert [str(each) for each in ALL if each.language not in LANGUAGES] == []


def test_only_blocks_that_are_shown_have_a_reason() -> None:
    unused = {
        name
        for name in NOT_RUN
        if not any(each.page == name[0] and each.text.startswith(name[1]) for each in ALL)
    }
    assert unused == set()


def test_commands_for_other_machines_say_why_they_are_not_run() -> None:
    assert [str(each) for each in ALL if each.language == "shell" and not reason(each)] == []


@pytest.mark.parametrize("page", RUN_BY)
def test_the_tests_that_run_other_pages_name_them(page: str) -> None:
    source = (ROOT / RUN_BY[page]).read_text("utf-8")
    assert Path(page).name in source or page.rpartition("/")[2] in source


@pytest.mark.parametrize("why", sorted({why for why in NOT_RUN.values() if "tests/" in why}))
def test_reasons_name_tests_that_exist(why: str) -> None:
    for path in re.findall(r"tests/[\w/]+\.py", why):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize(
    "snippet", [each for each in ALL if each.language in {"bash", "shell"}], ids=str
)
def test_commands_parse_and_name_what_exists(snippet: Snippet) -> None:
    checked = subprocess.run(
        ["/bin/bash", "-n"], input=snippet.text, text=True, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    for target in re.findall(r"^(?:.*&& )?make ([a-z-]+)", snippet.text, re.MULTILINE):
        assert f"\n{target}:" in MAKEFILE, f"there is no `make {target}`"
    for words in highlights_commands(snippet.text):
        known_command(words)


def highlights_commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of `highlights`."""
    for line in text.replace("\\\n", " ").splitlines():
        found = re.search(r"(?:^|\| |=\S* |api )(?:\.venv/bin/)?highlights (.+)", line)
        if found:
            yield shlex.split(found[1].partition(" | ")[0], comments=True)


def known_command(words: list[str]) -> None:
    """Fail if `highlights` has no such command or option."""
    command: Any = typer.main.get_command(cli)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"there is no `highlights {words[0]}`"
        command, words = command.commands[words[0]], words[1:]
    options = {option for each in command.params for option in each.opts}
    used = {word.strip("[]") for word in words if word.strip("[]").startswith("--")}
    assert used <= options, f"unknown options of {command.name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the pages speak of."""
    path = tmp_path_factory.mktemp("reader")
    line = json.dumps({"correlation_id": "req_0123", "event": "request"})
    for name in ("api.log", "worker.log"):
        (path / name).write_text(f"{line}\n", "utf-8")
    return path


@pytest.mark.parametrize("snippet", of("bash"), ids=str)
def test_commands_run_as_written(
    snippet: Snippet, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = world.replaced(snippet.text)
    commands = list(highlights_commands(text))
    if commands:
        monkeypatch.setenv("DATABASE_URL", world.database_url)
        monkeypatch.setenv("HIGHLIGHTS_SIGNING_SECRET", "s" * 32)
        for words in commands:
            result = CliRunner().invoke(cli, words)
            assert result.exit_code == 0, f"{words}: {result.output}"
        return
    if shutil.which("jq") is None:
        pytest.skip("no jq here, which the commands need (bin/system-packages)")
    done = subprocess.run(
        ["/bin/bash", "-c", PRELUDE + text],
        cwd=folder,
        env={**os.environ, "HIGHLIGHTS_URL": world.url, "HIGHLIGHTS_KEY": world.key},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("snippet", of("python"), ids=str)
def test_python_runs_as_written(
    snippet: Snippet, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGHLIGHTS_URL", world.url)
    monkeypatch.setenv("HIGHLIGHTS_KEY", world.key)
    with HighlightsClient(world.url, world.key) as client:
        names = {
            "client": client,
            "stream": SimpleNamespace(id=world.stream),
            "stream_id": world.stream,
            "highlight_id": world.highlight,
        }
        exec(compile(world.replaced(snippet.text), str(snippet), "exec"), names)  # noqa: S102 - our own page


@pytest.mark.parametrize(
    "snippet", [each for each in ALL if each.language == "python" and reason(each)], ids=str
)
def test_python_that_is_not_run_is_python(snippet: Snippet) -> None:
    compile(snippet.text, str(snippet), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("snippet", of("ts"), ids=str)
def test_typescript_runs_as_written(snippet: Snippet, world: World, folder: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js here (bin/system-packages)")
    (folder / "first.mjs").write_text(snippet.text, "utf-8")
    done = subprocess.run(
        [node, "first.mjs"],
        cwd=folder,
        env={**os.environ, "HIGHLIGHTS_URL": world.url, "HIGHLIGHTS_KEY": world.key},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert (done.returncode, done.stdout) == (0, "0.80 Crowd roar (confirmed)\n"), done.stderr


@pytest.mark.parametrize("snippet", of("json"), ids=str)
def test_json_has_the_fields_of_the_api(snippet: Snippet) -> None:
    shown = json.loads(snippet.text)
    if snippet.page in {"docs/webhooks.md", "docs/amqp.md"} and "data" in shown:
        assert set(shown) <= set(EventMessage.model_fields)
        assert set(shown["data"]) <= set(ClipPayload.model_fields)
    elif snippet.page == "docs/amqp.md":
        AnalyzeJob.model_validate(shown)
    names = [
        schema
        for (page, beginning), schema in SCHEMAS.items()
        if page == snippet.page and snippet.text.splitlines()[0].startswith(beginning)
    ]
    for name in names[:1]:
        assert set(shown) <= set(document()["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize("snippet", of("yaml"), ids=str)
def test_yaml_is_accepted_as_a_profile(snippet: Snippet) -> None:
    profile = {"name": "A", "kind": "sport"} | yaml.safe_load(snippet.text)
    jsonschema_rs.validator_for(profile_json_schema()).validate(profile)
