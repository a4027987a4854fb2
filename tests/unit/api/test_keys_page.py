"""The page about keys leaves nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.keys.schemas import CreateKeyRequest, RotateKeyRequest
from domain.tenants.audit import AuditAction
from domain.tenants.keys import KeyStatus, Scope

PAGE = (Path(__file__).parents[3] / "docs" / "keys.md").read_text("utf-8")


@pytest.mark.parametrize("word", [*Scope, *AuditAction])
def test_every_scope_and_audited_action_has_its_row(word: str) -> None:
    assert f"| `{word}` |" in PAGE


@pytest.mark.parametrize("status", KeyStatus)
def test_every_status_is_explained(status: KeyStatus) -> None:
    assert status in PAGE


@pytest.mark.parametrize(
    "name", sorted({*CreateKeyRequest.model_fields, *RotateKeyRequest.model_fields})
)
def test_every_part_of_a_request_is_mentioned(name: str) -> None:
    assert name in PAGE
