"""What the console's pages do over a running stack: exports, webhooks, regions of the screen.

The stream of `test_console.py` serves here too; alone, this module plays the match itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from tests.e2e.conftest import Stack
from tests.e2e.console import console_tab
from tests.e2e.tenant import Tenant
from tests.fakes.webhook_receiver import receiver

pytestmark = [pytest.mark.serial, pytest.mark.slow]

PACE = 3.0
LIMIT = 180.0
PICTURE = "video => video.readyState > 0 && video.videoWidth / video.videoHeight"


@dataclass(frozen=True)
class Signed:
    """A tab that is signed in, and a highlight of the tenant that has a clip."""

    page: Page
    highlight: str
    url: str

    async def visit(self, path: str) -> None:
        await self.page.goto(f"{self.url}/console{path}")
        await expect(self.page.locator("h1")).to_be_visible()

    async def shape(self, video: str) -> float:
        """Wait until a video shows pictures; return their width divided by their height."""
        async with asyncio.timeout(LIMIT):
            found = self.page.locator(video).first
            while not (shape := await found.evaluate(PICTURE)):  # noqa: ASYNC110 - the browser loads
                await asyncio.sleep(0.1)
        return float(shape)


@pytest.fixture
async def signed(stack: Stack, tenant: Tenant, match: Match) -> AsyncIterator[Signed]:
    running = stack.running
    assert running.api_key is not None
    found = await with_clip(running.api_url, running.api_key)
    if found is None:
        async with LiveOrigin(match.video, OriginOptions(pace=PACE, autostart=False)) as origin:
            stream = await tenant.analyze(origin.master_url)
            await origin.wait_requested()
            origin.begin()
            await tenant.until_over(stream, seconds=LIMIT)
        found = await with_clip(running.api_url, running.api_key)
    assert found is not None
    async with console_tab(running.api_url, running.api_key) as tab:
        await tab.sign_in()
        yield Signed(tab.page, found["id"], tab.url)


async def with_clip(url: str, key: str) -> dict[str, Any] | None:
    """Return a highlight that has a clip; None if there is none."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30.0) as http:
        listed = await http.get("/v1/highlights/list", params={"limit": 100})
    rows: list[dict[str, Any]] = listed.raise_for_status().json()["data"]
    return next((each for each in rows if each["clip"] and each["clip"]["url"]), None)


async def test_a_highlight_is_exported_as_a_vertical_movie_with_progress(signed: Signed) -> None:
    page = signed.page
    await signed.visit(f"/exports/new?highlight={signed.highlight}")
    await expect(page.get_by_label("TikTok, 9:16")).to_be_checked()
    await page.get_by_role("button", name="Export", exact=True).click()
    await expect(page.get_by_role("heading", name="Export", exact=True)).to_be_visible()
    await expect(page.get_by_role("row", name="mp4 9:16 tiktok")).to_contain_text("ready")
    await expect(page.get_by_text("1 of 1 files")).to_be_visible()
    assert await signed.shape("video") == pytest.approx(9 / 16, abs=0.01)


async def test_an_endpoint_is_added_tested_and_sent_the_same_event_again(signed: Signed) -> None:
    page = signed.page
    async with receiver() as hook:
        await signed.visit("/webhooks")
        await page.get_by_role("button", name="Add an endpoint").click()
        await page.get_by_label("URL", exact=True).fill(hook.url)
        await page.get_by_label("usage.threshold").check()
        await page.get_by_role("button", name="Add", exact=True).click()
        secret = await page.get_by_label("Signing secret").input_value()
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("link", name=hook.url).click()
        await page.get_by_role("button", name="Send a test").click()
        delivery = page.get_by_role("row").filter(has_text="endpoint.test")
        await expect(delivery).to_contain_text("succeeded")
        await delivery.get_by_role("button", name="Send again").click()
        first, second = (await hook.until(2))[:2]
        assert first.verify(secret)["type"] == second.verify(secret)["type"] == "endpoint.test"
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        await delivery.get_by_role("button", name="endpoint.test", exact=True).click()
        attempts = page.get_by_role("dialog").get_by_role("table", name="Attempts")
        await expect(attempts.get_by_role("row")).to_have_count(3)
        await page.get_by_role("button", name="Close").click()
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("heading", name="Webhooks")).to_be_visible()


async def test_a_region_of_the_screen_is_drawn_on_a_picture(signed: Signed) -> None:
    page = signed.page
    await signed.visit("/profiles/soccer")
    await page.get_by_role("tab", name="Screen regions").click()
    await signed.shape(".frame video")
    picture = page.locator(".frame")
    await picture.scroll_into_view_if_needed()
    box = await picture.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.1 * box["height"])
    await page.mouse.down()
    await page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"], steps=3)
    await page.mouse.up()
    width = page.get_by_label("score width")
    await expect(width).to_be_visible()
    assert float(await width.input_value()) == pytest.approx(0.2, abs=0.01)
    await expect(page.get_by_text("Valid, not saved.")).to_be_visible()
