"""A tab of a real browser that shows the console."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import ConsoleMessage, Page, ViewportSize, async_playwright, expect

from app.doctor import chromium_path
from tests.e2e.test_browser import FLAGS

WAIT_MS = 60_000
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


@dataclass
class ConsoleTab:
    """A tab of the console, and what went wrong in it."""

    page: Page
    url: str
    key: str
    complaints: list[str] = field(default_factory=list)

    async def sign_in(self) -> None:
        await self.page.goto(f"{self.url}/console")
        await self.page.get_by_label("API key").fill(self.key)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("heading", name="Streams")).to_be_visible()

    async def open_stream(self) -> None:
        """Open the newest stream, which is the first row."""
        await self.page.get_by_role("table").get_by_role("link").first.click()
        await expect(self.page.get_by_role("heading", name="Timeline")).to_be_visible()

    async def open_first_highlight(self) -> None:
        """Open the first highlight of the newest stream that has a clip."""
        await self.open_stream()
        await self.page.locator(".hover-clip").first.click()
        await expect(self.page.get_by_role("heading", name="Correct the bounds")).to_be_visible()

    async def until_it_plays(self, video: str) -> None:
        """Wait until the video of this selector has played a little.

        The page's policy forbids the `eval` that Playwright's own waiting for a script needs.
        """
        found = self.page.locator(video).first
        async with asyncio.timeout(WAIT_MS / 1000):
            while await found.evaluate("video => video.currentTime") == 0:  # noqa: ASYNC110 - the browser plays
                await asyncio.sleep(0.1)

    async def picture(self, name: str) -> None:
        """Leave a picture for the documentation if SCREENSHOTS names a folder."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            await self.page.screenshot(path=Path(folder) / f"{name}.png")

    def note(self, message: ConsoleMessage) -> None:
        """Collect what the content security policy refused."""
        if "Content Security Policy" in message.text:
            self.complaints.append(message.text)


@asynccontextmanager
async def console_tab(url: str, key: str) -> AsyncIterator[ConsoleTab]:
    """Open a tab; at the end, nothing may have gone wrong in its scripts."""
    chromium = chromium_path()
    if chromium is None:
        pytest.skip("no Chromium on this machine: run bin/system-packages, or install one")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS])
        try:
            context = await browser.new_context(viewport=DESKTOP)
            context.set_default_timeout(WAIT_MS)
            expect.set_options(timeout=WAIT_MS)
            tab = ConsoleTab(await context.new_page(), url, key)
            tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
            tab.page.on("console", tab.note)
            yield tab
            assert tab.complaints == []
        finally:
            await browser.close()
