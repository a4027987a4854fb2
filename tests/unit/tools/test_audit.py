"""`make audit` lets no vulnerability pass without a reason and a day."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from tools.audit import audit, read_allowed

ROOT = Path(__file__).parents[3]
TODAY = date(2026, 11, 30)
ALLOWED = """
[[allowed]]
id = "PYSEC-2026-1"
reason = "Only its command line is affected."
reviewed_by = "me"
until = 2026-11-30
"""


def program(tmp_path: Path, *, code: int) -> list[str]:
    """A program that notes how it is called, and ends with `code`."""
    path = tmp_path / "called"
    script = f"import sys; open({str(path)!r}, 'w').write(' '.join(sys.argv[1:])); sys.exit({code})"
    return [sys.executable, "-c", script]


def test_the_list_of_the_repository_is_well_formed() -> None:
    read_allowed((ROOT / "tools" / "audit.toml").read_text())


@pytest.mark.parametrize("missing", ["id", "reason", "reviewed_by", "until"])
def test_an_exception_needs_each_part(missing: str) -> None:
    text = "\n".join(line for line in ALLOWED.splitlines() if not line.startswith(missing))
    with pytest.raises(ValidationError, match=missing):
        read_allowed(text)


def test_an_exception_is_ignored_until_its_day(tmp_path: Path) -> None:
    assert audit(program(tmp_path, code=0), read_allowed(ALLOWED), today=TODAY) == 0
    called = (tmp_path / "called").read_text()
    assert "--ignore-vuln PYSEC-2026-1" in called
    assert "--strict" in called
    assert f"{ROOT}/requirements-runtime.lock" in called


def test_an_exception_that_has_expired_fails_the_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = audit(program(tmp_path, code=0), read_allowed(ALLOWED), today=date(2026, 12, 1))
    assert code == 1
    assert "PYSEC-2026-1 was allowed until 2026-11-30" in capsys.readouterr().err


def test_any_other_vulnerability_fails_the_audit(tmp_path: Path) -> None:
    assert audit(program(tmp_path, code=1), [], today=TODAY) == 1


def test_each_claim_of_the_threat_model_names_a_file_that_exists() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "held by" not in line]
    for row in rows:
        named = re.findall(r"`((?:tests|tools|infra)/[\w/]+\.\w+|[\w-]+\.lock)`", row)
        assert named, row
        assert [each for each in named if not (ROOT / each).is_file()] == []
