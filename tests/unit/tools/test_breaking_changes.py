"""`/v1` changes without breaking the clients of the last release."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tools import openapi_document
from tools.breaking_changes import (
    ALLOWED,
    AllowedBreak,
    BreakingChange,
    breaking_changes,
    find_program,
    problems,
    read_allowed,
    released,
)

REMOVED = BreakingChange(
    id="response-property-removed", text="removed `title`", operation="GET", path="/v1/streams"
)
ALLOWANCE = AllowedBreak(
    id=REMOVED.id, operation=REMOVED.operation, reason="It was never filled, so no client reads it."
)


@pytest.fixture
def program(home: Path) -> Path:
    found = find_program(home)
    if found is None:
        pytest.skip("no oasdiff here: it needs Go (bin/locked-tools oasdiff)")
    return found


@pytest.fixture(scope="module")
def current() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(openapi_document.PATH.read_bytes())
    return document


def test_nothing_breaks_the_clients_of_the_last_release(
    program: Path, current: dict[str, Any]
) -> None:
    found = breaking_changes(program, released(), current)
    assert problems(found, read_allowed(ALLOWED.read_text("utf-8"))) == []


def test_a_removed_field_breaks_all_operations_that_answer_with_it(
    program: Path, current: dict[str, Any]
) -> None:
    changed = copy.deepcopy(current)
    stream = changed["components"]["schemas"]["Stream"]
    del stream["properties"]["title"]
    stream["required"].remove("title")
    found = {(each.id, each.operation) for each in breaking_changes(program, current, changed)}
    assert ("response-required-property-removed", "POST /v1/streams/analyze") in found
    assert ("response-required-property-removed", "GET /v1/streams") in found


def test_a_new_required_parameter_is_a_break_and_an_optional_one_is_none(
    program: Path, current: dict[str, Any]
) -> None:
    color = {"name": "color", "in": "query", "required": True, "schema": {"type": "string"}}
    changed = copy.deepcopy(current)
    changed["paths"]["/v1/streams"]["get"]["parameters"].append(color)
    (found,) = breaking_changes(program, current, changed)
    assert (found.id, found.operation) == ("new-required-request-parameter", "GET /v1/streams")
    color["required"] = False
    assert breaking_changes(program, current, changed) == []


def test_a_break_that_is_allowed_for_its_operation_is_no_problem() -> None:
    assert problems([REMOVED], [ALLOWANCE]) == []
    other = ALLOWANCE.model_copy(update={"operation": "GET /v1/exports"})
    (line, stale) = problems([REMOVED], [other])
    assert line.startswith("GET /v1/streams: removed `title` [response-property-removed]")
    assert stale.startswith("GET /v1/exports: breaking-changes.toml allows")


def test_an_entry_without_a_reason_is_refused() -> None:
    with pytest.raises(ValidationError, match="reason"):
        read_allowed('[[allowed]]\nid = "x"\noperation = "GET /v1/streams"\n')


def test_the_committed_document_is_the_one_of_this_checkout() -> None:
    written = openapi_document.PATH.read_text("utf-8")
    is_current = written == openapi_document.render(openapi_document.current()) + "\n"
    assert is_current, "clients/openapi.json is stale: run make openapi"
