"""The Temporal client: connection, data converter and state of workflow executions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError
from temporalio.api.failure.v1 import Failure
from temporalio.client import (
    Client,
    Interceptor,
    KeepAliveConfig,
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from domain.ids import SearchAttribute
from domain.streams.messages import StreamWorkflowResult
from domain.streams.reconciliation import ExecutionState
from infra.errors import NotConfiguredError, SetupError, StartFailedError
from infra.redaction import redact
from infra.settings import Settings
from infra.telemetry.temporal import temporal_interceptors, temporal_runtime
from infra.temporal.codec import PayloadEncryption

_log = structlog.get_logger(__name__)

CONNECT_TIMEOUT: Final = timedelta(seconds=10)

REFUSALS: Final = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.OUT_OF_RANGE})
"""Answers of the workflow service after which a retry does not help."""


SDK_SETTLES: Final = 0.2
"""Seconds in which the SDK's threads leave Python after the last answer: one that is still in it
when the interpreter ends aborts the process (temporalio/sdk-python issue 300). Commands wait."""


class RedactingFailureConverter(DefaultFailureConverter):
    """Writes failures into histories without secrets: their messages, tracebacks and causes."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write an exception."""
        super().to_failure(exception, payload_converter, failure)
        for each in _causes(failure):
            each.message = redact(each.message)
            each.stack_trace = redact(each.stack_trace)


_ENCODED: Final = "Encoded failure"  # what other SDKs write, and the Temporal UI looks for


class EncodingFailureConverter(RedactingFailureConverter):
    """Moves messages and tracebacks into payloads as well, so that they are encrypted.

    The SDK's own `encode_common_attributes` moves them before they are redacted, and leaves those
    of causes in plain text if a failure is passed on.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write an exception."""
        super().to_failure(exception, payload_converter, failure)
        for each in _causes(failure):
            if each.message != _ENCODED:
                text = {"message": each.message, "stack_trace": each.stack_trace}
                each.encoded_attributes.CopyFrom(payload_converter.to_payloads([text])[0])
                each.message, each.stack_trace = _ENCODED, ""


def _causes(failure: Failure) -> Iterator[Failure]:
    """Return a failure and its causes, the outermost first."""
    yield failure
    while failure.HasField("cause"):
        failure = failure.cause
        yield failure


def data_converter(settings: Settings) -> DataConverter:
    """Return how values become payloads: pydantic's JSON, encrypted if there are keys."""
    keys = settings.payload_keys()
    if not keys:
        return replace(pydantic_data_converter, failure_converter_class=RedactingFailureConverter)
    return replace(
        pydantic_data_converter,
        failure_converter_class=EncodingFailureConverter,
        payload_codec=PayloadEncryption(keys),
    )


async def connect(
    settings: Settings,
    *,
    interceptors: Sequence[Interceptor] = (),
    runtime: Runtime | None = None,
    patience: timedelta = CONNECT_TIMEOUT,
) -> Client:
    """A connected client that converts pydantic models.

    Args:
        settings: address, namespace and credentials.
        interceptors: such as tracing; workers made from the client inherit them.
        runtime: where the SDK's core sends its logs and metrics.
        patience: how long to wait for the server.

    Raises:
        NotConfiguredError: no address is set, or a certificate has no key.
        StartFailedError: the server does not answer.
    """
    address = settings.temporal_address
    if address is None:
        raise NotConfiguredError(
            "No Temporal server is configured.",
            remedy="Set TEMPORAL_ADDRESS, or start everything with `highlights dev`.",
        )
    try:
        return await asyncio.wait_for(
            Client.connect(
                address,
                namespace=settings.temporal_namespace,
                api_key=_api_key(settings),
                tls=_tls(settings),
                data_converter=data_converter(settings),
                interceptors=interceptors,
                runtime=runtime,
                keep_alive_config=KeepAliveConfig(),
            ),
            timeout=patience.total_seconds(),
        )
    except (RuntimeError, TimeoutError) as error:
        raise StartFailedError(
            f"Temporal at {address} does not answer: {error or 'timed out'}.",
            remedy="Check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and the credentials.",
        ) from error


def _api_key(settings: Settings) -> str | None:
    return settings.temporal_api_key.get_secret_value() if settings.temporal_api_key else None


def _tls(settings: Settings) -> TLSConfig | bool:
    certificate = settings.temporal_tls_client_cert_path
    key = settings.temporal_tls_client_key_path
    if (certificate is None) != (key is None):
        raise NotConfiguredError(
            "Mutual TLS needs both a certificate and its key.",
            remedy="Set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH.",
        )
    authority = settings.temporal_tls_server_ca_cert_path
    name = settings.temporal_tls_server_name
    if certificate or authority or name:
        return TLSConfig(
            server_root_ca_cert=_pem(authority),
            domain=name,
            client_cert=_pem(certificate),
            client_private_key=_pem(key),
        )
    return settings.temporal_tls or settings.temporal_api_key is not None


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotConfiguredError(
            f"{path} cannot be read: {error.strerror}.",
            remedy="Check the TEMPORAL_TLS_* paths.",
        ) from error


