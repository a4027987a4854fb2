"""Clips in S3: the API redirects to them and never sends their bytes itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from infra.db.engine import Database
from infra.settings import Settings
from infra.storage.clips import S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.signed_urls import UrlSigner
from tests.integration.api.conftest import BASE_URL, SECRET, Account, OpenClient
from tests.integration.rows import new_clip, new_highlight, new_stream
from tests.s3_server import cdn_private_key

CONTENT = bytes(range(256)) * 40
AFTER_EXPIRY = 2.5  # of a URL that works for one second; the server counts whole ones


@pytest.fixture
def settings(settings: Settings, s3_bucket: str) -> Settings:
    return settings.model_copy(update={"clip_store": f"s3://{s3_bucket}/clips"})


@pytest.fixture
async def clip(
    account: Account, database: Database, settings: Settings, tmp_path: Path
) -> AsyncIterator[UUID]:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(CONTENT)
    connection = S3Connection()
    store = S3ClipStore(S3Bucket(connection, S3Location.parse(str(settings.clip_store))))
    for suffix in ("mp4", "jpg"):
        await store.put(f"{account.tenant_id}/{stream}/{clip}.{suffix}", movie)
    yield clip
    await connection.close()


@pytest.fixture
async def url(account: Account, clip: UUID) -> str:
    return str((await account.http.get(f"/v1/clips/{clip}")).json()["url"])


async def test_the_tenant_sees_our_url_and_is_redirected_to_the_file(
    anonymous: httpx.AsyncClient, url: str, s3_bucket: str
) -> None:
    assert url.startswith(f"{BASE_URL}/v1/clips/")
    response = await anonymous.get(url)
    assert (response.status_code, response.content) == (307, b"")
    assert f"/{s3_bucket}/clips/" in response.headers["Location"]
    assert response.headers["Cache-Control"] == "private, max-age=60"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    async with httpx.AsyncClient() as client:
        part = await client.get(response.headers["Location"], headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, CONTENT[5:10])
    assert part.headers["Content-Range"] == f"bytes 5-9/{len(CONTENT)}"
    assert part.headers["Content-Type"] == "video/mp4"
    assert part.headers["Content-Disposition"].startswith("inline; filename=")


async def test_the_thumbnail_is_redirected_too(
    account: Account, anonymous: httpx.AsyncClient, clip: UUID
) -> None:
    found = (await account.http.get(f"/v1/clips/{clip}")).json()
    response = await anonymous.get(found["thumbnail_url"])
    async with httpx.AsyncClient() as client:
        picture = await client.get(response.headers["Location"])
    assert (picture.content, picture.headers["Content-Type"]) == (CONTENT, "image/jpeg")


async def test_head_is_redirected_to_a_url_for_head(anonymous: httpx.AsyncClient, url: str) -> None:
    response = await anonymous.head(url)
    assert response.status_code == 307
    async with httpx.AsyncClient() as client:
        found = await client.head(response.headers["Location"])
    assert (found.status_code, found.headers["Content-Length"]) == (200, str(len(CONTENT)))


async def test_a_changed_redirect_opens_nothing(anonymous: httpx.AsyncClient, url: str) -> None:
    location = (await anonymous.get(url)).headers["Location"]
    async with httpx.AsyncClient() as client:
        for changed in (
            location.replace(".mp4?", ".jpg?"),
            location.replace("X-Amz-Expires=", "X-Amz-Expires=1"),
            location.partition("?")[0],
        ):
            assert (await client.get(changed)).status_code == 403


async def test_a_redirect_ends_with_the_url_that_led_to_it(
    anonymous: httpx.AsyncClient, url: str
) -> None:
    query = parse_qs(urlsplit(url).query)
    path, tenant = urlsplit(url).path, UUID(query["tenant"][0])
    location = (await anonymous.get(url)).headers["Location"]
    lifetime = int(parse_qs(urlsplit(location).query)["X-Amz-Expires"][0])
    assert 3590 <= lifetime <= 3600 + 300
    far = UrlSigner(SECRET.encode()).sign(path, tenant_id=tenant, expires=1 << 39)
    location = (await anonymous.get(far)).headers["Location"]
    assert parse_qs(urlsplit(location).query)["X-Amz-Expires"] == [str(7 * 86_400)]


async def test_an_expired_redirect_opens_nothing(
    anonymous: httpx.AsyncClient, url: str, settings: Settings
) -> None:
    key = urlsplit((await anonymous.get(url)).headers["Location"]).path.partition("/clips/")[2]
    connection = S3Connection()
    bucket = S3Bucket(connection, S3Location.parse(str(settings.clip_store)))
    location = await bucket.presigned_url(key, seconds=1)
    await connection.close()
    await asyncio.sleep(AFTER_EXPIRY)
    async with httpx.AsyncClient() as client:
        assert (await client.get(location)).status_code == 403


async def test_a_deleted_stream_takes_its_files_and_links_along(
    account: Account, anonymous: httpx.AsyncClient, clip: UUID, url: str
) -> None:
    location = (await anonymous.get(url)).headers["Location"]
    stream = (await account.http.get(f"/v1/clips/{clip}")).json()["stream_id"]
    deleted = await account.http.delete(f"/v1/streams/{stream}")
    assert deleted.status_code == 204
    assert (await anonymous.get(url)).json()["code"] == "clip_not_found"
    async with httpx.AsyncClient() as client:
        assert (await client.get(location)).status_code == 404


async def test_a_cdn_serves_clips_under_its_own_signature(
    settings: Settings, open_client: OpenClient, url: str
) -> None:
    behind_cdn = Settings(
        **settings.model_dump(exclude_defaults=True)
        | {
            "clip_cdn_url": "https://cdn.test/clips",
            "clip_cdn_key_id": "K1",
            "clip_cdn_private_key": cdn_private_key(),
        }
    )
    async with open_client(behind_cdn) as client:
        response = await client.get(url)
    expires = parse_qs(urlsplit(url).query)["expires"]
    parts = urlsplit(response.headers["Location"])
    assert response.status_code == 307
    assert (parts.netloc, parts.path.startswith("/clips/")) == ("cdn.test", True)
    assert parse_qs(parts.query)["Expires"] == expires
    assert parse_qs(parts.query)["Key-Pair-Id"] == ["K1"]


async def test_without_credentials_the_answer_is_a_problem(
    settings: Settings, open_client: OpenClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with open_client(settings) as client:
        response = await client.get(url)
    assert response.status_code == 503
    problem = response.json()
    assert problem["code"] == "service_unavailable"
    assert problem["detail"].startswith("The store of clips cannot be used.")
    assert "AWS" not in response.text
