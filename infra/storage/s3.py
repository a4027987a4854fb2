"""Amazon S3, or a server that speaks its protocol: locations, requests, and what went wrong.

Endpoint, region and credentials come from where every AWS program takes them: `AWS_*` variables,
`~/.aws`, the role of the task or machine. boto3 is imported with the first request, since loading
it takes half a second that a process without S3 need not spend.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import structlog

from domain.media.segments import StoredObject
from infra.telemetry.metrics import STORE_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = structlog.get_logger(__name__)

T = TypeVar("T")

S3Encryption = Literal["bucket", "sse-s3", "sse-kms"]

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX_PART: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9!_.()=-]+")


@dataclass(frozen=True)
class S3Location:
    """A part of a bucket: the objects whose keys begin with `prefix` and a slash; all for ""."""

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `s3://bucket/prefix`.

        Raises:
            ValueError: it is none; the message says what is allowed and does not repeat the URL.
        """
        form = "must be s3://bucket or s3://bucket/prefix"
        scheme, _, place = url.partition("://")
        bucket, _, prefix = place.partition("/")
        if scheme != "s3":
            raise ValueError(f"{form}, or a directory")
        if not _BUCKET.fullmatch(bucket) or ".." in bucket:
            raise ValueError(
                f"{form}: the name of a bucket has 3 to 63 lowercase letters, digits, dots and "
                "hyphens"
            )
        prefix = prefix.removesuffix("/")
        if prefix and not all(_PREFIX_PART.fullmatch(part) for part in prefix.split("/")):
            raise ValueError(
                f"{form}: a prefix is made of letters, digits and !_.()=- between single slashes"
            )
        return cls(bucket, prefix)

    def key(self, name: str) -> str:
        """Return the key of the object `name`."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def name(self, key: str) -> str:
        """Return the name of the object with the key `key`."""
        return key.removeprefix(f"{self.prefix}/") if self.prefix else key

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """How objects are written.

    Attributes:
        encryption: `bucket` for what the bucket does by default.
        kms_key_id: for `sse-kms`; None for the account's key for S3.
        tags: tag each object with its tenant and stream.
    """

    encryption: S3Encryption = "bucket"
    kms_key_id: str | None = None
    tags: bool = True


class S3Error(OSError):
    """S3 did not do what it was asked to. An OSError, as what a disk refuses is one.

    Its text is for operators: it names buckets.

    Attributes:
        message: what is wrong, in one sentence.
        remedy: what to do about it, in one sentence.
        is_transient: True if another attempt may succeed without a change by an operator.
    """

    is_transient = False

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


LONGEST_URL: Final = 7 * 86_400
"""Seconds for which a URL of S3 can be signed."""


class S3BucketMissingError(S3Error):
    """There is no such bucket."""


class S3ObjectMissingError(S3Error):
    """There is no such object."""


class S3WrongRegionError(S3Error):
    """The bucket is in another region than the one that requests are signed for."""


class S3AccessDeniedError(S3Error):
    """A policy denies the request."""


class S3CredentialsError(S3Error):
    """There are no credentials, or they are not valid."""


class S3ClockSkewError(S3Error):
    """The clock of this machine is wrong."""


class S3EncryptionKeyError(S3Error):
    """The KMS key cannot be used."""


class S3UnsupportedError(S3Error):
    """The server lacks something that we use."""


class S3ThrottledError(S3Error):
    """S3 asks for fewer requests, and went on to do so."""

    is_transient = True


class S3UnreachableError(S3Error):
    """S3 does not answer, or fails."""

    is_transient = True


class S3DamagedError(S3Error):
    """What was stored or read is not what was sent."""

    is_transient = True


_THREADS: Final = 16
_ATTEMPTS: Final = 4
_CONNECT_TIMEOUT: Final = 3.0
_READ_TIMEOUT: Final = 20.0
_AWS_HOSTS: Final = (".amazonaws.com", ".amazonaws.com.cn")


class S3Connection:
    """The boto3 client of a process, called in its own threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3")
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    async def call(self, work: Callable[[S3Client], T], location: S3Location) -> T:
        """Run `work` in a thread.

        Args:
            work: what to do with the client.
            location: what it is about, for the messages of errors.

        Raises:
            S3Error: S3 refused or failed after all attempts.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._run, work, location)

    async def close(self) -> None:
        """Close the connections; requests under way still end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _run(self, work: Callable[[S3Client], T], location: S3Location) -> T:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        region = "unknown"
        try:
            client = self._connected()
            region = _signed_region(client)
            return work(client)
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise s3_error(error, location, region=region) from error

    def _connected(self) -> S3Client:
        with self._lock:
            if self._client is None:
                self._client = _new_client()
            return self._client


