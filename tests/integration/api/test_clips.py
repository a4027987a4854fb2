"""Clips downloaded by signed URL."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import httpx
import pytest

from domain.clips.models import ClipStatus
from infra.db.engine import Database
from infra.settings import Settings
from infra.storage.signed_urls import UrlSigner
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import SECRET, Account

CONTENT = bytes(range(256)) * 40


@pytest.fixture
async def clip(account: Account, database: Database, clip_root: Path) -> UUID:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    directory = clip_root / str(account.tenant_id) / str(stream)
    directory.mkdir(parents=True)
    (directory / f"{clip}.mp4").write_bytes(CONTENT)
    (directory / f"{clip}.jpg").write_bytes(b"picture")
    return clip


@pytest.fixture
async def url(account: Account, clip: UUID) -> str:
    return str((await account.http.get(f"/v1/clips/{clip}")).json()["url"])


async def test_a_clip_says_what_it_is(account: Account, clip: UUID) -> None:
    found = (await account.http.get(f"/v1/clips/{clip}")).json()
    assert (found["status"], found["duration"], found["has_audio"]) == ("ready", 10.0, True)
    assert found["sha256"] == "ab" * 32


async def test_a_signed_url_needs_no_key(anonymous: httpx.AsyncClient, url: str) -> None:
    response = await anonymous.get(url)
    assert response.status_code == 200
    assert response.content == CONTENT
    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Content-Disposition"].startswith("inline; filename=")
    assert response.headers["ETag"] == f'"{"ab" * 32}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "max-age" in response.headers["Cache-Control"]


async def test_the_thumbnail_is_a_picture(
    account: Account, anonymous: httpx.AsyncClient, clip: UUID
) -> None:
    found = (await account.http.get(f"/v1/clips/{clip}")).json()
    response = await anonymous.get(found["thumbnail_url"])
    assert (response.content, response.headers["Content-Type"]) == (b"picture", "image/jpeg")


@pytest.mark.parametrize(
    ("asked", "content", "answered"),
    [
        ("bytes=0-99", CONTENT[:100], "bytes 0-99/10240"),
        ("bytes=10000-", CONTENT[10000:], "bytes 10000-10239/10240"),
        ("bytes=-5", CONTENT[-5:], "bytes 10235-10239/10240"),
        ("bytes=10239-99999", CONTENT[-1:], "bytes 10239-10239/10240"),
    ],
    ids=["first", "from", "last", "beyond"],
)
async def test_a_part_can_be_asked_for(
    anonymous: httpx.AsyncClient, url: str, asked: str, content: bytes, answered: str
) -> None:
    response = await anonymous.get(url, headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == content
    assert response.headers["Content-Range"] == answered


@pytest.mark.parametrize("asked", ["bytes=99999-", "bytes=abc", "lines=1-2", "bytes=5-2"])
async def test_a_part_that_cannot_be_given_is_a_problem(
    anonymous: httpx.AsyncClient, url: str, asked: str
) -> None:
    response = await anonymous.get(url, headers={"Range": asked})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */10240"
    assert response.json()["code"] == "range_not_satisfiable"


async def test_a_range_of_an_older_file_gives_the_whole_new_one(
    anonymous: httpx.AsyncClient, url: str
) -> None:
    response = await anonymous.get(url, headers={"Range": "bytes=0-9", "If-Range": '"older"'})
    assert (response.status_code, response.content) == (200, CONTENT)


async def test_head_gives_the_headers_alone(anonymous: httpx.AsyncClient, url: str) -> None:
    response = await anonymous.head(url)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(CONTENT))


async def test_an_unchanged_file_is_not_sent_again(anonymous: httpx.AsyncClient, url: str) -> None:
    etag = (await anonymous.head(url)).headers["ETag"]
    response = await anonymous.get(url, headers={"If-None-Match": f'"x", W/{etag}'})
    assert (response.status_code, response.content) == (304, b"")


def changed(url: str, **values: str) -> str:
    parts = urlsplit(url)
    query = {name: value[0] for name, value in parse_qs(parts.query).items()} | values
    return f"{parts.path}?{urlencode(query)}"


@pytest.mark.parametrize("part", ["expires", "tenant", "signature", "path"])
async def test_a_changed_url_opens_nothing(
    anonymous: httpx.AsyncClient, url: str, other_account: Account, part: str
) -> None:
    forged = {
        "expires": changed(url, expires="99999999999"),
        "tenant": changed(url, tenant=str(other_account.tenant_id)),
        "signature": changed(url, signature="A" * 43),
        "path": changed(url).replace("/download", "/thumbnail"),
    }[part]
    response = await anonymous.get(forged)
    assert (response.status_code, response.json()["code"]) == (403, "invalid_signature")


async def test_a_url_expires(anonymous: httpx.AsyncClient, account: Account, clip: UUID) -> None:
    signer = UrlSigner(SECRET.encode())
    old = signer.sign(f"/v1/clips/{clip}/download", tenant_id=account.tenant_id, expires=1)
    response = await anonymous.get(old)
    assert (response.status_code, response.json()["code"]) == (403, "expired_signature")


async def test_a_file_that_is_gone_is_not_found(
    anonymous: httpx.AsyncClient, url: str, clip_root: Path
) -> None:
    shutil.rmtree(clip_root)
    response = await anonymous.get(url)
    assert (response.status_code, response.json()["code"]) == (404, "clip_not_found")


async def test_a_clip_that_is_not_ready_cannot_be_downloaded(
    anonymous: httpx.AsyncClient, account: Account, database: Database, settings: Settings
) -> None:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(
        database, account.tenant_id, stream, highlight, status=ClipStatus.RENDERING
    )
    signer = UrlSigner(SECRET.encode())
    url = signer.sign(
        f"/v1/clips/{clip}/download", tenant_id=account.tenant_id, expires=99999999999
    )
    assert (await anonymous.get(url)).status_code == 404
