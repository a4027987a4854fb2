"""`highlights doctor --remote`: whether each configured server can be used, tried out from here."""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import httpx
from aio_pika.exceptions import AMQPError
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from app.doctor import Finding, examine_gemini, without_secrets
from domain import task_queues
from domain.ids import SearchAttribute
from infra.amqp.relay import EXCHANGE
from infra.db.engine import database_address
from infra.db.inspection import DatabaseAccess, inspect_access
from infra.db.migration import compare_schema, newest_revision, summary
from infra.db.tls import InvalidTlsError, tls_problem
from infra.errors import SetupError
from infra.settings import Settings
from infra.storage.s3 import S3Bucket, S3Connection, S3Error, S3Location
from infra.temporal.client import SDK_SETTLES, connect

MAX_SKEW: Final = 5.0
"""Seconds that clocks may differ: a `Date` header has whole seconds, and answers take time."""

_CHECK_TIMEOUT: Final = 60.0
_RPC_TIMEOUT: Final = timedelta(seconds=10)
_HTTP_TIMEOUT: Final = httpx.Timeout(10.0)
_ANSWER_TIMEOUT: Final = 10.0
_SCRATCH: Final = "doctor"
_CONTENT: Final = b"written by `highlights doctor --remote`, and deleted"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REFUSALS: Final = frozenset({401, 403})

_Check = Callable[[Settings, "ClockOffsets"], Awaitable[list[Finding]]]


@dataclass
class ClockOffsets:
    """Seconds by which the clocks of servers are ahead of ours, by server."""

    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, server: str, response: httpx.Response) -> None:
        """Take the clock of an HTTP server from its answer, if it has a `Date`."""
        try:
            date = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return
        # The header has whole seconds: on average it is half a second behind.
        self.seconds[server] = (date - datetime.now(UTC)).total_seconds() + 0.5

    def finding(self) -> Finding:
        """What the comparison shows."""
        if not self.seconds:
            return Finding("Clock", "optional", advice="no server answered with its time")
        server, offset = max(self.seconds.items(), key=lambda each: abs(each[1]))
        shown = f"{offset:+.1f} s at most ({server})"
        if abs(offset) <= MAX_SKEW:
            return Finding("Clock", "ok", shown)
        advice = "signatures and tokens fail: synchronize the clock of this machine (NTP)"
        return Finding("Clock", "missing", shown, advice=advice)


async def examine_remote(settings: Settings) -> list[Finding]:
    """Try each configured server, all at the same time. Whatever is written is deleted again."""
    clocks = ClockOffsets()
    checks: tuple[tuple[str, _Check], ...] = (
        ("Database", _database),
        ("S3", _stores),
        ("RabbitMQ", _rabbitmq),
        ("Redis", _redis),
        ("Temporal", _temporal),
        ("Gemini", _gemini),
        ("100ms", _hms),
    )
    found = await asyncio.gather(*(_limited(*each, settings, clocks) for each in checks))
    findings = [finding for group in found for finding in group]
    await asyncio.sleep(SDK_SETTLES)
    return [without_secrets(each) for each in (*findings, clocks.finding())]


async def _limited(
    name: str, check: _Check, settings: Settings, clocks: ClockOffsets
) -> list[Finding]:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            return await check(settings, clocks)
    except TimeoutError:
        return [Finding(name, "missing", advice=f"no answer within {_CHECK_TIMEOUT:.0f} s")]


async def _database(settings: Settings, clocks: ClockOffsets) -> list[Finding]:
    if settings.database_url is None:
        return [Finding("Database", "missing", advice="set DATABASE_URL")]
    url = settings.database_url.get_secret_value()
    where = database_address(url)
    try:
        access = await inspect_access(url)
        schema = await compare_schema(url)
    except SetupError as error:
        return [Finding("Database", "missing", where, advice=str(error))]
    except (OSError, SQLAlchemyError, InvalidTlsError) as error:
        problem = tls_problem(error)
        advice = (
            f"{_innermost(error)}: check DATABASE_URL, the server and its firewall"
            if problem is None
            else str(problem)
        )
        name = "Database" if problem is None else "Database: TLS"
        return [Finding(name, "missing", where, advice=advice)]
    clocks.seconds["database"] = access.clock_offset
    return [
        _encryption(access, where),
        _role(access),
        Finding(
            "Database: row security",
            "missing" if access.unprotected else "ok",
            advice=f"no forced policy on {', '.join(access.unprotected)}: run `highlights migrate`"
            if access.unprotected
            else "",
        ),
        Finding(
            "Database: schema",
            "ok" if schema.matches else "missing",
            version=newest_revision() if schema.matches else "",
            advice=""
            if schema.matches
            else f"run `highlights migrate`: the schema lacks {summary(schema.missing)}",
        ),
    ]


