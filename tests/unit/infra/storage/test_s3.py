"""Locations in S3, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from infra.storage import s3
from infra.storage.s3 import S3Error, S3Location, s3_error
from infra.storage.segments import StoreUnavailableError, store_error

PLACE = S3Location("media", "clips")


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://media", "media", ""),
        ("s3://media/", "media", ""),
        ("s3://my.media-1/a/b_c/", "my.media-1", "a/b_c"),
    ],
)
def test_a_location_is_a_bucket_and_a_prefix(url: str, bucket: str, prefix: str) -> None:
    location = S3Location.parse(url)
    assert (location.bucket, location.prefix) == (bucket, prefix)
    assert str(location) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("gs://media", "or a directory"),
        ("S3://media", "or a directory"),
        ("s3://", "3 to 63 lowercase letters"),
        ("s3://Media", "3 to 63 lowercase letters"),
        ("s3://a..b", "3 to 63 lowercase letters"),
        ("s3://key:secret@media", "3 to 63 lowercase letters"),
        ("s3://media?region=x", "3 to 63 lowercase letters"),
        ("s3://media//a", "between single slashes"),
        ("s3://media/a/../b", "between single slashes"),
        ("s3://media/a b", "between single slashes"),
    ],
)
def test_what_is_no_location_is_refused_without_repeating_it(url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        S3Location.parse(url)
    assert "must be s3://bucket" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("location", [S3Location("media"), S3Location("media", "a/b")])
def test_a_name_is_found_again_in_its_key(location: S3Location) -> None:
    assert location.name(location.key("t/s/1.mp4")) == "t/s/1.mp4"


def refusal(code: str, status: int = 400, **said: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "so it is", **said},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return ClientError(answer, "PutObject")


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (refusal("NoSuchBucket"), s3.S3BucketMissingError, "Bucket media does not exist. Create"),
        (refusal("AccessDenied"), s3.S3AccessDeniedError, "denies PutObject on s3://media/clips"),
        (refusal("403"), s3.S3AccessDeniedError, "policies of our role"),
        (refusal("InvalidAccessKeyId"), s3.S3CredentialsError, "AWS_ACCESS_KEY_ID"),
        (refusal("ExpiredToken"), s3.S3CredentialsError, "Renew them"),
        (refusal("RequestTimeTooSkewed", 403), s3.S3ClockSkewError, "Synchronize the clock"),
        (refusal("SlowDown", 503), s3.S3ThrottledError, "fewer requests"),
        (refusal("InternalError", 500), s3.S3UnreachableError, "InternalError: so it is."),
        (refusal("KMS.DisabledException"), s3.S3EncryptionKeyError, "HIGHLIGHTS_S3_KMS_KEY_ID"),
        (
            refusal("AccessDenied", Message="not authorized to perform: kms:GenerateDataKey"),
            s3.S3EncryptionKeyError,
            "kms:GenerateDataKey",
        ),
        (refusal("BadDigest"), s3.S3DamagedError, "a proxy that changes uploads"),
        (refusal("NotImplemented", 501), s3.S3UnsupportedError, "HIGHLIGHTS_S3_TAGS=false"),
        (
            refusal("AuthorizationHeaderMalformed", Region="eu-west-1"),
            s3.S3WrongRegionError,
            "region eu-west-1, and requests are signed for us-east-1. Set AWS_REGION=eu-west-1.",
        ),
        (refusal("PermanentRedirect", 301), s3.S3WrongRegionError, "to the region of the bucket"),
        (refusal("Novel"), S3Error, "refuses PutObject on s3://media/clips: Novel: so it is."),
        (exceptions.NoCredentialsError(), s3.S3CredentialsError, "Give the task or machine a role"),
        (
            exceptions.EndpointConnectionError(endpoint_url="http://s3.test"),
            s3.S3UnreachableError,
            "AWS_ENDPOINT_URL_S3",
        ),
        (
            exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
            s3.S3UnreachableError,
            "cannot be reached",
        ),
        (
            exceptions.FlexibleChecksumError(error_msg="differs"),
            s3.S3DamagedError,
            "does not match its checksum",
        ),
        (exceptions.InvalidConfigError(error_msg="odd"), S3Error, "Check the AWS_* variables"),
    ],
    ids=lambda value: str(getattr(value, "response", {}).get("Error", {}).get("Code", "")) or None,
)
def test_an_error_says_what_to_do(error: Exception, expected: type[S3Error], words: str) -> None:
    meaning = s3_error(error, PLACE, region="us-east-1")
    assert type(meaning) is expected
    assert words in str(meaning)


def test_only_what_may_pass_by_itself_is_transient() -> None:
    transient = {each.__name__ for each in S3Error.__subclasses__() if each.is_transient}
    assert transient == {"S3DamagedError", "S3ThrottledError", "S3UnreachableError"}


def test_to_a_stream_an_error_of_s3_is_a_store_that_cannot_be_written() -> None:
    error = store_error(s3_error(refusal("AccessDenied"), PLACE, region="us-east-1"))
    assert isinstance(error, StoreUnavailableError)
    assert "clips" not in str(error)  # which bucket it is, is no business of the tenant
