"""The console in a real browser, over one running stack to which the demo plays a match.

`docs/console.md` lists the questions of operators that these tests answer on screen. With
`SCREENSHOTS` set to a folder, they leave the pictures of the documentation there.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

from app.doctor import chromium_path
from demo.match import Match
from tests.e2e.conftest import Stack
from tests.e2e.installation import ROOT, command
from tests.e2e.test_browser import FLAGS

pytestmark = [pytest.mark.serial, pytest.mark.slow]
WAIT_MS = 60_000
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
FIRST_LOAD_BYTES = 150 << 10
MOMENT = re.compile("(confirmed|pending), score")


@dataclass
class Show:
    """A stack to which the demo plays a match, and what the demo says."""

    url: str
    key: str
    said: Path

    def sign_in_link(self) -> str:
        """The link that the demo prints, which signs in once."""
        found = re.search(r"Console:\s+(\S+#sign-in=\S+)", self.said.read_text())
        assert found is not None, self.said.read_text()
        return found.group(1)


@dataclass
class Browser:
    """A tab of the console, and what went wrong in it."""

    page: Page
    show: Show
    complaints: list[str] = field(default_factory=list)

    async def sign_in(self) -> None:
        await self.page.goto(f"{self.show.url}/console")
        await self.page.get_by_label("API key").fill(self.show.key)
        await self.page.get_by_role("button", name="Sign in").click()
        await expect(self.page.get_by_role("heading", name="Streams")).to_be_visible()

    async def open_stream(self) -> None:
        """Open the newest stream, which is the first row."""
        await self.page.get_by_role("table").get_by_role("link").first.click()
        await expect(self.page.get_by_role("heading", name="Timeline")).to_be_visible()

    async def open_first_highlight(self) -> None:
        await self.open_stream()
        await self.page.locator(".hover-clip").first.click()
        await expect(self.page.get_by_role("heading", name="Correct the bounds")).to_be_visible()

    async def picture(self, name: str) -> None:
        """Leave a picture for the documentation, if pictures are wanted."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            await self.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture(scope="module")
def show(stack: Stack, match: Match, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    running = stack.running
    assert running.api_key is not None
    said = tmp_path_factory.mktemp("console") / "demo.log"
    arguments = ("--input", str(match.video), "--against", running.api_url, "--game", "soccer")
    with (
        said.open("wb") as output,
        subprocess.Popen(
            command("demo", *arguments, "--key", running.api_key),
            cwd=ROOT,
            stdout=output,
            stderr=output,
        ) as demo,
    ):
        yield Show(running.api_url, running.api_key, said)
        demo.terminate()


@pytest.fixture
async def browser(show: Show) -> AsyncIterator[Browser]:
    chromium = chromium_path()
    if chromium is None:
        pytest.skip("no Chromium on this machine: run bin/system-packages, or install one")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS])
        context = await launched.new_context(viewport=DESKTOP)
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        browser = Browser(await context.new_page(), show)
        browser.page.on("pageerror", lambda error: browser.complaints.append(str(error)))
        browser.page.on(
            "console",
            lambda message: (
                browser.complaints.append(message.text)
                if "Content Security Policy" in message.text
                else None
            ),
        )
        try:
            yield browser
            assert browser.complaints == []
        finally:
            await launched.close()


async def test_a_stream_is_listed_with_its_state_and_lag_after_signing_in(browser: Browser) -> None:
    await browser.sign_in()
    row = browser.page.get_by_role("row").nth(1)
    await expect(row).to_contain_text("live")
    await expect(row.locator("td[data-name='Behind live']")).to_have_text(re.compile(r"\d s"))


async def test_a_wrong_key_is_refused_with_the_reason(browser: Browser) -> None:
    await browser.page.goto(f"{browser.show.url}/console")
    await browser.page.get_by_label("API key").fill("hl_test_wrong")
    await browser.page.get_by_role("button", name="Sign in").click()
    await expect(browser.page.get_by_role("alert")).to_contain_text("API key")
    assert await browser.page.evaluate("sessionStorage.length") == 0


