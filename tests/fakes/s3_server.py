"""A real S3 server (versitygw) that keeps its buckets in a directory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.dev.supervisor import free_ports
from infra.child_process import ChildProcess

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "eu-central-1"
_DEADLINE: Final = 60.0
_POLL_INTERVAL: Final = 0.05


class S3Server:
    """`versitygw` on a port of its own, with an account `owner` and an account `stranger`.

    The stranger may sign requests, and owns and may read no bucket.
    """

    def __init__(self, program: Path, directory: Path) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = program
        self.directory = directory
        self._process: ChildProcess | None = None
        self._client: S3Client | None = None

    def start(self) -> None:
        """Start it and wait until it answers. It keeps buckets and accounts over a stop."""
        is_first = not (self.directory / "accounts").exists()
        for name in ("buckets", "metadata", "accounts"):
            (self.directory / name).mkdir(exist_ok=True)
        argv = [str(self._program), "--port", f"127.0.0.1:{self.port}", "--region", REGION]
        argv += ["--access", "owner", "--secret", "owner-secret", "--quiet", "--keep-alive"]
        argv += ["--iam-dir", str(self.directory / "accounts")]
        argv += ["posix", "--sidecar", str(self.directory / "metadata")]
        argv += [str(self.directory / "buckets")]
        self._process = ChildProcess(argv, log=self.directory / "s3.log")
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            if not self._process.running() or time.monotonic() > deadline:
                pytest.fail(f"the S3 server does not start: {self._process.last_words()}")
            time.sleep(_POLL_INTERVAL)
        if is_first:
            self._create_stranger()

    def stop(self) -> None:
        """Stop it; idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def environment(self, account: str = "owner") -> Mapping[str, str]:
        """Return the variables of a process that uses the server with this account."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": f"{account}-secret",
        }

    def client(self) -> S3Client:
        """Return the owner's client, which makes one attempt."""
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> S3Client:
        client: S3Client = Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="owner",
            aws_secret_access_key="owner-secret",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        return client

    def make_bucket(self) -> str:
        """Make a new bucket and return its name."""
        name = f"test-{uuid4().hex}"
        self.client().create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return name

    def _answers(self) -> bool:
        try:
            self.client().list_buckets()
        except BotoCoreError:
            return False
        return True

    def _create_stranger(self) -> None:
        argv = [str(self._program), "admin", "--access", "owner", "--secret", "owner-secret"]
        argv += ["--region", REGION, "--endpoint-url", self.url]
        argv += ["create-user", "--access", "stranger", "--secret", "stranger-secret"]
        subprocess.run([*argv, "--role", "user"], check=True, capture_output=True, timeout=60)


@cache
def cdn_private_key() -> str:
    """Return a private key for a CDN, as PEM; the same one for the whole process."""
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def find_s3_server(home: Path) -> Path:
    """The program; a test that asks for it where there is none is skipped."""
    found = sorted((home / "tools").glob("s3_server-*/bin/versitygw"))
    if not found:
        pytest.skip("no S3 server here: it needs Go (bin/locked-tools s3_server)")
    return found[-1]
