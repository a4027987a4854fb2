"""Publication policies at the links to files: until when, and where, they can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from domain.highlights.publication import PublicationPolicy, TerritoryPolicy
from domain.tenants.addresses import network
from infra.db.engine import Database
from infra.db.tables import AuditEntry, Highlight
from infra.settings import Settings
from tests.factories.rows import new_clip, new_export, new_highlight, new_stream
from tests.integration.api.conftest import Account, OpenClient
from tests.integration.api.problems import assert_problem

COUNTRY = "CloudFront-Viewer-Country"
REGION = "CloudFront-Viewer-Country-Region"
TERRITORIES = PublicationPolicy(territories=TerritoryPolicy(allow=("GB", "US"), deny=("US-NJ",)))


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    return await new_stream(database, account.tenant_id)


@pytest.fixture
async def highlight(account: Account, database: Database, stream: UUID) -> UUID:
    return await new_highlight(database, account.tenant_id, stream)


@pytest.fixture
async def clip_url(
    account: Account, database: Database, stream: UUID, highlight: UUID, clip_root: Path
) -> str:
    """The link to a clip whose file exists."""
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    file = clip_root / f"{account.tenant_id}/{stream}/{clip}.mp4"
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(file.write_bytes, b"movie")
    return str((await account.http.get(f"/v1/clips/{clip}")).json()["url"])


@pytest.fixture
async def index_url(account: Account, database: Database, stream: UUID, highlight: UUID) -> str:
    """The link to the playlist of an export of the highlight."""
    export = await new_export(database, account.tenant_id, stream, highlight=highlight)
    found = (await account.http.get(f"/v1/exports/{export}")).json()
    return str(found["renditions"][0]["index_url"])


@pytest.fixture
async def behind_cdn(
    settings: Settings, open_client: OpenClient
) -> AsyncIterator[httpx.AsyncClient]:
    """The API behind a CDN that states the viewer's country."""
    update = {"trusted_proxies": (network("127.0.0.1"),), "viewer_country_header": COUNTRY}
    async with open_client(settings.model_copy(update=update)) as client:
        yield client


@pytest.fixture
async def beside_cdn(
    settings: Settings, open_client: OpenClient
) -> AsyncIterator[httpx.AsyncClient]:
    """The same API, asked by a client that is not the CDN."""
    update = {"trusted_proxies": (network("10.0.0.0/8"),), "viewer_country_header": COUNTRY}
    async with open_client(settings.model_copy(update=update)) as client:
        yield client


async def set_policy(
    database: Database, account: Account, highlight: UUID, policy: PublicationPolicy
) -> None:
    async with database.session(account.tenant_id) as session:
        await session.execute(
            update(Highlight).where(Highlight.id == highlight).values(policy=policy.stated())
        )


async def test_links_to_an_export_stop_when_its_highlight_is_no_longer_valid(
    account: Account, database: Database, highlight: UUID, index_url: str
) -> None:
    playlist = await account.http.get(index_url)
    assert playlist.status_code == 200
    file_url = index_url.rpartition("/")[0] + "/" + playlist.text.splitlines()[1]
    over = PublicationPolicy(valid_until=datetime.now(UTC) - timedelta(seconds=1))
    await set_policy(database, account, highlight, over)
    for url in (index_url, file_url):
        problem = assert_problem(await account.http.get(url), 410, "highlight_withheld")
        assert problem["detail"] == "The `valid_until` of the highlight's policy has passed."


async def test_links_in_the_playlist_of_an_export_end_with_its_highlight(
    account: Account, database: Database, highlight: UUID, index_url: str
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    await set_policy(database, account, highlight, PublicationPolicy(valid_until=until))
    link = (await account.http.get(index_url)).text.splitlines()[1]
    assert parse_qs(urlsplit(link).query)["expires"] == [str(int(until.timestamp()))]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({COUNTRY: "GB"}, 200),
        ({COUNTRY: "us", REGION: "ny"}, 200),
        ({COUNTRY: "US", REGION: "NJ"}, 451),
        ({COUNTRY: "US"}, 451),
        ({COUNTRY: "DE"}, 451),
        ({}, 451),
    ],
)
async def test_a_clip_is_served_where_its_territories_permit(
    *,
    account: Account,
    database: Database,
    behind_cdn: httpx.AsyncClient,
    highlight: UUID,
    clip_url: str,
    headers: dict[str, str],
    status: int,
) -> None:
    await set_policy(database, account, highlight, TERRITORIES)
    assert (await behind_cdn.get(clip_url, headers=headers)).status_code == status


