"""Faults that a healthy S3 server does not have, answered by a server that follows a script."""

from __future__ import annotations

import base64
import contextlib
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from app.dev.supervisor import free_ports
from infra.storage import s3
from infra.storage.clips import S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Error, S3Location, S3Options
from tests.fakes.scripted_s3 import Answer, ScriptedS3, refusal

PLACE = S3Location("media")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedS3]:
    server = ScriptedS3()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield server
    server.close()


@pytest.fixture
def bucket(scripted: ScriptedS3, connection: S3Connection) -> S3Bucket:
    return S3Bucket(connection, PLACE)


async def test_a_request_that_is_too_quick_is_made_again(
    bucket: S3Bucket, scripted: ScriptedS3
) -> None:
    scripted.answers(refusal(503, "SlowDown"), refusal(503, "SlowDown"), Answer(body=b"media"))
    assert await bucket.read("a") == b"media"
    assert scripted.methods() == ["GET", "GET", "GET"]


@pytest.mark.parametrize(
    ("answer", "expected", "requests"),
    [
        (refusal(503, "SlowDown"), s3.S3ThrottledError, 4),
        (refusal(500, "InternalError"), s3.S3UnreachableError, 4),
        (refusal(403, "RequestTimeTooSkewed"), s3.S3ClockSkewError, 1),
        (refusal(400, "KMS.DisabledException"), s3.S3EncryptionKeyError, 1),
        (refusal(501, "NotImplemented"), s3.S3UnsupportedError, 1),
    ],
    ids=["throttled", "failing", "clock", "key", "unsupported"],
)
async def test_attempts_are_made_where_they_help(
    bucket: S3Bucket,
    scripted: ScriptedS3,
    answer: Answer,
    expected: type[S3Error],
    requests: int,
) -> None:
    scripted.answers(answer)
    with pytest.raises(expected):
        await bucket.put("a", b"media")
    assert len(scripted.requests) == requests


async def test_a_clip_that_was_stored_differently_is_deleted_again(
    bucket: S3Bucket, scripted: ScriptedS3, tmp_path: Path
) -> None:
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(b"frames")
    scripted.answers(Answer(), Answer(headers={"Content-Length": "5"}), Answer(204))
    with pytest.raises(s3.S3DamagedError, match="is not what was sent, and was deleted"):
        await S3ClipStore(bucket).put("t/s/movie.mp4", movie)
    assert scripted.methods() == ["PUT", "HEAD", "DELETE"]


async def test_a_clip_with_another_checksum_is_deleted_again(
    bucket: S3Bucket, scripted: ScriptedS3, tmp_path: Path
) -> None:
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(b"frames")
    stored = Answer(headers={"Content-Length": "6", "x-amz-checksum-crc32": "AAAAAA=="})
    scripted.answers(Answer(), stored, Answer(204))
    with pytest.raises(s3.S3DamagedError):
        await S3ClipStore(bucket).put("t/s/movie.mp4", movie)


async def test_a_clip_whose_checksum_the_response_repeats_is_not_read_back(
    bucket: S3Bucket, scripted: ScriptedS3, tmp_path: Path
) -> None:
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(b"frames")
    checksum = base64.b64encode(zlib.crc32(b"frames").to_bytes(4, "big")).decode()
    scripted.answers(Answer(headers={"x-amz-checksum-crc32": checksum}))
    await S3ClipStore(bucket).put("t/s/movie.mp4", movie)
    assert scripted.methods() == ["PUT"]


async def test_an_answer_that_breaks_off_leaves_no_file(
    bucket: S3Bucket, scripted: ScriptedS3, tmp_path: Path
) -> None:
    scripted.answers(Answer(body=b"half", claimed_length=8))
    with pytest.raises(s3.S3UnreachableError):
        await bucket.download("a", tmp_path / "a")
    assert not (tmp_path / "a").exists()


async def test_what_was_damaged_on_its_way_is_not_read(
    bucket: S3Bucket, scripted: ScriptedS3
) -> None:
    scripted.answers(Answer(body=b"media", headers={"x-amz-checksum-crc32": "AAAAAA=="}))
    with pytest.raises(s3.S3DamagedError, match="does not match its checksum"):
        await bucket.read("a")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (S3Options(), {}),
        (S3Options(encryption="sse-s3"), {"": "AES256"}),
        (
            S3Options(encryption="sse-kms", kms_key_id="key-1"),
            {"": "aws:kms", "-aws-kms-key-id": "key-1", "-bucket-key-enabled": "true"},
        ),
    ],
    ids=["bucket", "sse-s3", "sse-kms"],
)
async def test_what_is_written_is_encrypted_as_configured(
    connection: S3Connection,
    scripted: ScriptedS3,
    options: S3Options,
    expected: Mapping[str, str],
) -> None:
    await S3Bucket(connection, PLACE, options).put("t/s/a", b"media")
    (request,) = scripted.requests
    prefix = "x-amz-server-side-encryption"
    sent = {
        name.removeprefix(prefix): value
        for name, value in request.headers.items()
        if name.startswith(prefix)
    }
    assert sent == expected
    assert request.headers["x-amz-checksum-crc32"]
    assert request.headers["x-amz-tagging"] == "tenant=t&stream=s"


async def test_an_object_that_cannot_be_deleted_is_reported(
    bucket: S3Bucket, scripted: ScriptedS3
) -> None:
    scripted.answers(
        Answer(
            body=b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error>"
            b"</DeleteResult>"
        )
    )
    with pytest.raises(s3.S3AccessDeniedError, match="denies DeleteObject"):
        await bucket.delete(["a"])


def measured(operation: str, outcome: str) -> float:
    labels = {"operation": operation, "outcome": outcome}
    return REGISTRY.get_sample_value("highlights_store_request_seconds_count", labels) or 0.0


@pytest.mark.parametrize(
    ("answer", "outcome"), [(Answer(), "done"), (Answer(404), "done"), (Answer(403), "refused")]
)
async def test_a_request_is_measured_by_what_came_of_it(
    bucket: S3Bucket, scripted: ScriptedS3, answer: Answer, outcome: str
) -> None:
    before = measured("HeadObject", outcome)
    scripted.answers(answer)
    with contextlib.suppress(s3.S3Error):
        await bucket.exists("a")
    assert measured("HeadObject", outcome) == before + 1


@pytest.mark.usefixtures("scripted")  # for its credentials
async def test_a_request_without_an_answer_is_measured(
    monkeypatch: pytest.MonkeyPatch, connection: S3Connection
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    before = measured("HeadObject", "unreachable")
    with pytest.raises(s3.S3UnreachableError):
        await S3Bucket(connection, S3Location("bucket")).exists("a")
    assert measured("HeadObject", "unreachable") == before + 1
