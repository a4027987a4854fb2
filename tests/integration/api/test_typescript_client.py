"""The TypeScript client is compiled and tried against a running API."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from app.dev.postgres import DatabaseUrls
from app.dev.temporal import TemporalServer
from app.services.api_keys import create_key
from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import streams
from tests.conftest import run_apart
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import SECRET, api_settings, serving
from tldrtv_highlights import HighlightsClient
from tldrtv_highlights._resource import Method, Resource
from tools import openapi_document

PACKAGE = Path(__file__).parents[3] / "clients" / "typescript"
PLAYLIST = "https://cdn.example.com/beam/1/room/master.m3u8"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LIMIT = 300.0


@pytest.fixture(scope="module")
def modules(home: Path) -> Path:
    """Where bin/locked-tools typescript put its packages, or a skip."""
    found = next((home / "tools").glob("typescript-*/node_modules"), None)
    if found is None or shutil.which("node") is None:
        pytest.skip("no TypeScript here: it needs npm (bin/locked-tools typescript)")
    return found


@pytest.fixture
def package(modules: Path, tmp_path: Path) -> Path:
    """A copy of the package, compiled, with its tests and the snippets of its README."""
    path = tmp_path / "typescript"
    shutil.copytree(PACKAGE, path, ignore=shutil.ignore_patterns("dist", "build", "node_modules"))
    (path / "node_modules").symlink_to(modules)
    snippets = re.findall(r"```ts\n(.*?)```", (path / "README.md").read_text("utf-8"), re.DOTALL)
    for number, snippet in enumerate(snippets):
        (path / "test" / f"readme{number}.ts").write_text(snippet, "utf-8")
    for project in (".", "test"):
        run(["node_modules/typescript/bin/tsc", "--project", project], folder=path)
    return path


@pytest.fixture
def api(
    postgres: DatabaseUrls, temporal_server: TemporalServer, tmp_path: Path
) -> Iterator[tuple[str, dict[str, str]]]:
    """A running API, and a tenant of it with an ended stream, a highlight and a clip."""
    settings = api_settings(
        postgres, temporal_server, clips=tmp_path / "clips", segments=tmp_path / "segments"
    ).model_copy(update={"events_interval": 0.01})

    async def make() -> dict[str, str]:
        database = Database(postgres.application, pool_size=1)
        made = await create_key(
            database, secret=SECRET.encode(), slug="typescript", name="t", scopes=(Scope.ADMIN,)
        )
        stream = await new_stream(database, made.tenant_id)
        highlight = await new_highlight(database, made.tenant_id, stream)
        await new_clip(database, made.tenant_id, stream, highlight)
        await end(database, made.tenant_id, stream)
        await database.close()
        return {"key": made.key.value, "stream": str(stream), "highlight": str(highlight)}

    with serving(settings) as url:
        yield url, run_apart(make())


async def end(database: Database, tenant_id: UUID, stream: UUID) -> None:
    progress = StreamProgress(status=StreamStatus.COMPLETED, position=60.0)
    record = StreamRecord(tenant_id=tenant_id, stream_id=stream, progress=progress)
    async with database.session(tenant_id) as session:
        await streams.record_stream(session, record)


def run(arguments: list[str], *, folder: Path, **environment: str) -> None:
    """Run a program of Node.js; fail with what it printed."""
    node = str(shutil.which("node"))
    done = subprocess.run(
        [node, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env={"PATH": str(Path(node).parent), **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def signed_webhook() -> dict[str, object]:
    now = datetime.now(UTC)
    event = {"id": "msg_1", "type": "clip.ready", "version": "1", "data": {"title": "Tor 🏆"}}
    body = json.dumps(event, ensure_ascii=False)
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": "v1,AAAA " + Webhook(WEBHOOK_SECRET).sign("msg_1", now, body),
    }
    return {"body": body, "headers": headers, "secret": WEBHOOK_SECRET}


def methods_of_the_python_client() -> list[str]:
    """Return `resource.method` for all its methods, in camel case."""
    return sorted(
        re.sub(r"_(.)", lambda match: match[1].upper(), f"{name}.{method}")
        for name, resource in vars(HighlightsClient("http://x", "x")).items()
        if isinstance(resource, Resource)
        for method, member in vars(type(resource)).items()
        if isinstance(member, Method)
    )


def test_the_types_are_those_of_the_document(modules: Path, tmp_path: Path) -> None:
    written = tmp_path / "schema.ts"
    openapi_document.write_types(modules / "openapi-typescript" / "bin" / "cli.js", written)
    is_current = written.read_text("utf-8") == openapi_document.TYPES.read_text("utf-8")
    assert is_current, "clients/typescript/src/schema.ts is stale: run make openapi"


def test_the_client_passes_its_tests_against_the_api(
    package: Path, api: tuple[str, dict[str, str]]
) -> None:
    url, made = api
    given = made | {"url": url, "webhook": signed_webhook()}
    run(
        ["--test", "build/"],
        folder=package,
        HIGHLIGHTS_GIVEN=json.dumps({**given, "methods": methods_of_the_python_client()}),
        HIGHLIGHTS_URL=url,
        HIGHLIGHTS_KEY=made["key"],
        STREAM_URL=PLAYLIST,
        STREAM_ID=made["stream"],
        WEBHOOK_SECRET=WEBHOOK_SECRET,
        README_SNIPPETS=str(len(list((package / "test").glob("readme[0-9]*.ts")))),
    )
