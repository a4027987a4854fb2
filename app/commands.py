"""Bodies of `highlights explain`, `reanalyze` and `reconcile`, and database access for commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy

from app.container import Container
from app.services.highlights import explanation_of
from app.services.registry import ServiceRegistry
from app.services.tenants import tenant_id_of
from app.settings import read_settings, require_database
from domain import task_queues
from domain.ids import backfill_workflow_id
from domain.streams.messages import RecordingReady
from domain.streams.reconciliation import ReconcileExecutionsInput, ReconcileExecutionsReport
from domain.streams.status import TERMINAL
from infra.db.repositories import beams, highlights, streams
from infra.errors import AlreadyRunningError, NotConfiguredError, SetupError, StartFailedError
from infra.settings import Settings
from infra.state_directory import StateDirectory
from infra.temporal.client import SDK_SETTLES, TemporalUnavailableError, connect
from workflows.reconcile import ReconcileExecutionsWorkflow

T = TypeVar("T")


def choose_tenant(settings: Settings, slug: str | None) -> UUID:
    """Return the tenant with this short name, or that of the running `highlights dev`.

    Raises:
        NotConfiguredError: there is no name, and nothing runs.
    """
    if slug is not None:
        return tenant_id_of(slug)
    running = StateDirectory(settings.state_path()).running()
    if running is None or running.tenant_id is None:
        raise NotConfiguredError(
            "It is not known which tenant is meant, since no `highlights dev` is running.",
            remedy="Name the tenant by --tenant, as with `highlights keys create`.",
        )
    return UUID(running.tenant_id)


def with_services(work: Callable[[ServiceRegistry], Awaitable[T]]) -> T:
    """Run `work` with the services of this installation, or of the running `highlights dev`.

    Raises:
        NotConfiguredError: neither has a database.
    """
    settings = require_database(read_settings())

    async def run() -> T:
        async with Container(settings) as container:
            return await work(container.services)

    return asyncio.run(run())


async def explain_highlight(
    services: ServiceRegistry, *, tenant_id: UUID, highlight_id: UUID
) -> tuple[str, ...] | None:
    """Return the explanation of a decision in lines; None if the tenant has no such highlight."""
    async with services.database.session(tenant_id) as session:
        row = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
    if row is None:
        return None
    pinned = await services.pinned.find(tenant_id, row.profile_id, row.profile_version)
    return explanation_of(row, pinned)


async def reanalyze(
    services: ServiceRegistry, *, tenant_id: UUID, stream_id: UUID, recording: str | None
) -> str | None:
    """Start the analysis of a finished stream from its recording.

    Args:
        services: of this installation.
        tenant_id: the tenant.
        stream_id: the stream, which has ended.
        recording: URL of the recording's VOD playlist; None takes the one the source announced.

    Returns:
        The id of the workflow; None if the tenant has no such stream.

    Raises:
        SetupError: it cannot be started now, or not without a URL; the remedy states what to do.
    """
    async with services.database.session(tenant_id) as session:
        stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
        announced = await beams.recording_of(session, tenant_id=tenant_id, stream_id=stream_id)
    if stream is None:
        return None
    if stream.status not in TERMINAL:
        raise NotConfiguredError(
            f"The stream is {stream.status}: only one that is over can be analyzed again.",
            remedy="Wait for its end, or stop it.",
        )
    url = recording or (announced.url if announced is not None else None)
    if url is None:
        raise NotConfiguredError(
            "The stream's source has announced no recording.",
            remedy="Pass the URL of its VOD playlist with --recording.",
        )
    try:
        started = await services.starter.backfill(stream, RecordingReady(url=url), again=True)
    except TemporalUnavailableError as error:
        raise SetupError(str(error), remedy="See `highlights doctor`.") from error
    if not started:
        raise AlreadyRunningError(
            "The stream is being filled from its recording.", remedy="Try again when that is over."
        )
    return backfill_workflow_id(tenant_id=tenant_id, stream_id=stream_id)


_LONGEST: Final = timedelta(minutes=10)


async def reconcile_now(settings: Settings) -> ReconcileExecutionsReport:
    """Run one reconciliation pass on a worker, and return what it repaired.

    Raises:
        NotConfiguredError: no Temporal is configured.
        StartFailedError: Temporal does not answer, or no worker made the pass in time.
    """
    client = await connect(settings)
    try:
        return await client.execute_workflow(
            ReconcileExecutionsWorkflow.run,
            ReconcileExecutionsInput(),
            id="execution-reconcile-now",
            task_queue=task_queues.ORCHESTRATION,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            execution_timeout=_LONGEST,
            static_summary="Repair what has lost its workflow, on demand",
        )
    except WorkflowFailureError as error:
        raise StartFailedError(
            "No worker has compared rows and workflows in time.",
            remedy="Check that a worker runs (`highlights doctor`).",
        ) from error
    finally:
        await asyncio.sleep(SDK_SETTLES)
