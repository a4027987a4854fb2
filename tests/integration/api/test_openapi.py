"""The OpenAPI document, and that the API keeps to it under generated requests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from api.application import create_app
from domain.access import Scope
from infra.bootstrap import create_key
from infra.database import Database
from infra.embedded.postgres import DatabaseUrls
from infra.settings import Settings
from tests.conftest import run_apart
from tests.integration.api.conftest import SECRET

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """The API in uvicorn, on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def key(postgres: DatabaseUrls) -> str:
    async def make() -> str:
        database = Database(postgres.application, pool_size=1)
        made = await create_key(
            database, secret=SECRET.encode(), slug=f"t-{uuid4()}", name="t", scopes=(Scope.ADMIN,)
        )
        await database.close()
        return made.key.value

    return run_apart(make())


@pytest.fixture
def document(api_url: str) -> OpenApiSchema:
    return schemathesis.openapi.from_url(f"{api_url}/openapi.json")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/streams/analyze"),
        ("GET", "/v1/streams"),
        ("GET", "/v1/streams/{stream_id}"),
        ("POST", "/v1/streams/{stream_id}/stop"),
        ("GET", "/v1/highlights/list"),
        ("GET", "/v1/highlights/{highlight_id}"),
        ("GET", "/v1/clips/{clip_id}"),
        ("GET", "/v1/clips/{clip_id}/download"),
        ("GET", "/v1/clips/{clip_id}/thumbnail"),
        ("GET", "/v1/profiles"),
        ("POST", "/v1/profiles/match"),
        ("GET", "/v1/profiles/{profile_id}"),
        ("GET", "/v1/profiles/{profile_id}/override"),
        ("PUT", "/v1/profiles/{profile_id}/override"),
        ("DELETE", "/v1/profiles/{profile_id}/override"),
        ("GET", "/v1/profiles/{profile_id}/override/history"),
        ("POST", "/v1/connections"),
        ("GET", "/v1/connections"),
        ("GET", "/v1/connections/{connection_id}"),
        ("PATCH", "/v1/connections/{connection_id}"),
        ("DELETE", "/v1/connections/{connection_id}"),
        ("POST", "/v1/connections/{connection_id}/rotate"),
        ("GET", "/v1/connections/{connection_id}/events"),
        ("POST", "/v1/webhooks/100ms"),
        ("POST", "/v1/webhooks/100ms/{connection_id}"),
    ],
)
def test_generated_requests_are_answered_as_documented(
    document: OpenApiSchema, key: str, method: str, path: str
) -> None:
    @hypothesis_settings(
        max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=document[path][method].as_strategy())
    def answers_as_documented(case: Case[Any]) -> None:
        case.call_and_validate(
            headers={"Authorization": f"Bearer {key}"}, checks=CHECKS, timeout=30
        )

    answers_as_documented()


async def test_every_operation_has_an_id_a_tag_and_a_description(
    anonymous: httpx.AsyncClient,
) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    for operation in operations:
        assert operation["tags"]
        assert operation["description"]


async def test_every_problem_in_the_document_refers_to_the_schema(
    anonymous: httpx.AsyncClient,
) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    assert {"ProblemDocument", "FieldProblem"} <= set(document["components"]["schemas"])
    problems = [
        response["content"]
        for path in document["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        if int(status) >= 400 and operation["operationId"] != "getReadiness"
    ]
    assert problems
    for content in problems:
        reference = content["application/problem+json"]["schema"]["$ref"]
        assert reference == "#/components/schemas/ProblemDocument"
