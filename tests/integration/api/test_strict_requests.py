"""What no operation can mean is refused alike by all: text, numbers, names, methods, parameters."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from infra.settings import Settings
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem
from tests.openapi import Documented, operations

JSON = {"Content-Type": "application/json"}
FOREIGN = {"receiveConnectionEvent", "receiveWorkspaceEvent"}
OURS = {name: each for name, each in operations().items() if name not in FOREIGN}
WITH_BODY = {name: each for name, each in OURS.items() if each.body_schema() is not None}
NONE = "00000000-0000-4000-8000-000000000000"
TIMES = [
    (each, parameter)
    for each in OURS.values()
    for parameter, spec in each.parameters("query").items()
    if "date-time" in json.dumps(spec["schema"])
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of a tenant that may be refused as often as it likes."""
    return settings.model_copy(
        update={"address_refusals_per_minute": 100_000, "default_plan": "enterprise"}
    )


def path_of(operation: Documented) -> str:
    path = operation.path
    for name, spec in operation.parameters("path").items():
        example = {"profile_id": "soccer", "kind": "analyzed_seconds"}.get(name, NONE)
        path = path.replace(f"{{{name}}}", str(spec.get("example", example)))
    return path


async def test_text_that_cannot_be_encoded_again_is_pointed_at(account: Account) -> None:
    bodies = {
        r'{"a": {"b~/": ["x", "\ud800"]}}': "/a/b~0~1/1",
        r'{"a": "\u0000"}': "/a",
        r'{"\udfff": 1}': "/\ufffd",
        '{"a": 1e400}': "/a",
        '{"a": [9223372036854775808]}': "/a/0",
        '{"a": -' + "9" * 5000 + "}": "/a",
    }
    for operation in WITH_BODY.values():
        for body, pointer in bodies.items():
            response = await account.http.request(
                operation.method, path_of(operation), content=body, headers=JSON
            )
            problem = assert_problem(response, 422, "invalid_request")
            assert [each["pointer"] for each in problem["errors"]] == [pointer], body


async def test_a_body_that_is_no_json_that_means_one_thing(account: Account) -> None:
    bodies = [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "b": {"c": 1, "c": 2}}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        b'{"a": 01}',
        b"nul",
        "{}".encode("utf-16"),
    ]
    for body in bodies:
        response = await account.http.post("/v1/streams/analyze", content=body, headers=JSON)
        assert_problem(response, 400, "malformed_json")


async def test_half_a_pair_and_another_half_are_one_character(account: Account) -> None:
    body = rb'{"text": "\ud83d\ude00 football"}'
    response = await account.http.post("/v1/profiles/match", content=body, headers=JSON)
    assert response.status_code == 200


