"""The documentation site builds without a warning, loads nothing from elsewhere, and is served."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import async_playwright

from api.documentation import add_documentation_site
from api.errors.handlers import add_exception_handlers
from api.middleware.request_context import RequestContext
from app.doctor import chromium_path
from demo.origin.server import bind, serving
from domain import task_queues
from infra.db.tables import Base
from tests.openapi import document, operations

ROOT = Path(__file__).parents[3]
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=\"?(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs-site` builds it."""
    directory = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ".", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return directory


def application(site: Path) -> FastAPI:
    app = FastAPI()
    add_documentation_site(app, directory=site)
    add_exception_handlers(app)
    app.add_middleware(RequestContext, https=False)
    return app


@asynccontextmanager
async def opened(site: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


def test_every_page_of_docs_is_on_the_site(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / name.replace("README.html", "index.html")).is_file()


def test_the_reference_has_every_operation_and_type(site: Path) -> None:
    reference = "".join(page.read_text("utf-8") for page in (site / "api").glob("*.html"))
    shown = set(re.findall(r'<h2 id="(\w+)"', reference))
    assert shown >= operations().keys()
    assert shown >= document()["components"]["schemas"].keys()


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert LOADED.search(page.read_text("utf-8")) is None, page
    for style in site.rglob("*.css"):
        assert re.search(r"url\(\"?https?:", style.read_text("utf-8")) is None, style


def test_each_number_of_the_comparison_leads_to_a_source() -> None:
    text = (ROOT / "docs" / "comparison.md").read_text("utf-8")
    claims, _, sources = text.partition("## Sources")
    numbered = re.findall(r"^(\d+)\. <https://[^>]+>", sources, re.MULTILINE)
    assert numbered == [str(number) for number in range(1, len(numbered) + 1)]
    assert set(re.findall(r"\[(\d+)\]", claims)) == set(numbered)


def test_the_picture_of_a_highlights_life_names_what_exists() -> None:
    text = (ROOT / "docs" / "life-of-a-highlight.svg").read_text("utf-8")
    queues = set(re.findall(r"highlights-\w+", text))
    assert queues == set(task_queues.ALL) - {task_queues.ORCHESTRATION}
    tables = set(re.findall(r'class="table"[^>]*>(\w+)<', text))
    assert "streams" in tables
    assert tables <= set(Base.metadata.tables)
    interfaces = (ROOT / "activities" / "interfaces.py").read_text("utf-8")
    for activity in ("follow_stream", "analyze_window", "select_highlights", "record_stream"):
        assert activity in text
        assert f"def {activity}(" in interfaces


async def test_the_api_serves_it_with_a_policy_that_names_each_inline_script(site: Path) -> None:
    async with opened(site) as client:
        page = await client.get("/console/docs/")
        missing = await client.get("/console/docs/no-such-page.html")
        outside = await client.get("/console/docs/%2e%2e/mkdocs.yml")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert (missing.status_code, missing.json()["code"]) == (404, "route_not_found")
    assert outside.status_code == 404


async def test_a_checkout_without_it_answers_with_the_command_that_builds_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "none") as client:
        response = await client.get("/console/docs/")
    assert response.status_code == 404
    assert "make docs-site" in response.json()["detail"]


async def test_the_address_without_a_slash_leads_to_the_index(site: Path) -> None:
    async with opened(site) as client:
        response = await client.get("/console/docs")
    assert (response.status_code, response.headers["location"]) == (308, "/console/docs/")


@pytest.mark.serial
async def test_a_reader_finds_a_page_by_searching_and_nothing_is_blocked(site: Path) -> None:
    chromium = chromium_path()
    if chromium is None:
        pytest.skip("no Chromium here (bin/system-packages)")
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    said: list[str] = []
    async with serving(application(site), listening), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.extend(foreign(request.url, port)))
        await page.goto(f"http://127.0.0.1:{port}/console/docs/")
        await page.get_by_role("textbox", name="Search").fill("idempotency key")
        found = page.locator(".md-search-result__item a").first
        await found.wait_for(timeout=60_000)
        await found.click()
        await page.wait_for_url("**/*.html?**", timeout=60_000)
        await browser.close()
    assert said == []


def foreign(url: str, port: int) -> list[str]:
    return [] if url.startswith((f"http://127.0.0.1:{port}/", "data:")) else [f"asked for {url}"]
