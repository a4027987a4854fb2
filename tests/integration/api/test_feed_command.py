"""`highlights feed` against the API: what it sends is taken, and taken once."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from app.feed import EventSender, FeedRun, FeedSource, FeedSummary
from domain.feed.adapters.match import FeedFormat
from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.errors import SetupError
from tests.factories.rows import new_stream
from tests.integration.api.conftest import Account

FEEDS = Path(__file__).parents[2] / "unit/domain/feed/adapters/data"


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    """A stream that has ended: its events need no running workflow."""
    made = await new_stream(database, account.tenant_id)
    done = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="ended")
    progress = StreamProgress(
        status=StreamStatus.COMPLETED, end=done, position=300.0, analyzed=300.0, segments=1
    )
    record = StreamRecord(tenant_id=account.tenant_id, stream_id=made, progress=progress)
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(session, record)
    return made


async def send(account: Account, source: FeedSource) -> FeedSummary:
    sender = EventSender(account.http, source)
    return await FeedRun(source, sender, Console(file=StringIO())).run()


async def stored(account: Account, stream: UUID) -> list[dict[str, Any]]:
    answer = await account.http.get(f"/v1/streams/{stream}/events", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


@pytest.mark.parametrize(
    ("file", "feed_format"),
    [
        ("sportradar.xml", FeedFormat.SPORTRADAR),
        ("betfair.jsonl", FeedFormat.BETFAIR),
        ("odds_api.jsonl", FeedFormat.ODDS_API),
    ],
)
async def test_a_feed_is_stored_once_however_often_it_is_sent(
    account: Account, stream: UUID, tmp_path: Path, file: str, feed_format: FeedFormat
) -> None:
    feed = shutil.copy(FEEDS / file, tmp_path)
    source = FeedSource(stream_id=stream, source=str(feed), format=feed_format)
    first = await send(account, source)
    again = await send(account, source)
    events = await stored(account, stream)
    assert first.events == again.events == len(events)
    assert sum(first.outcomes.values()) == len(events)


async def test_a_stream_of_another_tenant_takes_no_feed(
    other_account: Account, stream: UUID
) -> None:
    source = FeedSource(
        stream_id=stream, source=str(FEEDS / "betfair.jsonl"), format=FeedFormat.BETFAIR
    )
    with pytest.raises(SetupError, match="The API refuses events"):
        await send(other_account, source)