GUESSED: list[tuple[str, dict[str, Any], str]] = [
    ("analyzeStream", {"options": {"max_height": True}}, "/options/max_height"),
    ("analyzeStream", {"options": {"max_height": 720.0}}, "/options/max_height"),
    ("analyzeStream", {"options": {"max_height": "720"}}, "/options/max_height"),
    ("analyzeStream", {"options": {"window_duration": "4"}}, "/options/window_duration"),
    ("analyzeStream", {"options": {"captions": 1}}, "/options/captions"),
    ("analyzeStream", {"options": {"captions": "yes"}}, "/options/captions"),
    ("analyzeStream", {"title": 5}, "/title"),
    ("analyzeStream", {"game": " "}, "/game"),
    ("analyzeStream", {"external_id": ""}, "/external_id"),
    ("createKey", {"expires_at": 4_000_000_000}, "/expires_at"),
    ("createKey", {"expires_at": "4000000000"}, "/expires_at"),
    ("createKey", {"expires_at": "2126-01-01"}, "/expires_at"),
    ("createKey", {"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
    ("createKey", {"expires_at": "0001-01-01T00:00:00+14:00"}, "/expires_at"),
    ("rotateKey", {"overlap": True}, "/overlap"),
    ("rotateKey", {"overlap": 60.0}, "/overlap"),
    ("rotateWebhookSecret", {"overlap": "60"}, "/overlap"),
    ("giveFeedback", {"correction": {"start": True, "end": 2}}, "/correction/start"),
    ("giveFeedback", {"correction": {"start": 1, "end": "2"}}, "/correction/end"),
    ("putBudget", {"monthly": True}, "/monthly"),
    ("replayEvents", {"from": "2026", "to": "2026-05-02T20:00:00Z"}, "/from"),
    ("createConnection", {"checks": {"timestamp_tolerance": True}}, "/checks/timestamp_tolerance"),
    ("createConnection", {"checks": {"source": 1}}, "/checks/source"),
    ("createConnection", {"checks": {"source": "true"}}, "/checks/source"),
]


async def test_types_are_not_guessed(account: Account) -> None:
    for name, body, pointer in GUESSED:
        operation = operations()[name]
        response = await account.http.request(operation.method, path_of(operation), json=body)
        problem = assert_problem(response, 422, "invalid_request")
        assert pointer in {each["pointer"] for each in problem["errors"]}, (name, body)
        assert not any("<" in each["detail"] for each in problem["errors"])


async def test_an_unknown_parameter_is_refused_by_every_operation(account: Account) -> None:
    for operation in OURS.values():
        signed = {"tenant": NONE, "expires": "1", "signature": "x"}
        known = signed if operation.id.startswith("download") else {}
        response = await account.http.request(
            operation.method,
            path_of(operation),
            params=known | {"streem_id": "x"},
            json=operation.body_example() if operation.id in WITH_BODY else None,
        )
        problem = assert_problem(response, 422, "invalid_request")
        assert [each["pointer"] for each in problem["errors"]] == ["query/streem_id"]


async def test_a_near_name_is_proposed(account: Account) -> None:
    response = await account.http.get("/v1/highlights/list", params={"stream": NONE})
    (error,) = assert_problem(response, 422, "invalid_request")["errors"]
    assert (error["pointer"], "`stream_id`" in error["detail"]) == ("query/stream", True)


async def test_a_time_is_a_date_and_a_time_and_a_zone(account: Account) -> None:
    for operation, name in TIMES:
        needed = {"q": "goal"} if operation.id == "searchHighlights" else {}
        for value in ("2026", "1746212400", "2026-05-02", "2026-05-02T19:00:00", ""):
            response = await account.http.get(operation.path, params=needed | {name: value})
            problem = assert_problem(response, 422, "invalid_request")
            assert [each["pointer"] for each in problem["errors"]] == [f"query/{name}"]


PARAMETERS = [
    ("limit=1&limit=2", "query/limit"),
    ("limit=1.0", "query/limit"),
    ("limit=1_0", "query/limit"),
    ("limit=%201", "query/limit"),
    ("limit=true", "query/limit"),
    ("limit=", "query/limit"),
    ("limit=9999999999999999999999", "query/limit"),
    ("min_score=NaN", "query/min_score"),
    ("min_score=inf", "query/min_score"),
    ("peak_from=1e400", "query/peak_from"),
    ("game=%00", "query/game"),
    ("game=%ED%A0%80", "query/game"),
    ("tag=%FF", "query/tag"),
    ("tag=%20", "query/tag"),
    ("cursor=%00", "query/cursor"),
    ("%FF=1", "query"),
    ("=1", "query/"),
    ("status=confirmed&status=%ff", "query/status"),
    ("created_from=9999-12-31T23:59:59-14:00", "query/created_from"),
]


async def test_a_parameter_is_named_once_and_typed_as_json_is(account: Account) -> None:
    for query, pointer in PARAMETERS:
        response = await account.http.get(f"/v1/highlights/list?{query}")
        problem = assert_problem(response, 422, "invalid_request")
        assert [each["pointer"] for each in problem["errors"]] == [pointer], query


async def test_what_may_be_repeated_may_be(account: Account) -> None:
    path = "/v1/highlights/list?status=confirmed&status=pending&limit=5&min_score=0.5"
    assert (await account.http.get(path)).status_code == 200


async def test_a_header_that_is_repeated_is_refused(account: Account) -> None:
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    body = {"url": "https://cdn.example.com/live/master.m3u8"}
    response = await account.http.post("/v1/streams/analyze", json=body, headers=twice)
    problem = assert_problem(response, 422, "invalid_request")
    assert [each["pointer"] for each in problem["errors"]] == ["header/idempotency-key"]


async def test_a_path_that_no_text_has(account: Account) -> None:
    for path in ("/%00", "/docs/assets/%00", "/docs/assets/%FF", "/v1/%ED%A0%80", "/v1/streams%00"):
        assert_problem(await account.http.get(path), 404, "route_not_found")


async def test_a_cursor_that_is_none(account: Account) -> None:
    for cursor in ("eyJz", "A" * 512, "e30", "W10", "bnVsbA", "é"):
        response = await account.http.get("/v1/highlights/list", params={"cursor": cursor})
        assert_problem(response, 400, "invalid_cursor")


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")


def methods_by_path() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"/docs": {"GET"}, "/errors": {"GET"}, "/openapi.json": {"GET"}}
    for operation in operations().values():
        found.setdefault(operation.path, set()).add(operation.method)
    return found


async def test_other_methods_are_refused_with_all_that_there_are(account: Account) -> None:
    for template, declared in methods_by_path().items():
        allowed = declared | {"OPTIONS"} | ({"HEAD"} if "GET" in declared else set())
        path = template.replace("{profile_id}", "soccer").replace("{kind}", "analyzed_seconds")
        for name in ("stream", "highlight", "clip", "key", "endpoint", "delivery", "connection"):
            path = path.replace(f"{{{name}_id}}", NONE)
        for method in {*METHODS} - allowed:
            response = await account.http.request(method, path, content=b"x")
            assert set(response.headers["Allow"].split(", ")) == allowed
            assert response.status_code == 405, (method, response.text)
            if method != "HEAD":
                assert_problem(response, 405, "method_not_allowed")
        options = await account.http.options(path)
        assert (options.status_code, options.content) == (204, b"")
        assert set(options.headers["Allow"].split(", ")) == allowed


async def test_head_is_answered_as_get_is_without_a_body(account: Account) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/errors", "/v1/highlights/list"):
        head, get = await account.http.head(path), await account.http.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert head.headers.get("ETag") == get.headers.get("ETag")


async def test_the_page_of_errors_has_what_each_type_leads_to(anonymous: httpx.AsyncClient) -> None:
    type_ = (await anonymous.get("/v1/streams")).json()["type"]
    page = await anonymous.get(type_)
    assert page.headers["Content-Type"].startswith("text/html")
    assert f'id="{type_.partition("#")[2]}"' in page.text