def _new_client() -> S3Client:
    from boto3.session import Session
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    try:
        host = urlsplit(endpoint).hostname if endpoint else None
        is_aws = host is None or host.endswith(_AWS_HOSTS)
        session = Session()
        client: S3Client = session.client(
            "s3",
            # boto3 itself reads only AWS_DEFAULT_REGION.
            region_name=os.environ.get("AWS_REGION") or session.region_name,
            config=Config(
                signature_version="s3v4",
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_READ_TIMEOUT,
                max_pool_connections=_THREADS,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                # Other servers rarely have a host name for each bucket.
                s3={"addressing_style": "auto" if is_aws else "path"},
            ),
        )
        _measure(client)
    except ValueError as error:
        raise S3Error(
            f"The client of S3 cannot be made: {_sentence(error)}",
            "Check AWS_ENDPOINT_URL_S3 (a URL such as https://s3.example.com) and AWS_REGION.",
        ) from error
    return client


_BEGAN: Final = "highlights_began"


def _measure(client: S3Client) -> None:
    """Measure every request of a client, as its caller sees it: with the library's retries."""

    def begin(context: dict[str, Any], **_: object) -> None:
        context[_BEGAN] = time.perf_counter()

    def observe(context: dict[str, Any], operation: str, outcome: str) -> None:
        seconds = time.perf_counter() - context.get(_BEGAN, time.perf_counter())
        STORE_SECONDS.labels(operation, outcome).observe(seconds)

    def answered(
        http_response: Any,  # noqa: ANN401 botocore's
        model: Any,  # noqa: ANN401
        context: dict[str, Any],
        **_: object,
    ) -> None:
        status = http_response.status_code
        is_refused = status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.NOT_FOUND
        observe(context, model.name, "refused" if is_refused else "done")

    def failed(context: dict[str, Any], event_name: str, **_: object) -> None:
        observe(context, event_name.rpartition(".")[2], "unreachable")

    client.meta.events.register("before-call.s3", begin)
    client.meta.events.register("after-call.s3", answered)
    client.meta.events.register("after-call-error.s3", failed)


_MULTIPART_FROM: Final = 64 << 20
"""Bytes. Below, one request is as fast as several, and its response proves what was stored."""

_PART: Final = 8 << 20
_CHUNK: Final = 1 << 20
_DELETED_AT_ONCE: Final = 1000
_PROBE: Final = ".highlights/probe/"  # named as what is stored, so that it is tagged