async def test_exports_and_players_are_served_where_their_territories_permit(
    account: Account,
    database: Database,
    behind_cdn: httpx.AsyncClient,
    highlight: UUID,
    index_url: str,
) -> None:
    await set_policy(database, account, highlight, TERRITORIES)
    embed = (await account.http.get(f"/v1/highlights/{highlight}/embed")).json()["url"]
    for url in (index_url, embed):
        answer = await behind_cdn.get(url, headers={COUNTRY: "DE"})
        assert_problem(answer, 451, "territory_denied")
        assert (await behind_cdn.get(url, headers={COUNTRY: "GB"})).status_code == 200


async def test_a_country_that_no_trusted_proxy_states_is_not_believed(
    account: Account,
    database: Database,
    beside_cdn: httpx.AsyncClient,
    highlight: UUID,
    clip_url: str,
) -> None:
    await set_policy(database, account, highlight, TERRITORIES)
    answer = await beside_cdn.get(clip_url, headers={COUNTRY: "GB"})
    assert_problem(answer, 451, "territory_denied")


async def test_without_a_header_that_names_the_country_clips_are_served_everywhere(
    account: Account, database: Database, highlight: UUID, clip_url: str
) -> None:
    await set_policy(database, account, highlight, TERRITORIES)
    assert (await account.http.get(clip_url, headers={COUNTRY: "DE"})).status_code == 200


async def test_a_highlight_without_territories_is_served_everywhere(
    behind_cdn: httpx.AsyncClient, clip_url: str
) -> None:
    assert (await behind_cdn.get(clip_url)).status_code == 200


async def test_a_stream_takes_another_policy_with_its_highlights_at_once(
    account: Account, stream: UUID, highlight: UUID, clip_url: str
) -> None:
    assert (await account.http.get(clip_url)).status_code == 200
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    change = {"policy": {"valid_until": past, "audience": ["members"]}}
    answer = await account.http.patch(f"/v1/streams/{stream}", json=change)
    assert answer.json()["policy"]["audience"] == ["members"]
    assert_problem(await account.http.get(clip_url), 410, "highlight_withheld")
    shown = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert (shown["policy"]["audience"], shown["withheld"]) == (["members"], "no_longer_valid")


async def test_a_change_of_policy_leaves_other_fields_and_null_clears_one(
    account: Account, stream: UUID
) -> None:
    path = f"/v1/streams/{stream}"
    await account.http.patch(path, json={"policy": {"commercial": False, "audience": ["staff"]}})
    changed = await account.http.patch(path, json={"policy": {"audience": None}})
    policy = changed.json()["policy"]
    assert (policy["commercial"], policy["audience"]) == (False, None)


async def test_a_change_of_policy_is_audited_once(
    account: Account, database: Database, stream: UUID
) -> None:
    for _ in range(2):
        change = {"policy": {"commercial": True}}
        await account.http.patch(f"/v1/streams/{stream}", json=change)
    async with database.session(account.tenant_id) as session:
        found = list(
            await session.scalars(
                select(AuditEntry.details).where(AuditEntry.action == "stream.updated")
            )
        )
    assert found == [{"before": {}, "after": {"commercial": True}}]


async def test_only_highlights_that_follow_need_the_review_of_a_changed_policy(
    account: Account, database: Database, stream: UUID, highlight: UUID
) -> None:
    await account.http.patch(f"/v1/streams/{stream}", json={"policy": {"review": "required"}})
    later = await new_highlight(database, account.tenant_id, stream, peak=200.0)
    shown = [
        (await account.http.get(f"/v1/highlights/{each}")).json()["withheld"]
        for each in (highlight, later)
    ]
    assert shown == [None, "awaiting_review"]


async def test_a_policy_with_a_misspelled_field_changes_nothing(
    account: Account, stream: UUID
) -> None:
    answer = await account.http.patch(f"/v1/streams/{stream}", json={"policy": {"audiance": []}})
    assert_problem(answer, 422, "invalid_request")
    assert (await account.http.get(f"/v1/streams/{stream}")).json()["policy"] is None
