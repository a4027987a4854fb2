"""Objects in a real S3 server: how they are written, and what its faults are called."""

from __future__ import annotations

import asyncio
import base64
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.storage import s3
from infra.storage.clips import S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Error, S3Location, S3Options
from tests.fakes.s3_server import REGION, S3Server

CLIP = "tenant/stream/clip.mp4"


@pytest.fixture
def bucket(s3_bucket: str, connection: S3Connection) -> S3Bucket:
    return S3Bucket(connection, S3Location(s3_bucket, "clips"))


async def test_a_clip_says_what_it_is_and_whose(
    bucket: S3Bucket, s3_server: S3Server, tmp_path: Path
) -> None:
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(b"frames")
    await S3ClipStore(bucket).put(CLIP, movie)
    client, where = s3_server.client(), bucket.location.bucket
    found = client.head_object(Bucket=where, Key=f"clips/{CLIP}")
    assert found["ContentType"] == "video/mp4"
    assert found["ContentDisposition"] == 'inline; filename="clip.mp4"'
    assert found["CacheControl"] == "public, max-age=86400, immutable"
    tags = client.get_object_tagging(Bucket=where, Key=f"clips/{CLIP}")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"tenant": "tenant", "stream": "stream"}


async def test_tags_can_be_left_out(
    connection: S3Connection, s3_bucket: str, s3_server: S3Server
) -> None:
    bucket = S3Bucket(connection, S3Location(s3_bucket), S3Options(tags=False))
    await bucket.put(CLIP, b"frames")
    assert s3_server.client().get_object_tagging(Bucket=s3_bucket, Key=CLIP)["TagSet"] == []


async def test_a_large_file_goes_in_parts_with_a_checksum_of_the_whole(
    bucket: S3Bucket, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_MULTIPART_FROM", 16 << 20)  # 64 MiB take seconds
    data = os.urandom(17 << 20)
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(data)
    await bucket.put(CLIP, movie, ContentType="video/mp4")
    found = s3_server.client().head_object(
        Bucket=bucket.location.bucket, Key=f"clips/{CLIP}", ChecksumMode="ENABLED"
    )
    assert found["ETag"].strip('"').endswith("-3")
    assert found["ChecksumCRC32"] == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    assert found["ContentType"] == "video/mp4"
    await bucket.download(CLIP, tmp_path / "back.mp4")
    assert (tmp_path / "back.mp4").read_bytes() == data


async def test_more_than_a_page_is_listed_and_deleted(
    bucket: S3Bucket, s3_server: S3Server
) -> None:
    root = s3_server.directory / "buckets" / bucket.location.bucket / "clips" / "t"
    root.mkdir(parents=True)
    for number in range(1005):  # as objects, which is quicker than 1005 requests
        (root / f"{number:04d}").touch()
    names = await bucket.list("t/")
    assert names == [f"t/{number:04d}" for number in range(1005)]
    await bucket.delete(names)
    assert await bucket.list("") == []


async def test_a_good_store_is_described_and_left_as_it_was(bucket: S3Bucket) -> None:
    assert await bucket.examine() == f"S3 in {REGION}, encryption: bucket, tags"
    assert await bucket.list("") == []


async def test_processes_that_start_together_examine_a_store_together(bucket: S3Bucket) -> None:
    found = await asyncio.gather(*(bucket.examine() for _ in range(8)))
    assert len(set(found)) == 1
    assert await bucket.list("") == []


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({"AWS_REGION": "us-west-2"}, s3.S3WrongRegionError, f"Set AWS_REGION={REGION}."),
        (
            {"AWS_ACCESS_KEY_ID": "stranger", "AWS_SECRET_ACCESS_KEY": "stranger-secret"},
            s3.S3AccessDeniedError,
            "S3 denies ListObjectsV2 on s3://",
        ),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, s3.S3CredentialsError, "does not accept our AWS"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, s3.S3CredentialsError, "does not accept our AWS"),
        ({"AWS_ACCESS_KEY_ID": ""}, s3.S3CredentialsError, "There are no AWS credentials"),
        (
            {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"},
            s3.S3UnreachableError,
            "Check the network, and AWS_ENDPOINT_URL_S3",
        ),
        ({"AWS_ENDPOINT_URL_S3": "nowhere"}, S3Error, "Check AWS_ENDPOINT_URL_S3"),
        ({"AWS_PROFILE": "missing"}, s3.S3CredentialsError, "missing"),
    ],
    ids=["region", "denied", "secret", "key", "none", "away", "endpoint", "profile"],
)
async def test_what_is_wrong_is_named_with_its_remedy(
    bucket: S3Bucket,
    monkeypatch: pytest.MonkeyPatch,
    changes: Mapping[str, str],
    expected: type[S3Error],
    words: str,
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(expected, match=words):
        await bucket.examine()


async def test_a_missing_bucket_is_told_from_a_missing_object(
    bucket: S3Bucket, connection: S3Connection
) -> None:
    missing = S3Bucket(connection, S3Location("no-such-bucket"))
    for ask in (missing.examine(), missing.read("a"), missing.put("a", b"x"), missing.list("")):
        with pytest.raises(s3.S3BucketMissingError, match="Bucket no-such-bucket does not exist"):
            await ask
    with pytest.raises(s3.S3ObjectMissingError):
        await bucket.read("a")


async def test_a_download_that_fails_leaves_no_file(bucket: S3Bucket, tmp_path: Path) -> None:
    with pytest.raises(s3.S3ObjectMissingError):
        await bucket.download("a", tmp_path / "a")
    assert not (tmp_path / "a").exists()