class S3Bucket:
    """The objects at a location, by their names below its prefix.

    Args:
        connection: of the process.
        location: where they are.
        options: how they are written.
    """

    def __init__(
        self, connection: S3Connection, location: S3Location, options: S3Options | None = None
    ) -> None:
        self.location = location
        self._connection = connection
        self._options = options or S3Options()

    async def put(
        self, name: str, source: bytes | Path, *, verify: bool = False, **headers: str
    ) -> None:
        """Store bytes or a file, whole or not at all, replacing what was there.

        S3 compares the object with the CRC-32 that is sent with it. A file of 64 MiB or more is
        sent in parts, and its size and CRC-32 are read back. Parts that a killed process has left
        under this name are deleted before.

        Args:
            name: of the object.
            source: what to store.
            verify: read them back too if the response does not repeat the CRC-32: such a server
                may not have compared anything.
            headers: further parameters of PutObject, such as `ContentType`.

        Raises:
            S3Error: it was not stored.
        """
        key = self.location.key(name)
        parameters = {**self._write_parameters(name), **headers}

        def work(client: S3Client) -> None:
            size, checksum = _size_and_crc32(source)
            extra = {**parameters, "ChecksumCRC32": checksum}
            if isinstance(source, Path) and size >= _MULTIPART_FROM:
                self._abort_uploads(client, key)
                _put_parts(client, self.location.bucket, key, source, extra)
            else:
                compared = _put_whole(client, self.location.bucket, key, source, extra)
                if not verify or compared == checksum:
                    return
            self._compare(client, key, size=size, checksum=checksum)

        await self._call(work)

    async def read(self, name: str) -> bytes:
        """Return an object.

        Raises:
            S3ObjectMissingError: there is none.
            S3Error: it cannot be read.
        """
        key = self.location.key(name)

        def work(client: S3Client) -> bytes:
            body: bytes = client.get_object(Bucket=self.location.bucket, Key=key)["Body"].read()
            return body

        return await self._call(work)

    async def download(self, name: str, target: Path) -> None:
        """Write an object to a file, which is deleted again if that fails.

        Raises:
            S3ObjectMissingError: there is none.
            S3Error: it cannot be read.
            OSError: the file cannot be written.
        """
        key = self.location.key(name)

        def work(client: S3Client) -> None:
            body = client.get_object(Bucket=self.location.bucket, Key=key)["Body"]
            try:
                with target.open("wb") as file:
                    for chunk in body.iter_chunks(_CHUNK):
                        file.write(chunk)
            except BaseException:
                target.unlink(missing_ok=True)
                raise

        await self._call(work)

    async def exists(self, name: str) -> bool:
        """Return True if there is an object with this name."""
        key = self.location.key(name)

        def work(client: S3Client) -> bool:
            client.head_object(Bucket=self.location.bucket, Key=key)
            return True

        try:
            return await self._call(work)
        except S3ObjectMissingError:
            return False

    async def list(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with `prefix`, sorted."""
        return sorted(each.key for each in await self.objects(prefix))

    async def objects(self, prefix: str) -> Sequence[StoredObject]:
        """Return the objects whose names (`{tenant}/{stream}/…`) begin with `prefix`."""
        now = time.time()
        return [
            StoredObject.at(
                self.location.name(each["Key"]),
                each["Size"],
                now - each["LastModified"].timestamp(),
            )
            for page in await self._pages(prefix)
            for each in page.get("Contents", ())
        ]

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return what stands between `prefix` and the next slash in the names of objects."""
        start = self.location.key(prefix)
        return [
            each["Prefix"].removeprefix(start).rstrip("/")
            for page in await self._pages(prefix, delimiter="/")
            for each in page.get("CommonPrefixes", ())
        ]

    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects; one that is not there is no error."""
        keys = [self.location.key(name) for name in names]

        def work(client: S3Client) -> None:
            for start in range(0, len(keys), _DELETED_AT_ONCE):
                some = keys[start : start + _DELETED_AT_ONCE]
                answer = client.delete_objects(
                    Bucket=self.location.bucket,
                    Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
                )
                for error in answer.get("Errors", ()):
                    raise _by_code(
                        _Failure(
                            self.location,
                            operation="DeleteObject",
                            region=_signed_region(client),
                            code=error.get("Code", ""),
                            detail=error.get("Message", ""),
                        )
                    )

        if keys:
            await self._call(work)

    async def abort_uploads(self, prefix: str) -> None:
        """Delete the parts of unfinished uploads of objects whose names begin with `prefix`.

        A bucket that does not let us list them is left to its lifecycle rule.

        Raises:
            S3Error: it failed.
        """

        def work(client: S3Client) -> None:
            self._abort_uploads(client, self.location.key(prefix))

        await self._call(work)

    async def presigned_url(self, name: str, *, seconds: int, head: bool = False) -> str:
        """Return a URL that reads an object without credentials.

        Args:
            name: of the object, which need not exist.
            seconds: for which the URL works; at most as long as our credentials do.
            head: sign for HEAD instead of GET.

        Raises:
            S3CredentialsError: there is nothing to sign with.
        """
        parameters = {"Bucket": self.location.bucket, "Key": self.location.key(name)}
        operation: Literal["head_object", "get_object"] = "head_object" if head else "get_object"

        def work(client: S3Client) -> str:
            return client.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds)

        return await self._call(work)

    async def examine(self) -> str:
        """Check what the stores need by doing it: list, write, read and delete a probe object.

        Returns:
            What was found, in a few words.

        Raises:
            S3Error: one of them is not possible.
        """

        def work(client: S3Client) -> str:
            bucket, prefix = self.location.bucket, self.location.key(_PROBE)
            answer = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
            # botocore follows a bucket to its region; a URL that we sign cannot.
            region = _signed_region(client)
            actual = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
            if actual != region:
                raise _wrong_region(self.location, actual=actual, signed=region)
            return region

        region = await self._call(work)
        probe = _PROBE + os.urandom(8).hex()  # others may check at the same time
        await self.put(probe, b"written by `highlights` to check that it can", verify=True)
        await self.read(probe)
        await self.delete([probe])
        tags = "" if self._options.tags else "no "
        return f"S3 in {region}, encryption: {self._options.encryption}, {tags}tags"

    async def _pages(self, prefix: str, *, delimiter: str = "") -> Sequence[Mapping[str, Any]]:
        bucket, start = self.location.bucket, self.location.key(prefix)
        return await self._call(
            lambda client: list(
                client.get_paginator("list_objects_v2").paginate(
                    Bucket=bucket, Prefix=start, Delimiter=delimiter
                )
            )
        )

    async def _call(self, work: Callable[[S3Client], T]) -> T:
        return await self._connection.call(work, self.location)

    def _write_parameters(self, name: str) -> dict[str, str]:
        options = self._options
        parameters: dict[str, Any] = {}
        if options.encryption == "sse-s3":
            parameters["ServerSideEncryption"] = "AES256"
        elif options.encryption == "sse-kms":
            parameters |= {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True}
            if options.kms_key_id is not None:
                parameters["SSEKMSKeyId"] = options.kms_key_id
        tenant, _, rest = name.partition("/")
        stream, _, rest = rest.partition("/")
        if options.tags and rest:
            parameters["Tagging"] = urlencode({"tenant": tenant, "stream": stream})
        return parameters

    def _abort_uploads(self, client: S3Client, prefix: str) -> None:
        from botocore.exceptions import ClientError

        bucket = self.location.bucket
        try:
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for upload in [each for page in pages for each in page.get("Uploads", ())]:
                client.abort_multipart_upload(
                    Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == "AccessDenied":
                _log.warning("unfinished_uploads_not_listed", location=str(self.location))
            elif code != "NoSuchUpload":  # another process was quicker
                raise

    def _compare(self, client: S3Client, key: str, *, size: int, checksum: str) -> None:
        found = client.head_object(Bucket=self.location.bucket, Key=key, ChecksumMode="ENABLED")
        if found["ContentLength"] != size or found.get("ChecksumCRC32", checksum) != checksum:
            client.delete_object(Bucket=self.location.bucket, Key=key)
            raise S3DamagedError(
                f"What {self.location} stored under {key} is not what was sent, and was deleted.",
                "Look for a proxy that changes uploads.",
            )


def _size_and_crc32(source: bytes | Path) -> tuple[int, str]:
    size, checksum = 0, 0
    for chunk in [source] if isinstance(source, bytes) else _chunks(source):
        size += len(chunk)
        checksum = zlib.crc32(chunk, checksum)
    return size, base64.b64encode(checksum.to_bytes(4, "big")).decode()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk


def _put_whole(
    client: S3Client, bucket: str, key: str, source: bytes | Path, parameters: Mapping[str, Any]
) -> str | None:
    """Store an object with one request; return the CRC-32 that the server compared, if any."""
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as body:
        answer = client.put_object(Bucket=bucket, Key=key, Body=body, **parameters)
    return answer.get("ChecksumCRC32")


def _put_parts(
    client: S3Client, bucket: str, key: str, source: Path, parameters: Mapping[str, Any]
) -> None:
    from boto3.s3.transfer import TransferConfig, create_transfer_manager

    config = TransferConfig(multipart_threshold=_MULTIPART_FROM, multipart_chunksize=_PART)
    with create_transfer_manager(client, config) as manager:
        manager.upload(str(source), bucket, key, extra_args=dict(parameters)).result()


@dataclass(frozen=True)
class _Failure:
    """A failed request, as far as it is known."""

    location: S3Location
    operation: str
    region: str
    code: str = ""
    detail: str = ""
    bucket_region: str = ""
    """Region of the bucket, where S3 tells."""


def s3_error(error: Exception, location: S3Location, *, region: str) -> S3Error:
    """Return what an error of boto3 means, and what to do about it."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        said = error.response.get("Error", {})
        metadata = error.response.get("ResponseMetadata", {})
        headers = metadata.get("HTTPHeaders", {})
        failure = _Failure(
            location,
            operation=error.operation_name,
            region=region,
            code=str(said.get("Code", "")),
            detail=str(said.get("Message", "")),
            bucket_region=headers.get("x-amz-bucket-region") or str(said.get("Region", "")),
        )
        return _by_code(failure, status=metadata.get("HTTPStatusCode", 0))
    if isinstance(
        error,
        exceptions.NoCredentialsError
        | exceptions.PartialCredentialsError
        | exceptions.CredentialRetrievalError
        | exceptions.ProfileNotFound,
    ):
        return S3CredentialsError(
            f"There are no AWS credentials for {location}: {_sentence(error)}",
            "Give the task or machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if isinstance(error, exceptions.FlexibleChecksumError):
        return S3DamagedError(
            f"What was read from {location} does not match its checksum.",
            "Look for a proxy that changes downloads.",
        )
    if isinstance(
        error,
        exceptions.HTTPClientError | exceptions.ConnectionError | exceptions.IncompleteReadError,
    ):
        return S3UnreachableError(
            f"S3 cannot be reached for {location}: {_sentence(error)}",
            "Check the network, and AWS_ENDPOINT_URL_S3 if it is set.",
        )
    return S3Error(
        f"{location} cannot be used: {_sentence(error)}", "Check the AWS_* variables and ~/.aws."
    )


@dataclass(frozen=True)
class _Meaning:
    """What some codes of S3 mean; the texts are formats of a failure's facts."""

    codes: frozenset[str]
    error: type[S3Error]
    message: str
    remedy: str

    def of(self, failure: _Failure) -> S3Error:
        facts = {
            "bucket": failure.location.bucket,
            "place": str(failure.location),
            "operation": failure.operation,
            "detail": _detail(failure),
        }
        return self.error(self.message.format_map(facts), self.remedy.format_map(facts))


_KMS: Final = _Meaning(
    frozenset(),
    S3EncryptionKeyError,
    "The KMS key for {place} cannot be used: {detail}",
    "Check HIGHLIGHTS_S3_KMS_KEY_ID, that the key is enabled, and that our role may "
    "kms:GenerateDataKey and kms:Decrypt.",
)
_SERVER_FAULT: Final = _Meaning(
    frozenset(),
    S3UnreachableError,
    "S3 fails on {operation} for {place}: {detail}",
    "Wait, and look at the status page of the server.",
)
_OTHER: Final = _Meaning(
    frozenset(),
    S3Error,
    "S3 refuses {operation} on {place}: {detail}",
    "Look for the code in the error responses of the S3 API reference.",
)
_MEANINGS: Final = (
    _Meaning(
        frozenset({"NoSuchBucket"}),
        S3BucketMissingError,
        "Bucket {bucket} does not exist.",
        "Create it, or correct the name.",
    ),
    _Meaning(
        frozenset({"404", "NoSuchKey", "NotFound"}),
        S3ObjectMissingError,
        "{operation} found no such object in {place}.",
        "It was deleted or never stored.",
    ),
    _Meaning(
        frozenset({"403", "AccessDenied", "AllAccessDisabled", "Forbidden"}),
        S3AccessDeniedError,
        "S3 denies {operation} on {place}: {detail}",
        "Allow it in the policies of our role and of the bucket, as docs/storage.md shows.",
    ),
    _Meaning(
        frozenset(
            {
                *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken"),
                *("SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException"),
            }
        ),
        S3CredentialsError,
        "S3 does not accept our AWS credentials for {place}: {detail}",
        "Renew them, or check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
    ),
    _Meaning(
        frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"}),
        S3ClockSkewError,
        "The clock of this machine is wrong: S3 refuses requests that differ from its own by more "
        "than 15 minutes.",
        "Synchronize the clock, with chrony or systemd-timesyncd.",
    ),
    _Meaning(
        frozenset(
            {
                *("429", "503", "BandwidthLimitExceeded", "RequestLimitExceeded", "SlowDown"),
                *("Throttling", "ThrottlingException", "TooManyRequests"),
            }
        ),
        S3ThrottledError,
        f"S3 still asks for fewer requests to {{place}} after {_ATTEMPTS} attempts.",
        "Wait: S3 adapts to a new load within minutes. If it lasts, give each store its own bucket "
        "or prefix.",
    ),
    _Meaning(
        frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"}),
        S3DamagedError,
        "S3 received something else than was sent to {place}: {detail}",
        "Look for a proxy that changes uploads.",
    ),
    _Meaning(
        frozenset({"InvalidArgument", "NotImplemented"}),
        S3UnsupportedError,
        "The server of {place} refuses {operation}: {detail}",
        "If it has no object tags, set HIGHLIGHTS_S3_TAGS=false.",
    ),
)
_ELSEWHERE: Final = frozenset(
    {
        *("301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
        *("PermanentRedirect", "TemporaryRedirect"),
    }
)
_FIRST_SERVER_FAULT: Final = 500


def _by_code(failure: _Failure, *, status: int = 0) -> S3Error:
    """Return the error that the code of an answer stands for."""
    if failure.code in _ELSEWHERE:
        return _wrong_region(failure.location, actual=failure.bucket_region, signed=failure.region)
    if failure.code.startswith("KMS.") or "kms:" in failure.detail:
        return _KMS.of(failure)
    fallback = _SERVER_FAULT if status >= _FIRST_SERVER_FAULT else _OTHER
    return next((each for each in _MEANINGS if failure.code in each.codes), fallback).of(failure)


def _wrong_region(location: S3Location, *, actual: str, signed: str) -> S3WrongRegionError:
    return S3WrongRegionError(
        f"Bucket {location.bucket} is in region {actual or 'unknown'}, and requests are signed for "
        f"{signed}.",
        f"Set AWS_REGION={actual}." if actual else "Set AWS_REGION to the region of the bucket.",
    )


def _signed_region(client: S3Client) -> str:
    region = client.meta.region_name
    return "us-east-1" if region == "aws-global" else region


def _detail(failure: _Failure) -> str:
    return f"{failure.code or 'no code'}: {failure.detail or 'no message'}".rstrip(".") + "."


def _sentence(error: Exception) -> str:
    return str(error).strip().rstrip(".") + "."
