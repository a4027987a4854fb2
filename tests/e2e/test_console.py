"""The console in a real browser, over one running stack to which the demo plays a match.

`docs/console.md` lists the questions of operators that these tests answer on screen.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import ViewportSize, expect

from demo.match import Match
from tests.e2e.conftest import Stack
from tests.e2e.console import ConsoleTab, console_tab
from tests.e2e.installation import ROOT, command

pytestmark = [pytest.mark.serial, pytest.mark.slow]
PHONE: ViewportSize = {"width": 390, "height": 844}
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
async def tab(show: Show) -> AsyncIterator[ConsoleTab]:
    async with console_tab(show.url, show.key) as opened:
        yield opened


async def test_a_stream_is_listed_with_its_state_and_lag_after_signing_in(tab: ConsoleTab) -> None:
    await tab.sign_in()
    row = tab.page.get_by_role("row").nth(1)
    await expect(row).to_contain_text("live")
    await expect(row.locator("td[data-name='Behind live']")).to_have_text(re.compile(r"\d (s|min)"))


async def test_the_timeline_shows_moments_as_they_are_decided_and_why(tab: ConsoleTab) -> None:
    await tab.sign_in()
    await tab.open_stream()
    await tab.page.get_by_role("button", name=MOMENT).first.click()
    decision = tab.page.get_by_role("region", name="Decision")
    await expect(decision).to_contain_text("Why it was chosen")
    await expect(decision).to_contain_text("Scored 0.")
    await expect(tab.page.get_by_role("group", name="Sound")).to_be_visible()
    await expect(tab.page.get_by_role("region", name="Gaps")).to_contain_text("Nothing is miss")
    await tab.until_it_plays("video[aria-label='Live picture']")
    await tab.picture("console-timeline")


async def test_a_wrong_key_is_refused_with_the_reason(tab: ConsoleTab) -> None:
    await tab.page.goto(f"{tab.url}/console")
    await tab.page.get_by_label("API key").fill("hl_test_wrong")
    await tab.page.get_by_role("button", name="Sign in").click()
    await expect(tab.page.get_by_role("alert")).to_contain_text("API key")
    assert await tab.page.evaluate("sessionStorage.length") == 0


async def test_the_link_of_the_demo_signs_in_once(tab: ConsoleTab, show: Show) -> None:
    link = show.sign_in_link()
    await tab.page.goto(link)
    await expect(tab.page.get_by_role("heading", name="Streams")).to_be_visible()
    assert "sign-in" not in tab.page.url
    await tab.page.get_by_role("button", name="Sign out").click()
    await tab.page.goto("about:blank")
    await tab.page.goto(link)
    await expect(tab.page.get_by_role("alert")).to_contain_text("used before")


async def test_a_clip_plays_on_the_timeline_while_the_pointer_is_on_it(tab: ConsoleTab) -> None:
    await tab.sign_in()
    await tab.open_stream()
    clip = tab.page.locator(".hover-clip").first
    await clip.scroll_into_view_if_needed()
    await clip.hover()
    await tab.until_it_plays(".hover-clip video")


async def test_a_highlight_plays_and_its_bounds_can_be_corrected(tab: ConsoleTab) -> None:
    page = tab.page
    await tab.sign_in()
    await tab.open_first_highlight()
    await page.locator("video").evaluate("v => { v.muted = true; return v.play(); }")
    await tab.until_it_plays("video")
    await tab.picture("console-highlight")
    end = page.get_by_label("End (s)")
    corrected = f"{float(await end.input_value()) - 1.5:.1f}"
    await end.fill(corrected)
    await page.get_by_role("button", name="Save the bounds").click()
    await expect(page.get_by_role("status").filter(has_text="Saved")).to_be_visible()
    await expect(page.get_by_role("region", name="Feedback")).to_contain_text(f"to {corrected} s")


async def test_an_opinion_is_listed_with_the_highlight(tab: ConsoleTab) -> None:
    await tab.sign_in()
    await tab.open_first_highlight()
    await tab.page.get_by_role("button", name="Like", exact=True).click()
    await expect(tab.page.get_by_role("region", name="Feedback")).to_contain_text("like")


async def test_a_phone_shows_every_page_without_scrolling_sideways(tab: ConsoleTab) -> None:
    page = tab.page
    await page.set_viewport_size(PHONE)
    await tab.sign_in()
    await tab.open_first_highlight()
    for address in (page.url, f"{tab.url}/console"):
        await page.goto(address)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], address


async def test_the_first_page_loads_little_and_nothing_from_elsewhere(tab: ConsoleTab) -> None:
    await tab.sign_in()
    entries = await tab.page.evaluate(
        "performance.getEntries().filter(e => e.name.includes('/console'))"
        ".map(e => [e.name, e.transferSize])"
    )
    assert sum(size for _, size in entries) <= FIRST_LOAD_BYTES
    hosts = await tab.page.evaluate(
        "performance.getEntriesByType('resource').map(e => new URL(e.name).origin)"
    )
    assert set(hosts) == {tab.url}


async def test_the_files_of_the_console_are_cached_and_its_page_is_not(show: Show) -> None:
    async with httpx.AsyncClient(base_url=show.url) as client:
        page = await client.get("/console/streams/any")
        script = re.search(r'src="(/console/assets/[^"]+)"', page.text)
        assert script is not None
        asset = await client.get(script.group(1))
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in asset.headers["cache-control"]