async def test_the_link_of_the_demo_signs_in_once(browser: Browser) -> None:
    link = browser.show.sign_in_link()
    await browser.page.goto(link)
    await expect(browser.page.get_by_role("heading", name="Streams")).to_be_visible()
    assert "sign-in" not in browser.page.url
    await browser.page.get_by_role("button", name="Sign out").click()
    await browser.page.goto("about:blank")
    await browser.page.goto(link)
    await expect(browser.page.get_by_role("alert")).to_contain_text("used before")


async def test_the_timeline_shows_moments_as_they_are_decided_and_why(browser: Browser) -> None:
    await browser.sign_in()
    await browser.open_stream()
    await browser.page.get_by_role("button", name=MOMENT).first.click()
    decision = browser.page.get_by_role("region", name="Decision")
    await expect(decision).to_contain_text("Why it was chosen")
    await expect(decision).to_contain_text("Scored 0.")
    await expect(browser.page.get_by_role("group", name="Sound")).to_be_visible()
    await expect(browser.page.get_by_role("region", name="Gaps")).to_contain_text("Nothing is miss")
    await browser.page.wait_for_function(
        "document.querySelector('video[aria-label=\"Live picture\"]').currentTime > 0"
    )
    await browser.picture("console-timeline")


async def test_a_clip_plays_on_the_timeline_while_the_pointer_is_on_it(browser: Browser) -> None:
    await browser.sign_in()
    await browser.open_stream()
    await browser.page.locator(".hover-clip").first.hover()
    await browser.page.wait_for_function(
        "document.querySelector('.hover-clip video').currentTime > 0"
    )


async def test_a_highlight_plays_and_its_corrected_bounds_make_a_new_clip(browser: Browser) -> None:
    page = browser.page
    await browser.sign_in()
    await browser.open_first_highlight()
    await page.locator("video").evaluate("v => { v.muted = true; return v.play(); }")
    await page.wait_for_function("document.querySelector('video').currentTime > 0")
    await browser.picture("console-highlight")
    end = page.get_by_label("End (s)")
    corrected = f"{float(await end.input_value()) - 1.5:.1f}"
    await end.fill(corrected)
    await page.get_by_role("button", name="Save the bounds").click()
    await expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    await expect(page.get_by_role("region", name="Feedback")).to_contain_text(f"to {corrected} s")
    clip = page.get_by_role("region", name="Clip", exact=True)
    await expect(clip).to_contain_text(f"to {corrected} s, ready")


async def test_an_opinion_is_listed_with_the_highlight(browser: Browser) -> None:
    await browser.sign_in()
    await browser.open_first_highlight()
    await browser.page.get_by_role("button", name="Like", exact=True).click()
    await expect(browser.page.get_by_role("region", name="Feedback")).to_contain_text("like")


async def test_a_phone_shows_every_page_without_scrolling_sideways(browser: Browser) -> None:
    page = browser.page
    await page.set_viewport_size(PHONE)
    await browser.sign_in()
    await browser.open_first_highlight()
    for address in (page.url, f"{browser.show.url}/console"):
        await page.goto(address)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], address


async def test_the_first_page_loads_little_and_nothing_from_elsewhere(browser: Browser) -> None:
    await browser.sign_in()
    entries = await browser.page.evaluate(
        "performance.getEntries().filter(e => e.name.includes('/console'))"
        ".map(e => [e.name, e.transferSize])"
    )
    assert sum(size for _, size in entries) <= FIRST_LOAD_BYTES
    hosts = await browser.page.evaluate(
        "performance.getEntriesByType('resource').map(e => new URL(e.name).origin)"
    )
    assert set(hosts) == {browser.show.url}


async def test_the_files_of_the_console_are_cached_and_its_page_is_not(show: Show) -> None:
    async with httpx.AsyncClient(base_url=show.url) as client:
        page = await client.get("/console/streams/any")
        script = re.search(r'src="(/console/assets/[^"]+)"', page.text)
        assert script is not None
        asset = await client.get(script.group(1))
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in asset.headers["cache-control"]