_LAZY_CONNECT_TIMEOUT: Final = timedelta(seconds=3)


class TemporalUnavailableError(Exception):
    """The workflow service does not answer, or none is configured; a retry may help."""


class TemporalRefusedError(TemporalUnavailableError):
    """The workflow service rejects the request; a retry does not help."""


def temporal_error(error: RPCError) -> TemporalUnavailableError:
    """Return what an error of the workflow service means for its caller."""
    _log.warning("temporal unavailable", status=str(error.status), error=error.message)
    if error.status in REFUSALS:
        return TemporalRefusedError(f"the workflow service refuses: {error.message}")
    return TemporalUnavailableError("the workflow service does not answer")


@contextmanager
def if_running() -> Iterator[None]:
    """Send a request to a workflow, and do nothing if it has ended or never was.

    Raises:
        TemporalUnavailableError: the workflow service does not answer, or refuses.
    """
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise temporal_error(error) from error


def keyword_attributes(values: Mapping[SearchAttribute, str]) -> TypedSearchAttributes:
    """Return search attributes, all of the type keyword."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
            for name, value in values.items()
        ]
    )


class TemporalConnection:
    """A client of Temporal that is made when first needed, so that the API starts without it."""

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        self._settings = settings
        self._client = client
        self._connecting = asyncio.Lock()

    async def client(self) -> Client:
        """Return the client; once connected it reconnects automatically.

        Raises:
            TemporalUnavailableError: Temporal does not answer, or none is configured.
        """
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await connect(
                        self._settings,
                        interceptors=temporal_interceptors(self._settings),
                        runtime=(
                            temporal_runtime(self._settings)
                            if self._settings.temporal_metrics_address
                            else None
                        ),
                        patience=_LAZY_CONNECT_TIMEOUT,
                    )
                except SetupError as error:
                    raise TemporalUnavailableError(str(error)) from error
            return self._client


def connected(client: Client) -> Callable[[], Awaitable[Client]]:
    """Return a client that is there already, for those who can wait for one."""

    async def given() -> Client:
        return client

    return given


_RPC_TIMEOUT: Final = timedelta(seconds=5)
_EXECUTION_STATES: Final = {
    WorkflowExecutionStatus.RUNNING: ExecutionState.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: ExecutionState.RUNNING,
    WorkflowExecutionStatus.COMPLETED: ExecutionState.COMPLETED,
    WorkflowExecutionStatus.FAILED: ExecutionState.FAILED,
    WorkflowExecutionStatus.CANCELED: ExecutionState.CANCELED,
    WorkflowExecutionStatus.TERMINATED: ExecutionState.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: ExecutionState.TIMED_OUT,
}


class WorkflowExecutions:
    """Reads the state of workflow executions.

    Args:
        client: gives Temporal's client, or raises TemporalUnavailableError.
    """

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client

    async def state(self, workflow_id: str) -> ExecutionState:
        """Return the state of the latest run of a workflow.

        Raises:
            TemporalUnavailableError: Temporal does not answer. That is not MISSING.
        """
        client = await self._client()
        try:
            found = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return ExecutionState.MISSING
            raise TemporalUnavailableError(
                f"the workflow service does not answer: {error.message}"
            ) from error
        # A status that this SDK does not know is none of a lost execution.
        return _EXECUTION_STATES.get(
            found.status or WorkflowExecutionStatus.RUNNING, ExecutionState.RUNNING
        )

    async def running(self, tenant_id: UUID) -> AsyncIterator[str]:
        """Yield the ids of the tenant's workflows that run. A new one may be missing for a moment.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        query = f"{SearchAttribute.TENANT_ID} = '{tenant_id}' AND ExecutionStatus = 'Running'"
        try:
            async for each in client.list_workflows(query, rpc_timeout=_RPC_TIMEOUT):
                yield each.id
        except RPCError as error:
            raise TemporalUnavailableError(
                f"the workflow service does not answer: {error.message}"
            ) from error

    async def stream_result(self, workflow_id: str) -> StreamWorkflowResult | None:
        """Return the end of the stream from the result of its closed workflow; None if it has none.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        handle = client.get_workflow_handle(workflow_id, result_type=StreamWorkflowResult)
        try:
            result: StreamWorkflowResult = await handle.result(rpc_timeout=_RPC_TIMEOUT)
        except WorkflowFailureError as error:
            cause = error.cause
            details = cause.details if isinstance(cause, ApplicationError) else ()
            try:
                return StreamWorkflowResult.model_validate(details[0]) if details else None
            except ValidationError:
                return None
        except WorkflowContinuedAsNewError:
            return None
        except RPCError as error:
            raise TemporalUnavailableError(
                f"the workflow service does not answer: {error.message}"
            ) from error
        return result
