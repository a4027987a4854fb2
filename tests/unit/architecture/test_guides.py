"""Every request that a page shows can be copied: it parses, and needs no variable that is not said.

The requests of README.md and of the guides are also run, in tests/e2e.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
KNOWN = {"HIGHLIGHTS_URL", "HIGHLIGHTS_KEY", "RANDOM"}  # set by the guide, and by every shell


def snippets(page: Path) -> list[str]:
    return [dedent(text) for _, text in FENCE.findall(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_requests_run_as_written(page: Path) -> None:
    shell = [text for text in snippets(page) if re.search(r"\b(?:curl|call) ", text)]
    defined = set(re.findall(r"\b([A-Z_]+)=", "\n".join(snippets(page))))
    for text in shell:
        checked = subprocess.run(
            ["/bin/bash", "-n"], input=text, text=True, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        used = set(re.findall(r"\$\{?([A-Z_]+)\b", text))
        assert used <= KNOWN | defined, f"{page.name} does not say what these are"
        assert not re.search(r"(?:https?://|/v1/)[^\s\"']*…", text), "no address can be left open"
