"""Invalidation of what CloudFront has cached."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT_TIMEOUT: Final = 5.0
_READ_TIMEOUT: Final = 20.0
_ATTEMPTS: Final = 4
_COMPLETED: Final = "Completed"


class CdnError(Exception):
    """CloudFront did not accept a request. The text is for operators."""


class CdnInvalidation(NamedTuple):
    """An invalidation of CloudFront; once it is completed, no edge has a copy from before it."""

    id: str
    is_completed: bool


class CloudFrontInvalidator:
    """Removes files from the caches of a CloudFront distribution.

    Credentials come from where every AWS program takes them.

    Args:
        distribution_id: of the distribution.
        base_url: of the distribution, and of the path below which the files are.
    """

    def __init__(self, *, distribution_id: str, base_url: str) -> None:
        self._distribution_id = distribution_id
        self._path = urlsplit(base_url).path.rstrip("/")

    async def invalidate(self, prefix: str, *, reference: str) -> CdnInvalidation:
        """Remove everything whose name begins with `prefix` from all edges.

        Args:
            prefix: of the names of files.
            reference: of the request. The same reference with the same prefix is the same
                invalidation, whose progress is returned.

        Raises:
            CdnError: CloudFront refused, or could not be reached.
        """
        batch = {
            "Paths": {"Quantity": 1, "Items": [f"{self._path}/{quote(prefix)}*"]},
            "CallerReference": reference,
        }

        def work(client: Any) -> CdnInvalidation:  # noqa: ANN401 - boto3 makes it at runtime
            made = client.create_invalidation(
                DistributionId=self._distribution_id, InvalidationBatch=batch
            )["Invalidation"]
            return CdnInvalidation(id=made["Id"], is_completed=made["Status"] == _COMPLETED)

        return await asyncio.to_thread(self._call, work)

    def _call(self, work: Callable[[Any], CdnInvalidation]) -> CdnInvalidation:
        # Loading boto3 takes half a second, which only deletions need to spend.
        from boto3.exceptions import Boto3Error
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        session = Session()
        try:
            client = session.client(
                "cloudfront",
                region_name=os.environ.get("AWS_REGION") or session.region_name or "us-east-1",
                config=Config(
                    connect_timeout=_CONNECT_TIMEOUT,
                    read_timeout=_READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                ),
            )
            try:
                return work(client)
            finally:
                client.close()
        except (Boto3Error, BotoCoreError, ClientError) as error:
            raise CdnError(
                f"CloudFront distribution {self._distribution_id} cannot be invalidated: {error}. "
                "Check HIGHLIGHTS_CLIP_CDN_DISTRIBUTION_ID, and that our role may "
                "cloudfront:CreateInvalidation."
            ) from error
