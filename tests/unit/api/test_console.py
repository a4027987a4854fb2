"""The console is served with a strict policy, and says how to build it where it is not built."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.console.routes import add_console, content_policy
from api.errors.handlers import add_exception_handlers
from api.middleware.request_context import RequestContext
from infra.settings import Settings
from tests.fakes.s3_server import cdn_private_key

CDN = "https://clips.example.com"
TEMPORAL = "https://temporal.example.com/namespaces/default"


def served(dist: Path) -> httpx.AsyncClient:
    app = FastAPI()
    add_console(app, media_origins=[CDN], temporal_url=TEMPORAL, dist=dist)
    add_exception_handlers(app)
    app.add_middleware(RequestContext, https=False)
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://console.test")


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("the page")
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "assets" / "index-1.js").write_text("run()")
    (tmp_path.parent / "secret.txt").write_text("secret")
    return tmp_path


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/streams/1", "/console/x/y/z"])
async def test_every_path_that_is_no_file_shows_the_page(dist: Path, path: str) -> None:
    async with served(dist) as client:
        found = await client.get(path)
    assert (found.status_code, found.text) == (200, "the page")
    assert found.headers["cache-control"] == "no-cache"
    assert found.headers["content-security-policy"] == content_policy([CDN])


async def test_a_hashed_file_is_cached_for_good(dist: Path) -> None:
    async with served(dist) as client:
        found = await client.get("/console/assets/index-1.js")
    assert found.text == "run()"
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_a_file_without_a_hash_is_revalidated(dist: Path) -> None:
    async with served(dist) as client:
        found = await client.get("/console/icon.svg")
    assert found.headers["content-type"].startswith("image/svg+xml")
    assert found.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["assets/old-1.js", "%2e%2e/secret.txt", "assets/%2e%2e%2f%2e%2e%2fsecret.txt"]
)
async def test_what_the_build_does_not_have_is_not_served(dist: Path, path: str) -> None:
    async with served(dist) as client:
        found = await client.get(f"/console/{path}")
    assert found.status_code == 404
    assert found.headers["cache-control"] == "no-store"


async def test_the_page_learns_where_the_temporal_ui_is(dist: Path) -> None:
    async with served(dist) as client:
        found = await client.get("/console/settings.json")
    assert found.json() == {"temporal_url": TEMPORAL}
    assert found.headers["cache-control"] == "no-cache"


async def test_a_checkout_without_the_build_names_the_command(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        found = await client.get("/console/streams/1")
    assert found.status_code == 503
    assert "make console" in found.text


def test_the_policy_allows_no_inline_script_or_style_and_no_other_origin() -> None:
    policy = dict(part.split(" ", 1) for part in content_policy([]).split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


def test_media_may_come_from_the_cdn_and_what_the_operator_names() -> None:
    settings = Settings.model_validate(
        {
            "clip_store": "s3://bucket/clips",
            "clip_cdn_url": f"{CDN}/clips",
            "clip_cdn_key_id": "K1",
            "clip_cdn_private_key": cdn_private_key(),
            "console_media_origins": "https://live.example.com",
        }
    )
    assert settings.media_origins() == ("https://live.example.com", CDN)


def test_streams_of_this_machine_may_be_shown_where_they_are_allowed() -> None:
    assert Settings().media_origins() == ()
    allowed = Settings(allow_private_urls=True).media_origins()
    assert "http://127.0.0.1:*" in allowed