def _encryption(access: DatabaseAccess, where: str) -> Finding:
    place = where.rpartition("/")[0]
    host = place.rpartition(":")[0] or place
    if access.is_verified:
        return Finding("Database: TLS", "ok", where, "the certificate is verified")
    if access.is_encrypted:
        advice = "any server would be accepted: add ?sslmode=verify-full&sslrootcert=FILE"
        return Finding("Database: TLS", "optional", where, "encrypted", advice=advice)
    if where.startswith("/") or host in _LOCAL:
        return Finding("Database: TLS", "ok", where, "not needed on the same machine")
    advice = "passwords and rows are sent in plain text: add ?sslmode=verify-full to DATABASE_URL"
    return Finding("Database: TLS", "missing", where, advice=advice)


def _role(access: DatabaseAccess) -> Finding:
    problems = []
    if access.is_superuser:
        problems.append("is a superuser")
    if access.bypasses_row_security:
        problems.append("has BYPASSRLS")
    if access.owned:
        problems.append(f"owns {len(access.owned)} tables ({access.owned[0]}, …)")
    if not problems:
        return Finding("Database: role", "ok", access.role, "owns nothing, bound by row security")
    advice = f"the role {', '.join(problems)}: use the one of deploy/compose/roles.sql"
    return Finding("Database: role", "missing", access.role, advice=advice)


async def _stores(settings: Settings, clocks: ClockOffsets) -> list[Finding]:
    connection = S3Connection()
    try:
        return [
            await _store(name, location, settings, connection, clocks)
            for name, location in (
                ("S3: segments", settings.segment_location()),
                ("S3: clips", settings.clip_location()),
            )
        ]
    finally:
        await connection.close()


async def _store(
    name: str,
    location: Path | S3Location,
    settings: Settings,
    connection: S3Connection,
    clocks: ClockOffsets,
) -> Finding:
    where = str(location)
    if isinstance(location, Path):
        return Finding(name, "optional", where, advice="a directory: other machines cannot read it")
    bucket = S3Bucket(connection, location, settings.s3_options())
    probe = f"{_SCRATCH}/{uuid4()}"
    try:
        await bucket.put(probe, _CONTENT, verify=True)
        try:
            is_whole = await bucket.read(probe) == _CONTENT
            url = await bucket.presigned_url(probe, seconds=60)
            async with httpx.AsyncClient(timeout=_HTTP_TIMEOUT) as http:
                response = await http.get(url)
        finally:
            await bucket.delete([probe])
    except S3Error as error:
        return Finding(name, "missing", where, advice=f"{error.message} {error.remedy}")
    except httpx.HTTPError as error:
        advice = f"the signed URL cannot be reached: {type(error).__name__}"
        return Finding(name, "missing", where, advice=advice)
    clocks.note("S3", response)
    if not is_whole or response.content != _CONTENT:
        advice = f"the signed URL gives status {response.status_code}, not the object"
        return Finding(name, "missing", where, advice=advice)
    return Finding(name, "ok", where, "written, read, read by signed URL, deleted")


async def _rabbitmq(settings: Settings, _clocks: ClockOffsets) -> list[Finding]:
    if settings.amqp_url is None:
        return [
            Finding("RabbitMQ", "optional", advice="set AMQP_URL for lifecycle events and jobs")
        ]
    url = settings.amqp_url.get_secret_value()
    where = _address(settings.amqp_url)
    try:
        connection = await aio_pika.connect(url, timeout=_ANSWER_TIMEOUT)
        async with connection:
            channel = await connection.channel(on_return_raises=True)
            await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            await channel.default_exchange.publish(
                aio_pika.Message(_CONTENT), routing_key=queue.name, timeout=_ANSWER_TIMEOUT
            )
            await (await queue.get(timeout=_ANSWER_TIMEOUT)).ack()
    except (AMQPError, OSError, TimeoutError) as error:
        advice = f"{_innermost(error)}: check AMQP_URL, and the user's rights in its virtual host"
        return [Finding("RabbitMQ", "missing", where, advice=advice)]
    return [Finding("RabbitMQ", "ok", where, "declared, published with confirmation, received")]


