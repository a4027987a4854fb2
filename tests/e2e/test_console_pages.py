"""Pages of the console over stored rows: keys, profiles, and what holds of every page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import pytest
from playwright.async_api import ConsoleMessage, Request, expect

from app.dev.postgres import DatabaseUrls
from domain.highlights.selection import DecisionStatus
from domain.streams.status import StreamStatus
from infra.db.repositories import streams
from tests.e2e.console import ConsoleTab, console_tab
from tests.e2e.installation import ROOT
from tests.e2e.test_browser import Site, site_with
from tests.factories.rows import (
    new_clip,
    new_connection,
    new_delivery,
    new_endpoint,
    new_export,
    new_highlight,
    new_stream,
)

PHONE: Final = 390
PHONE_HEIGHT: Final = 844
FIRST_LOAD_BYTES: Final = 150 << 10
AXE: Final = ROOT / "console/node_modules/axe-core/axe.min.js"
SERIOUS: Final = {"serious", "critical"}
# What a page loads before it shows anything: not hls.js, which a player loads when it is needed.
LOADED: Final = """performance.getEntries()
    .filter(each => each.name.includes('/console') && !each.name.includes('/hls-'))
    .reduce((sum, each) => sum + each.encodedBodySize, 0)"""


@dataclass(frozen=True)
class Filled:
    """A tab that is signed in to a site whose tenant has one of each thing."""

    tab: ConsoleTab
    site: Site
    stream: UUID
    paths: tuple[str, ...]

    async def visit(self, path: str) -> None:
        """Open a page and wait until it has what it reads."""
        await self.tab.page.goto(f"{self.tab.url}/console{path}")
        await expect(self.tab.page.locator("h1")).to_be_visible()
        await expect(self.tab.page.get_by_text("Loading…")).to_have_count(0)

    def http(self, key: str) -> httpx.AsyncClient:
        """Return a client with a key."""
        return httpx.AsyncClient(
            base_url=self.tab.url, headers={"Authorization": f"Bearer {key}"}, timeout=30.0
        )


@pytest.fixture
async def filled(postgres: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Filled]:
    stores = {"clip_store": str(tmp_path / "clips"), "segment_store": str(tmp_path / "segments")}
    async with site_with(postgres, **stores) as site:
        where = (site.database, site.tenant)
        stream = await new_stream(*where)
        async with site.database.session(site.tenant) as session:
            row = await streams.get(session, tenant_id=site.tenant, stream_id=stream)
            assert row is not None
            # A live one is played from its own host.
            row.status, row.analyzed = StreamStatus.COMPLETED.value, 120.0
        highlight = await new_highlight(*where, stream)
        await new_highlight(*where, stream, peak=95.0, status=DecisionStatus.REJECTED, score=0.31)
        await new_clip(*where, stream, highlight)
        endpoint = await new_endpoint(*where)
        await new_delivery(*where, endpoint)
        paths = (
            *("", "/exports", "/exports/new", "/reels", "/profiles", "/profiles/soccer", "/usage"),
            *("/webhooks", "/connections", "/keys", "/no-such-page"),
            *(f"/exports/{await new_export(*where, stream)}", f"/webhooks/{endpoint}"),
            f"/connections/{await new_connection(*where)}",
            *(f"/streams/{stream}", f"/streams/{stream}/feed", f"/highlights/{highlight}"),
        )
        async with console_tab(f"http://127.0.0.1:{site.port}", site.key) as tab:
            await tab.sign_in()
            yield Filled(tab, site, stream, paths)


async def test_a_key_works_until_it_is_revoked(filled: Filled) -> None:
    page = filled.tab.page
    await filled.visit("/keys")
    await page.get_by_role("button", name="Create a key").click()
    await page.get_by_label("Name", exact=True).fill("scoreboard")
    await page.get_by_role("button", name="Create", exact=True).click()
    key = await page.get_by_label("API key", exact=True).input_value()
    await page.get_by_role("button", name="Close").click()
    async with filled.http(key) as http:
        assert (await http.get("/v1/streams")).status_code == httpx.codes.OK
        await page.get_by_role("button", name="Revoke scoreboard").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        row = page.get_by_role("row", name="scoreboard")
        await expect(row.get_by_text("revoked")).to_be_visible()
        assert (await http.get("/v1/streams")).status_code == httpx.codes.UNAUTHORIZED


async def test_a_profile_is_checked_while_it_is_edited_and_tried_on_a_stream(
    filled: Filled,
) -> None:
    page = filled.tab.page
    await filled.visit("/profiles/soccer")
    await page.get_by_label("Standard from").fill("2")
    await expect(page.get_by_role("alert")).to_contain_text("/patch/thresholds/standard")
    for name, value in (("Exceptional", "0.99"), ("High quality", "0.95"), ("Standard", "0.9")):
        await page.get_by_label(f"{name} from").fill(value)
    await expect(page.get_by_text("Valid, not saved.")).to_be_visible()
    await page.get_by_role("tab", name="Try on a stream").click()
    await page.get_by_label("Stream", exact=True).select_option(str(filled.stream))
    await page.get_by_role("button", name="Try", exact=True).click()
    row = page.get_by_role("table", name="Highlights before and after").get_by_role("row").nth(1)
    await expect(row).to_contain_text("removed")
    await expect(row).to_contain_text("below the standard threshold of 0.90")
    async with filled.http(filled.site.key) as http:
        stored = await http.get("/v1/profiles/soccer/override")
    assert stored.status_code == httpx.codes.NOT_FOUND


async def test_a_saved_override_is_kept_and_can_be_removed(filled: Filled) -> None:
    page = filled.tab.page
    await filled.visit("/profiles/soccer")
    await page.get_by_label("Highlights in a window").fill("3")
    await expect(page.get_by_text("Valid, not saved.")).to_be_visible()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("As stored.")).to_be_visible()
    async with filled.http(filled.site.key) as http:
        stored = (await http.get("/v1/profiles/soccer/override")).json()
        assert stored["patch"] == {"selection": {"per_window": 3}}
        await page.get_by_role("button", name="Remove the override").click()
        await page.get_by_role("dialog").get_by_role("button", name="Remove the override").click()
        await expect(page.get_by_text("Override removed")).to_be_visible()
        gone = await http.get("/v1/profiles/soccer/override")
    assert gone.status_code == httpx.codes.NOT_FOUND


async def test_every_page_is_accessible_in_both_themes_small_and_without_other_hosts(
    filled: Filled,
) -> None:
    page = filled.tab.page
    outside: list[str] = []
    errors: list[str] = []

    def note_request(request: Request) -> None:
        if not request.url.startswith((filled.tab.url, "blob:")):
            outside.append(request.url)

    def note_error(message: ConsoleMessage) -> None:
        # A browser reports every answer from 400 on, also those that a page expects.
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    page.on("request", note_request)
    page.on("console", note_error)
    await page.evaluate("localStorage.setItem('highlights-theme', 'light')")
    found = await findings(filled)
    await page.set_viewport_size({"width": PHONE, "height": PHONE_HEIGHT})
    await page.evaluate("localStorage.setItem('highlights-theme', 'dark')")
    found += await findings(filled)
    assert found == []
    assert outside == []
    assert errors == []


async def findings(filled: Filled) -> list[str]:
    """Return what axe finds serious on all pages, and pages too wide or too large."""
    axe, page = AXE.read_text("utf-8"), filled.tab.page
    found = []
    for path in filled.paths:
        await filled.visit(path)
        await page.evaluate(axe)
        violations = await page.evaluate(
            "async () => (await axe.run({resultTypes: ['violations']})).violations"
        )
        found += [
            f"{path}: {each['id']}: {node['html'][:200]}: {node['failureSummary']}"
            for each in violations
            if each["impact"] in SERIOUS
            for node in each["nodes"][:3]
        ]
        wide, screen = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide > screen:
            found.append(f"{path}: {wide} px wide on a screen of {screen}")
        if (loaded := await page.evaluate(LOADED)) > FIRST_LOAD_BYTES:
            found.append(f"{path}: loads {loaded} bytes")
    return found
