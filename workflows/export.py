"""ExportWorkflow: renders the renditions of one export, and records them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.interfaces import Exports
    from domain import task_queues
    from domain.exports.models import (
        ExportInput,
        ExportRecord,
        ExportStatus,
        RenderedExport,
        RenderedRendition,
        RenderExportInput,
        outcome,
    )
    from workflows import steps

_INTERNAL = "The rendition could not be made because of an internal error of ours. Try it again."
_ALONE_AT_A_TIME = 2


@workflow.defn(name="ExportWorkflow")
class ExportWorkflow:
    """Renders one export. The workflow id is derived from the export's id, so it runs once."""

    @workflow.init
    def __init__(self, request: ExportInput) -> None:
        self._spec = request.spec
        self._timing = request.timing
        self._all = tuple(range(1, len(request.spec.renditions) + 1))

    @workflow.run
    async def run(self, request: ExportInput) -> ExportStatus:  # noqa: ARG002 -- see __init__
        """Render and record. A rendition that cannot be made is a result, not an error.

        If the export was deleted or is canceled meanwhile, all its files are deleted.
        """
        try:
            return await self._make()
        except (ActivityError, asyncio.CancelledError) as error:
            if is_cancelled_exception(error):
                await asyncio.shield(self._discard())
                raise
            if not _is_unwanted(error):
                raise
            await self._delete(self._all)
            return ExportStatus.CANCELLED

    async def _make(self) -> ExportStatus:
        await self._record(ExportStatus.RUNNING)
        results = await self._render_all()
        status, message = outcome(results)
        # What a killed worker had stored of a rendition that failed in the end.
        if failed := [each.number for each in results if each.status is ExportStatus.FAILED]:
            await self._delete(failed)
        await self._record(status, results, message)
        return status

    async def _render_all(self) -> Sequence[RenderedRendition]:
        """Render everything together, which decodes the source once; if that fails, each alone."""
        try:
            return (await self._render(self._all)).renditions
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("export failed", extra={"cause": steps.cause_of(error)})
            if len(self._all) == 1 or _is_final(error):
                return [self._failed(number, error) for number in self._all]
        slots = asyncio.Semaphore(_ALONE_AT_A_TIME)

        async def alone(number: int) -> RenderedRendition:
            async with slots:
                try:
                    return (await self._render([number])).renditions[0]
                except ActivityError as error:
                    if is_cancelled_exception(error):
                        raise
                    return self._failed(number, error)

        return await asyncio.gather(*map(alone, self._all))

    def _failed(self, number: int, error: ActivityError) -> RenderedRendition:
        message = steps.tenant_message(error, otherwise=_INTERNAL)
        return RenderedRendition(number=number, message=message)

    async def _render(self, numbers: Sequence[int]) -> RenderedExport:
        timing = self._timing
        rendering = workflow.start_activity_method(
            Exports.render_export,
            RenderExportInput(spec=self._spec, numbers=tuple(numbers)),
            task_queue=task_queues.RENDER,
            start_to_close_timeout=timedelta(seconds=timing.render_timeout),
            heartbeat_timeout=timedelta(seconds=timing.heartbeat_timeout),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=timing.retry_interval),
                maximum_attempts=timing.attempts,
            ),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{len(numbers)} renditions",
        )
        return await steps.outcome_of(rendering)

    async def _discard(self) -> None:
        await self._delete(self._all)
        try:
            await self._record(ExportStatus.CANCELLED)
        except ActivityError as error:
            if not _is_unwanted(error):
                raise

    async def _delete(self, numbers: Iterable[int]) -> None:
        await workflow.execute_activity_method(
            Exports.delete_export,
            RenderExportInput(spec=self._spec, numbers=tuple(numbers)),
            task_queue=task_queues.RENDER,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
            summary="no longer wanted",
        )

    async def _record(
        self,
        status: ExportStatus,
        renditions: Sequence[RenderedRendition] = (),
        message: str = "",
    ) -> None:
        await workflow.execute_activity_method(
            Exports.record_export,
            ExportRecord(
                tenant_id=self._spec.tenant_id,
                export_id=self._spec.id,
                status=status,
                renditions=tuple(renditions),
                message=message[: steps.LONGEST],
            ),
            task_queue=task_queues.IO,
            start_to_close_timeout=steps.BRIEF,
            retry_policy=steps.UNTIL_DONE,
            summary=status,
        )


def _is_unwanted(error: BaseException) -> bool:
    cause = error.__cause__
    return isinstance(cause, ApplicationError) and cause.type == steps.RECORD_MISSING


def _is_final(error: ActivityError) -> bool:
    """Return True if the source itself is at fault, so that no rendition can be made of it."""
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.non_retryable
