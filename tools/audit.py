"""`make audit`: compares the lock of the images with PyPI's database of known vulnerabilities.

Exceptions stand in `tools/audit.toml`. It needs PyPI itself: at a mirror that knows no
vulnerabilities the audit fails (`--strict`), rather than pass with nothing looked at.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

_ROOT: Final = Path(__file__).parents[1]
_LOCK: Final = "requirements-runtime.lock"


class AllowedVulnerability(BaseModel):
    """A vulnerability that a release may have, with the reason and the day until which it may."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^(PYSEC|GHSA|CVE)-[A-Za-z0-9-]+$")
    reason: str = Field(min_length=20)
    reviewed_by: str = Field(min_length=1)
    until: date


class _AllowList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    allowed: list[AllowedVulnerability]


def read_allowed(text: str) -> Sequence[AllowedVulnerability]:
    """Return the exceptions in a TOML document.

    Raises:
        pydantic.ValidationError: one has no id, reason, reviewer or day.
    """
    return _AllowList.model_validate(tomllib.loads(text)).allowed


def audit(program: Sequence[str], allowed: Sequence[AllowedVulnerability], *, today: date) -> int:
    """Run pip-audit with the exceptions; return 0 if nothing else is known.

    Args:
        program: the command line of pip-audit.
        allowed: the exceptions. One that has expired fails the audit.
        today: the day to compare them with.
    """
    expired = [each for each in allowed if each.until < today]
    for each in expired:
        sys.stderr.write(
            f"{each.id} was allowed until {each.until}: review it in tools/audit.toml\n"
        )
    ignored = [part for each in allowed for part in ("--ignore-vuln", each.id)]
    done = subprocess.run(
        [
            *program,
            *("--requirement", str(_ROOT / _LOCK), "--require-hashes", "--disable-pip"),
            *("--vulnerability-service", "pypi", "--strict", "--progress-spinner", "off"),
            *ignored,
        ],
        check=False,
    )
    return 1 if expired else done.returncode


if __name__ == "__main__":
    sys.exit(
        audit(
            [str(Path(sys.executable).with_name("pip-audit"))],
            read_allowed((_ROOT / "tools" / "audit.toml").read_text("utf-8")),
            today=datetime.now(UTC).date(),
        )
    )
