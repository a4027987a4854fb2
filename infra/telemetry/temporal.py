"""Telemetry of Temporal: correlation ids and traces across its calls, and the SDK's own metrics."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, NoReturn, Protocol

import structlog
from temporalio import activity, client, worker, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from domain.ids import ids_of_workflow
from infra.errors import PortTakenError
from infra.settings import Settings

CORRELATION_ID: Final = "correlation_id"
"""Key in log lines, and of the header of Temporal calls."""


def temporal_interceptors(settings: Settings) -> list[client.Interceptor]:
    """Return the interceptors for the Temporal client and, through it, its workers."""
    interceptors: list[client.Interceptor] = [CorrelationInterceptor()]
    if settings.otel_endpoint is not None:
        from temporalio.contrib.opentelemetry import TracingInterceptor

        interceptors.append(TracingInterceptor())
    return interceptors


def temporal_runtime(settings: Settings) -> Runtime:
    """Return the SDK's runtime: core logs into ours, metrics to Prometheus if an address is set.

    One is enough for a process; each holds a thread pool.

    Raises:
        PortTakenError: the address is in use, or not of this machine.
    """
    address = settings.temporal_metrics_address
    telemetry = TelemetryConfig(
        logging=LoggingConfig(
            filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
            forwarding=LogForwardingConfig(
                logger=logging.getLogger("temporalio.core"), prepend_target_on_message=False
            ),
        ),
        metrics=(
            PrometheusConfig(bind_address=address, durations_as_seconds=True) if address else None
        ),
    )
    try:
        return Runtime(telemetry=telemetry)
    except ValueError as error:
        raise PortTakenError(
            f"Metrics of the Temporal SDK cannot be served at {address}: {error}.",
            remedy="Stop the program that uses it, or choose another "
            "HIGHLIGHTS_TEMPORAL_METRICS_ADDRESS (an IP address and a port).",
        ) from error


class CorrelationInterceptor(client.Interceptor, worker.Interceptor):
    """Passes the correlation id on: caller, workflow, its activities and children, their calls.

    It travels in a header of each call, which histories keep and replay ignores. A workflow that
    was started without one (by a schedule, or by an older version) has its workflow id instead.
    In log lines of workflows and activities, the ids of workflow, tenant and subject are bound too.
    """

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:  # noqa: A002
        """Return what adds the header to calls of a client."""
        return _ClientOutbound(next)

    def intercept_activity(
        self,
        next: worker.ActivityInboundInterceptor,  # noqa: A002
    ) -> worker.ActivityInboundInterceptor:
        """Return what binds the ids of an activity."""
        return _ActivityInbound(next)

    def workflow_interceptor_class(
        self,
        input: worker.WorkflowInterceptorClassInput,  # noqa: A002, ARG002
    ) -> type[worker.WorkflowInboundInterceptor]:
        """Return what binds the ids of a workflow and adds the header to its calls."""
        return _WorkflowInbound


class _Call(Protocol):
    headers: Mapping[str, Payload]


def _add_header(call: _Call, correlation_id: str | None) -> None:
    if correlation_id is not None:
        (payload,) = PayloadConverter.default.to_payloads([correlation_id])
        call.headers = {**call.headers, CORRELATION_ID: payload}


def _read_header(headers: Mapping[str, Payload]) -> str | None:
    payload = headers.get(CORRELATION_ID)
    return None if payload is None else PayloadConverter.default.from_payload(payload, str)


def _bound_id() -> str | None:
    found: str | None = structlog.contextvars.get_contextvars().get(CORRELATION_ID)
    return found


class _ClientOutbound(client.OutboundInterceptor):
    async def start_workflow(
        self,
        input: client.StartWorkflowInput,  # noqa: A002
    ) -> client.WorkflowHandle[Any, Any]:
        _add_header(input, _bound_id())
        return await super().start_workflow(input)

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:  # noqa: A002
        _add_header(input, _bound_id())
        await super().signal_workflow(input)


class _ActivityInbound(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        info = activity.info()
        workflow_id = info.workflow_id or ""
        structlog.contextvars.bind_contextvars(
            correlation_id=_read_header(input.headers) or workflow_id,
            workflow_id=workflow_id,
            activity_type=info.activity_type,
            attempt=info.attempt,
            **ids_of_workflow(workflow_id),
        )
        return await super().execute_activity(input)


def _workflow_correlation() -> str:
    info = workflow.info()
    return _read_header(info.headers) or info.workflow_id


class _WorkflowInbound(worker.WorkflowInboundInterceptor):
    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound))

    # Each call is a task, whose context ends with it: nothing has to be unbound, which could not be
    # done where an evicted workflow is closed.
    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:  # noqa: A002, ANN401
        self._bind()
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:  # noqa: A002
        self._bind()
        await super().handle_signal(input)

    def _bind(self) -> None:
        workflow_id = workflow.info().workflow_id
        structlog.contextvars.bind_contextvars(
            correlation_id=_workflow_correlation(),
            workflow_id=workflow_id,
            **ids_of_workflow(workflow_id),
        )


class _WorkflowOutbound(worker.WorkflowOutboundInterceptor):
    def continue_as_new(self, input: worker.ContinueAsNewInput) -> NoReturn:  # noqa: A002
        _add_header(input, _workflow_correlation())
        super().continue_as_new(input)

    def start_activity(
        self,
        input: worker.StartActivityInput,  # noqa: A002
    ) -> workflow.ActivityHandle[Any]:
        _add_header(input, _workflow_correlation())
        return super().start_activity(input)

    async def start_child_workflow(
        self,
        input: worker.StartChildWorkflowInput,  # noqa: A002
    ) -> workflow.ChildWorkflowHandle[Any, Any]:
        _add_header(input, _workflow_correlation())
        return await super().start_child_workflow(input)
