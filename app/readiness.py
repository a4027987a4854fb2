"""Whether the parts of the embedded stack answer, and what they need before they can.

Apart from `app.stack`, since all that is imported here takes a second to load: the stack's
processes are started before.
"""

from __future__ import annotations

from pathlib import Path

import httpx
from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from domain.task_queues import ORCHESTRATION
from infra.bootstrap import TenantKey, ensure_dev_tenant
from infra.database import Database
from infra.embedded.home import signing_secret, usable
from infra.errors import StartFailedError
from infra.migration import migrate
from infra.settings import Settings
from infra.temporal import connect


class Readiness:
    """Questions to the parts of one stack.

    Args:
        settings: where the parts are.
        directory: the state directory.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._client: Client | None = None

    async def prepare_database(self) -> TenantKey:
        """Bring the tables up to date and return the development tenant's key.

        Raises:
            StartFailedError: the tables cannot be brought up to date.
        """
        owner = self._settings.database_owner_url
        try:
            if owner is not None:
                await migrate(owner.get_secret_value())
            return await self._development_tenant()
        except (CommandError, SQLAlchemyError) as error:
            raise StartFailedError(
                f"The tables could not be brought up to date: {_first_line(error)}",
                remedy="Run the version of this program that wrote the database, or restore the "
                f"database from a backup. The logs are in {self._directory / 'logs'}.",
            ) from error

    async def _development_tenant(self) -> TenantKey:
        database = Database(plain(self._settings.database_url), pool_size=1)
        try:
            with usable(self._directory):
                return await ensure_dev_tenant(
                    database, secret=signing_secret(self._settings), directory=self._directory
                )
        finally:
            await database.close()

    async def temporal_answers(self) -> bool:
        """Return True once Temporal can be connected to."""
        try:
            self._client = await connect(self._settings)
        except StartFailedError:
            return False
        return True

    async def worker_polls(self) -> bool:
        """Return True once a worker waits for workflow tasks."""
        if self._client is None:
            self._client = await connect(self._settings)
        answer = await self._client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=self._settings.temporal_namespace,
                task_queue=TaskQueue(name=ORCHESTRATION),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        return len(answer.pollers) > 0

    async def api_answers(self) -> bool:
        """Return True once the API is ready."""
        url = f"http://{self._settings.api_host}:{self._settings.api_port}/readyz"
        async with httpx.AsyncClient() as client:
            try:
                response = await client.get(url)
            except httpx.TransportError:
                return False
        return response.status_code == httpx.codes.OK


def plain(secret: SecretStr | None) -> str:
    """Return a secret's text; an empty one for None."""
    return secret.get_secret_value() if secret is not None else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
