"""The fenced blocks of the documentation, and why some of them are not run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

ROOT: Final = Path(__file__).parents[3]
LANGUAGES: Final = {"bash", "python", "json", "yaml", "ts", "shell", "text"}
"""`shell` is for commands that are not run here, `text` for what is no code."""
_FENCE: Final = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return the pages for readers; decisions are history, and profile pages have no code."""
    return [
        ROOT / "README.md",
        ROOT / "clients" / "python" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "howto").glob("*.md")),
        *sorted((ROOT / "docs" / "runbooks").glob("*.md")),
    ]


def snippets() -> list[Snippet]:
    """Return every fenced block of the pages, in their order."""
    return [
        Snippet(
            page=page.relative_to(ROOT).as_posix(),
            line=text.count("\n", 0, found.start()) + 1,
            language=found[2],
            text=dedent(found[3]),
        )
        for page in pages()
        for text in (page.read_text("utf-8"),)
        for found in _FENCE.finditer(text)
    ]


RUN_BY: Final = {
    "README.md": "tests/e2e/test_integration_guide.py",
    "docs/integration.md": "tests/e2e/test_integration_guide.py",
    "docs/quality.md": "tests/e2e/test_quality_guide.py",
    "docs/runbooks": "tests/integration/deploy/test_runbook_drill.py",
}
"""Pages, or folders of them, whose `bash` and `python` blocks another test runs."""

NOT_RUN: Final = {
    ("docs/betting.md", "HIGHLIGHT="): (
        "needs a highlight that awaits review; tests/integration/api/test_review.py sends the same"
    ),
    ("docs/clips.md", 'made = client.clips.create(stream.id, last=30, title="What was that?")'): (
        "needs stored media; tests/integration/api/test_clips_on_demand.py makes the same request"
    ),
    ("docs/exports.md", "export = client.exports.create("): (
        "needs a rendered export; tests/e2e/test_browser.py downloads and plays one"
    ),
    ("docs/howto/add-an-endpoint.md", '@router.get("/kinds", '): (
        "is an endpoint that does not exist; its names are checked here"
    ),
    ("docs/recordings.md", "stream = client.recordings.analyze("): (
        "needs a running worker; tests/integration/backfill/test_whole_recordings.py does the same"
    ),
    ("docs/recordings.md", 'curl -sS -X POST "$HIGHLIGHTS_URL/v1/recordings" '): (
        "needs a video on a public host; tests/integration/api/test_recordings.py sends the same"
    ),
    ("docs/simulator.md", "async with Simulator("): (
        "plays a whole video; tests/integration/demo/hms/test_beams.py makes the same calls"
    ),
    ("docs/webhooks-100ms.md", "export HIGHLIGHTS_URL="): "tests/e2e/test_hms_guide.py runs it",
    ("docs/webhooks-100ms.md", "CONNECTION=$(call "): "tests/e2e/test_hms_guide.py runs it",
    ("docs/webhooks-100ms.md", "simulate() {"): "tests/e2e/test_hms_guide.py runs it",
    ("docs/webhooks-100ms.md", "simulate --room Restless"): "tests/e2e/test_hms_guide.py runs it",
    ("docs/webhooks-100ms.md", 'call "$HIGHLIGHTS_URL/v1/connections/'): (
        "tests/e2e/test_hms_guide.py runs it"
    ),
    ("docs/webhooks-100ms.md", 'EVENT="{'): "tests/e2e/test_hms_guide.py runs it",
    ("docs/webhooks.md", "from standardwebhooks import"): (
        "tests/unit/api/test_event_reference.py verifies events with it"
    ),
    # Commands for another terminal or for machines that a test does not have (`shell`). Their
    # syntax, make targets and options of `highlights` are checked.
    ("README.md", "make demo    # plays"): "tests/e2e/test_demo.py runs the demo",
    ("README.md", "make demo INPUT="): "tests/e2e/test_demo.py runs the demo; each takes minutes",
    ("README.md", "make dev"): "tests/e2e/test_dev.py runs it",
    ("README.md", ".venv/bin/highlights demo --against"): "plays a whole match, in real time",
    ("docs/backfill.md", "highlights reanalyze"): "names what it takes",
    ("docs/debugging.md", "export TEMPORAL_ADDRESS"): "needs a workflow of yours",
    ("docs/debugging.md", "highlights replay"): "needs a workflow of yours",
    ("docs/deploy.md", "export HIGHLIGHTS_SIGNING_SECRET"): "needs Docker",
    ("docs/deploy.md", "make lint-deploy"): "needs an AWS account",
    ("docs/deploy.md", "copilot app init"): "needs an AWS account",
    ("docs/deploy.md", "export CLUSTER"): "needs an AWS account",
    ("docs/deploy.md", "copilot job deploy --name doctor"): "needs an AWS account",
    ("docs/deploy.md", "aws amp"): "needs an AWS account",
    ("docs/deploy.md", "temporal operator"): "needs a Temporal cluster of yours",
    ("docs/deploy.md", "HIGHLIGHTS_TEMPORAL_KEYS"): "needs keys of yours",
    ("docs/embeds.md", "HIGHLIGHT_ID="): (
        "needs a highlight of yours; tests/integration/api/test_embeds.py sends the same"
    ),
    ("docs/feeds.md", "highlights feed"): "tests/integration/api/test_feed_command.py runs feeds",
    ("docs/gemini.md", "GEMINI_API_KEY"): "costs money",
    ("docs/integration.md", "HIGHLIGHTS_ALLOW_PRIVATE_URLS"): "tests/e2e/conftest.py runs it",
    ("docs/integration.md", ".venv/bin/python -m demo.match"): "plays a whole match, in real time",
    ("docs/mcp.md", "pip install"): "tests/integration/api/test_mcp.py runs what it installs",
    ("docs/simulator.md", "python -m demo.hms"): "tests/e2e/test_hms_guide.py runs it",
    ("docs/webhooks.md", "python -m tldrtv_highlights listen"): (
        "does not end; tests/integration/api/test_listen.py runs it"
    ),
    ("docs/start.md", "git clone REPOSITORY"): "tests/e2e/test_demo.py runs the demo",
}
"""Why a block is not run here, by its page and how its first line begins."""


def reason(snippet: Snippet) -> str | None:
    """Return why a block is not run, None if it is."""
    first = snippet.text.splitlines()[0]
    found = [
        why
        for (page, beginning), why in NOT_RUN.items()
        if page == snippet.page and first.startswith(beginning)
    ]
    assert len(found) < 2, f"{snippet}: two reasons"
    return found[0] if found else None


def run_elsewhere(snippet: Snippet) -> str | None:
    """Return the test that runs a block, None if this folder does."""
    if snippet.language not in {"bash", "python"}:
        return None
    place = snippet.page if snippet.page in RUN_BY else snippet.page.rpartition("/")[0]
    return RUN_BY.get(place)
