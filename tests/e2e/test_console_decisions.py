"""What the console says of moments and media that a stream does not show: from stored rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect
from sqlalchemy import update

from app.dev.postgres import DatabaseUrls
from domain.highlights.selection import DecisionStatus
from domain.media.segments import GapReason
from domain.streams.status import StreamStatus
from infra.db.tables import Stream, StreamGap
from tests.e2e.console import ConsoleTab, console_tab
from tests.e2e.test_browser import site_with
from tests.factories.rows import new_highlight, new_stream


@pytest.fixture
async def tab(postgres: DatabaseUrls, tmp_path: Path) -> AsyncIterator[ConsoleTab]:
    """A tab that shows a stream with a chosen moment, a rejected one, and a gap."""
    stores = {
        "clip_store": str(tmp_path / "clips"),
        "segment_store": str(tmp_path / "segments"),
    }
    async with site_with(postgres, **stores) as site:
        stream = await new_stream(site.database, site.tenant)
        await new_highlight(site.database, site.tenant, stream, peak=60.0)
        await new_highlight(
            site.database,
            site.tenant,
            stream,
            peak=95.0,
            status=DecisionStatus.REJECTED,
            score=0.31,
            title="Throw-in",
        )
        async with site.database.session(site.tenant) as session:
            # A live one is played from its own host.
            ended = update(Stream).values(status=StreamStatus.COMPLETED.value)
            await session.execute(ended)
            session.add(
                StreamGap(
                    tenant_id=site.tenant,
                    stream_id=stream,
                    start=40.0,
                    duration=6.0,
                    first_sequence=20,
                    last_sequence=22,
                    reason=GapReason.ROLLED_OFF,
                    detail="3 segments left the playlist before they were fetched",
                )
            )
        async with console_tab(f"http://127.0.0.1:{site.port}", site.key) as opened:
            await opened.sign_in()
            await opened.open_stream()
            yield opened


async def test_a_rejected_moment_is_listed_with_its_reason(tab: ConsoleTab) -> None:
    row = tab.page.get_by_role("row").filter(has_text="Throw-in")
    await expect(row).to_contain_text("rejected")
    await row.get_by_role("button").click()
    decision = tab.page.get_by_role("region", name="Decision")
    await expect(decision).to_contain_text("Why it was not chosen (rejected)")
    await expect(decision.get_by_role("listitem").first).to_be_visible()


async def test_lost_media_is_drawn_and_listed_with_its_cause(tab: ConsoleTab) -> None:
    gaps = tab.page.get_by_role("region", name="Gaps")
    await expect(gaps).to_contain_text("6.0 s")
    await expect(gaps).to_contain_text("left the playlist")
    await expect(tab.page.locator(".lanes .gap")).to_have_count(1)


async def test_a_highlight_that_awaits_review_is_approved_on_its_page(
    postgres: DatabaseUrls, tmp_path: Path
) -> None:
    stores = {
        "clip_store": str(tmp_path / "clips"),
        "segment_store": str(tmp_path / "segments"),
    }
    async with site_with(postgres, **stores) as site:
        stream = await new_stream(site.database, site.tenant)
        async with site.database.session(site.tenant) as session:
            await session.execute(update(Stream).values(policy={"review": "required"}))
        highlight = await new_highlight(site.database, site.tenant, stream)
        async with console_tab(f"http://127.0.0.1:{site.port}", site.key) as tab:
            await tab.sign_in()
            await tab.page.goto(f"{tab.url}/console/highlights/{highlight}")
            review = tab.page.get_by_role("region", name="Review")
            await expect(review).to_contain_text("Nothing is delivered before it is approved")
            await review.get_by_role("button", name="Approve").click()
            await expect(review).to_contain_text("approved by")
            await expect(review.get_by_role("button")).to_have_count(0)
