"""Recordings over the API: what is refused, and what a retry gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.streams import recordings
from tests.integration.api.conftest import Account

URL = "https://cdn.example.com/archive/final.mp4"
UPLOAD = "/v1/recordings/upload"
MEDIA = {"Content-Type": "application/octet-stream"}


async def test_a_retry_with_the_same_key_starts_nothing_more(account: Account) -> None:
    headers = {"Idempotency-Key": "final-4711"}
    first = await account.http.post("/v1/recordings", json={"url": URL}, headers=headers)
    again = await account.http.post("/v1/recordings", json={"url": URL}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert len((await account.http.get("/v1/streams")).json()["data"]) == 1


async def test_an_upload_is_the_same_request_only_with_the_same_bytes(account: Account) -> None:
    headers = {**MEDIA, "Idempotency-Key": "upload-1"}
    first = await account.http.post(UPLOAD, content=b"film", headers=headers)
    again = await account.http.post(UPLOAD, content=b"film", headers=headers)
    other = await account.http.post(UPLOAD, content=b"else", headers=headers)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_an_address_on_our_own_network_is_refused(account: Account) -> None:
    answer = await account.http.post("/v1/recordings", json={"url": "http://127.0.0.1/film.mp4"})
    assert (answer.status_code, answer.json()["code"]) == (422, "url_forbidden")


async def test_a_tenant_cannot_name_an_uploaded_file(account: Account) -> None:
    """It could be another tenant's."""
    answer = await account.http.post("/v1/recordings", json={"url": "upload:a/b/upload"})
    assert (answer.status_code, answer.json()["code"]) == (422, "url_forbidden")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", MEDIA, 422, "invalid_request"),
        (b"film", {"Content-Type": "text/html"}, 415, "unsupported_media_type"),
        (b"film", {}, 415, "unsupported_media_type"),
    ],
    ids=["empty", "another type", "no type"],
)
async def test_a_body_that_is_no_file_is_refused(
    account: Account, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await account.http.post(UPLOAD, content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.fixture
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "MAX_UPLOAD_BYTES", 1000)


async def in_parts() -> AsyncIterator[bytes]:
    """A body of 1,100 bytes that does not announce its length."""
    for _ in range(11):
        yield bytes(100)


@pytest.mark.usefixtures("_small_limit")
@pytest.mark.parametrize("content", [bytes(1100), in_parts()], ids=["announced", "in parts"])
async def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    account: Account, segment_root: Path, content: bytes | AsyncIterator[bytes]
) -> None:
    answer = await account.http.post(UPLOAD, content=content, headers=MEDIA)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert await asyncio.to_thread(files_of, segment_root) == []
    assert (await account.http.get("/v1/streams")).json()["data"] == []


def files_of(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]
