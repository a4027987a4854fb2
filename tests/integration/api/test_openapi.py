"""The OpenAPI document, and that the API keeps to it under generated requests.

`EXTERNAL_EXAMPLES` is how many requests of each kind are made to each operation; `make external`
makes many. Two of schemathesis's checks are left out: `positive_data_acceptance`, since no schema
says which ids exist, and `object_level_authorization`, since it needs a second identity
(`test_isolation.py` has one). Those in `LINKED` compare the requests of a sequence.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.generation.stateful import run_state_machine_as_test
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ensure_resource_availability,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
    use_after_free,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from temporalio.client import Client

from api.openapi.document import LINKS
from app.dev.postgres import DatabaseUrls
from app.dev.temporal import TemporalServer
from app.services.api_keys import create_key
from domain.tenants.keys import Scope
from infra.db.engine import Database
from tests.conftest import run_apart
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import SECRET, api_settings, serving
from tests.openapi import Documented, operations

EXAMPLES = int(os.environ.get("EXTERNAL_EXAMPLES", "3"))
SCENARIOS = max(60, 12 * EXAMPLES)
STEPS = 8
PATIENCE = 60.0
PLAYLIST = "https://cdn.example.com/beam/1/room/master.m3u8"
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
    allow_header_conformance,
]
LINKED = [use_after_free, ensure_resource_availability]


@pytest.fixture(scope="module")
def api_url(
    postgres: DatabaseUrls,
    temporal_server: TemporalServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The API in uvicorn, on a port of its own, for all tests of this file."""
    root = tmp_path_factory.mktemp("api")
    settings = api_settings(
        postgres, temporal_server, clips=root / "clips", segments=root / "segments"
    )
    # Every scenario is refused now and then, and all come from one address.
    patient = settings.model_copy(
        update={
            "address_refusals_per_minute": 100_000,
            "events_lifetime": 0.1,
            "events_interval": 0.05,
        }
    )
    with serving(patient) as url:
        yield url


@pytest.fixture
def new_key(postgres: DatabaseUrls) -> Callable[[], str]:
    """Makes keys of one tenant that has a stream, a highlight and a clip."""
    slug = f"t-{uuid4()}"

    async def make(*, with_rows: bool = False) -> str:
        database = Database(postgres.application, pool_size=1)
        made = await create_key(
            database, secret=SECRET.encode(), slug=slug, name="t", scopes=(Scope.ADMIN,)
        )
        if with_rows:
            stream = await new_stream(database, made.tenant_id)
            highlight = await new_highlight(database, made.tenant_id, stream)
            await new_clip(database, made.tenant_id, stream, highlight)
        await database.close()
        return made.key.value

    run_apart(make(with_rows=True))
    return lambda: run_apart(make())


@pytest.fixture
def key(new_key: Callable[[], str]) -> str:
    return new_key()


@pytest.fixture(scope="module")
def document(api_url: str) -> OpenApiSchema:
    return schemathesis.openapi.from_url(f"{api_url}/openapi.json", timeout=PATIENCE)


@pytest.fixture
def links(api_url: str) -> OpenApiSchema:
    """The document for scenarios: our own links only, none guessed."""
    raw = httpx.get(f"{api_url}/openapi.json", timeout=PATIENCE).json()
    # It is taken for the id of something that no operation makes, and so no stream would be made.
    del raw["components"]["schemas"]["AnalyzeRequest"]["properties"]["external_id"]
    own_links: dict[str, Any] = {"phases": {"stateful": {"inference": {"algorithms": []}}}}
    schema = schemathesis.openapi.from_dict(raw, config=SchemathesisConfig.from_dict(own_links))
    schema.config.update(base_url=api_url)
    return schema


@pytest.mark.parametrize("operation", operations().values(), ids=operations().keys())
def test_generated_requests_are_answered_as_documented(
    document: OpenApiSchema, key: str, operation: Documented
) -> None:
    """Requests that keep to the document, that break it, and at the edges of what it allows."""
    documented = document[operation.path][operation.method]
    # The document describes the body of events as text; schemathesis compares each event with it.
    sends_events = "text/event-stream" in operation.success().get("200", {}).get("content", {})
    checks = [each for each in CHECKS if not (sends_events and each is response_schema_conformance)]

    def validate(case: Case[Any]) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        case.call_and_validate(headers=headers, checks=checks, timeout=30)

    modes = [GenerationMode.POSITIVE]
    if operation.spec.get("parameters") or operation.spec.get("requestBody"):
        modes.append(GenerationMode.NEGATIVE)
    for mode in modes:
        random = given(case=documented.as_strategy(generation_mode=mode))(validate)
        hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(random)()
    edges = list(
        document.iter_coverage_cases(
            documented, generation_modes=modes, generation_config=document.config.generation
        )
    )
    # The same few each time, from all over the list.
    for case in edges[:: math.ceil(len(edges) / EXAMPLES)]:
        validate(case)


async def test_sequences_along_the_links_are_answered_as_documented(
    links: OpenApiSchema, new_key: Callable[[], str], workflows: Client
) -> None:
    answered: set[str] = set()

    class Scenario(links.as_state_machine()):  # type: ignore[misc] # made at run time
        def setup(self) -> None:
            # Each scenario has its own, since it may revoke it.
            self.headers = {"Authorization": f"Bearer {new_key()}"}

        def before_call(self, case: Case[Any]) -> None:
            # No generated URL is that of a playlist, so that no stream would ever be started.
            if operation_id(case) == "analyzeStream" and isinstance(case.body, dict):
                case.body = {"url": PLAYLIST, "title": "Cup final"}

        def get_call_kwargs(self, _case: Case[Any]) -> dict[str, Any]:
            return {"headers": self.headers, "timeout": 30}

        def after_call(self, response: Response, case: Case[Any]) -> None:
            super().after_call(response, case)
            if response.status_code < httpx.codes.MULTIPLE_CHOICES:
                answered.add(operation_id(case))

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            case.validate_response(
                response, checks=CHECKS + LINKED, headers=self.headers, recorder=self.recorder
            )

    # In another thread, so that the workflows' worker goes on in this one.
    await asyncio.to_thread(
        run_state_machine_as_test,
        Scenario,
        settings=hypothesis_settings(
            max_examples=SCENARIOS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert answered & {link.to for links in LINKS.values() for link in links}


def operation_id(case: Case[Any]) -> str:
    found: str = case.operation.definition.raw["operationId"]
    return found


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