async def _redis(settings: Settings, _clocks: ClockOffsets) -> list[Finding]:
    if settings.redis_url is None:
        return [Finding("Redis", "optional", advice="set REDIS_URL for shared rate limits")]
    where = _address(settings.redis_url)
    client = Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=_ANSWER_TIMEOUT,
        socket_connect_timeout=_ANSWER_TIMEOUT,
    )
    try:
        await client.eval("return 1", 0)  # type: ignore[misc] # as rate limits are counted
    except (RedisError, OSError) as error:
        advice = f"{_innermost(error)}: check REDIS_URL, and that the user may run scripts"
        return [Finding("Redis", "missing", where, advice=advice)]
    finally:
        await client.aclose()
    return [Finding("Redis", "ok", where, "runs scripts")]


async def _temporal(settings: Settings, _clocks: ClockOffsets) -> list[Finding]:
    where = f"{settings.temporal_address}, namespace {settings.temporal_namespace}"
    try:
        client = await connect(settings)
    except SetupError as error:
        return [Finding("Temporal", "missing", where, advice=str(error))]
    try:
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=_RPC_TIMEOUT
        )
    except RPCError as error:
        advice = f"{error.message}: check TEMPORAL_NAMESPACE and the rights of the credentials"
        return [Finding("Temporal", "missing", where, advice=advice)]
    retention = described.config.workflow_execution_retention_ttl.ToTimedelta()
    keys = settings.payload_keys()
    return [
        Finding("Temporal", "ok", where, f"retention {retention.days} days"),
        Finding(
            "Temporal: encryption",
            "ok" if keys else "optional",
            version=f"key {next(iter(keys))}" if keys else "",
            advice="" if keys else "set HIGHLIGHTS_TEMPORAL_KEYS to encrypt what Temporal stores",
        ),
        await _search_attributes(client),
        *[await _pollers(client, queue) for queue in task_queues.ALL],
    ]


async def _search_attributes(client: Client) -> Finding:
    name = "Temporal: search attributes"
    try:
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=_RPC_TIMEOUT
        )
    except RPCError as error:
        advice = f"they cannot be listed ({error.message}); look at the namespace's page"
        return Finding(name, "optional", advice=advice)
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    lacking = [each for each in SearchAttribute if answer.custom_attributes.get(each) != keyword]
    if not lacking:
        return Finding(name, "ok", version=", ".join(SearchAttribute))
    create = " ".join(f"--name {each} --type Keyword" for each in lacking)
    only_title = lacking == [SearchAttribute.STREAM_TITLE]
    return Finding(
        name,
        "optional" if only_title else "missing",
        advice=f"run `temporal operator search-attribute create {create}`",
    )


async def _pollers(client: Client, queue: str) -> Finding:
    name = f"Temporal: {queue}"
    try:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
                if queue == task_queues.ORCHESTRATION
                else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            ),
            timeout=_RPC_TIMEOUT,
        )
    except RPCError as error:
        return Finding(name, "missing", advice=f"{error.message}: check the credentials' rights")
    pollers = {each.identity for each in answer.pollers}
    if not pollers:
        advice = "no worker polls it: start one that has it in HIGHLIGHTS_WORKER_QUEUES"
        return Finding(name, "missing", advice=advice)
    return Finding(name, "ok", version=f"{len(pollers)} workers in the last five minutes")


async def _gemini(settings: Settings, _clocks: ClockOffsets) -> list[Finding]:
    return [await asyncio.to_thread(examine_gemini, settings)]


async def _hms(settings: Settings, clocks: ClockOffsets) -> list[Finding]:
    """Ask 100ms without a key, which it must refuse: keys belong to tenants' connections."""
    url = settings.hms_api_url
    try:
        async with httpx.AsyncClient(timeout=_HTTP_TIMEOUT) as http:
            response = await http.get(f"{url.rstrip('/')}/v2/live-streams")
    except httpx.HTTPError as error:
        advice = f"cannot be reached ({type(error).__name__}): missed webhooks are not found"
        return [Finding("100ms", "optional", url, advice=advice)]
    clocks.note("100ms", response)
    if response.status_code not in _REFUSALS:
        advice = f"answers {response.status_code} without a key: check HIGHLIGHTS_HMS_API_URL"
        return [Finding("100ms", "optional", url, advice=advice)]
    return [Finding("100ms", "ok", url, "answers")]


def _address(url: SecretStr) -> str:
    parts = urlsplit(url.get_secret_value())
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or parts.path}{port}"


def _innermost(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().rstrip(".") or type(error).__name__
