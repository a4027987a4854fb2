"""Secrets of tenants, marked, are in no log line, no history and no error of the API."""

from __future__ import annotations

import logging
from uuid import UUID

import httpx
import pytest
import structlog
from pydantic import SecretStr
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

from domain.ids import stream_workflow_id
from infra.settings import Settings
from infra.telemetry import logs
from tests.fakes.hms_sender import connect
from tests.integration.api.conftest import Account

MARK = "mark-7f3a9c41e2b8"
STREAM = f"https://cdn.example.com/live/master.m3u8?token={MARK}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With payloads encrypted, and logs as they are in production."""
    keys = SecretStr(f"k1:{MARK * 2}")
    return settings.model_copy(update={"temporal_keys": keys, "log_format": "json"})


async def raw_history(client: Client, workflow_id: str) -> bytes:
    answer = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )
    return answer.history.SerializeToString()


async def test_no_marked_secret_leaves_by_log_history_or_error(
    account: Account,
    settings: Settings,
    temporal_client: Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure(settings, component="test")
    try:
        sender = await connect(account)
        started = await account.http.post("/v1/streams/analyze", json={"url": STREAM})
        assert started.status_code == 201, started.text
        received = await sender.send("hls.started.success", data={"url": STREAM})
        assert received.status_code == 200
        refused = await refusals(account, sender.event("hls.started.success"), sender.id)
        structlog.get_logger().warning("provoked", url=f"https://u:{MARK}@h/x?token={MARK}")
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    logged = capsys.readouterr().err
    assert "provoked" in logged
    workflow_id = stream_workflow_id(
        tenant_id=account.tenant_id, stream_id=UUID(started.json()["id"])
    )
    history = await raw_history(temporal_client, workflow_id)
    assert b"StreamWorkflow" in history
    assert b"cdn.example.com" not in history
    errors = "".join(each.text for each in refused)
    secrets = (MARK, account.key, *sender.secrets.values())
    header_name = sender.secrets["header_name"]
    for secret in set(secrets) - {header_name}:
        assert secret not in logged
        assert secret not in errors
        assert secret.encode() not in history


async def refusals(account: Account, event: bytes, connection: UUID) -> list[httpx.Response]:
    """Requests with marked secrets that are refused, each for another reason."""
    http = account.http
    hooks = {"url": f"https://user:{MARK}@hooks.example.com/x?token={MARK}", "event_types": []}
    answers = [
        await http.get("/v1/keys", headers={"Authorization": f"Bearer hl_live_{MARK}"}),
        await http.post(
            "/v1/streams/analyze", json={"url": f"http://u:{MARK}@10.0.0.1/x?token={MARK}"}
        ),
        await http.post("/v1/webhooks/subscribe", json=hooks),
        await http.post(
            f"/v1/webhooks/100ms/{connection}",
            content=event,
            headers={"Authorization": "", "X-100ms-Secret": MARK, "X-100ms-Signature": MARK},
        ),
        await http.post(
            "/v1/streams/analyze",
            content=f'{{"url": "https://h/x?token={MARK}',
            headers={"Content-Type": "application/json"},
        ),
    ]
    assert [each.status_code for each in answers if each.status_code < 400] == []
    return answers
