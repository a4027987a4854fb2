"""The documentation pages, which work without the internet."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.errors.problems import InvalidRequestProblem, NotAcceptableProblem, RateLimitedProblem
from api.errors.reference import documented, problem_schemas, reference_page
from api.middleware.rate_limits import is_limited
from api.openapi.examples import add_parameter_examples
from api.openapi.links import add_links
from api.openapi.names import name_schemas

_ASSETS: Final = "/docs/assets"
# Swagger UI's page has an inline script and styles, and pictures as data URLs.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)
_REFERENCE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_UNCHANGED: Final[dict[str, Any]] = {
    "description": "Unchanged since the `ETag` in `If-None-Match`."
}
_LIMIT_HEADERS: Final = {
    "RateLimit-Policy": {
        "description": "Quota `q` in a window of `w` seconds, of each limit.",
        "schema": {"type": "string"},
        "example": '"default";q=6000;w=60, "key";q=3000;w=60',
    },
    "RateLimit": {
        "description": "What remains, `r`, and the seconds until more does, `t`.",
        "schema": {"type": "string"},
        "example": '"default";r=5990;t=60, "key";r=2990;t=60',
    },
}


def complete_document(app: FastAPI) -> None:
    """Add to the OpenAPI document what FastAPI leaves out, once.

    That is what holds for all operations, the schemas of problem documents, examples of parameters,
    links from one operation to the next, and in examples the properties that are null: FastAPI
    drops them, and then an example breaks its own schema.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document["components"]["schemas"]
            schemas |= problem_schemas()
            for schema in schemas.values():
                for example in schema.get("examples", ()):
                    _restore_nulls(example, schema, schemas)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    add_parameter_examples(operation)
                    add_links(operation)
                    if is_limited(path):
                        _document_manners(method, operation["responses"])
            name_schemas(document)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]


def _restore_nulls(example: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:  # noqa: ANN401 - JSON
    """Give an example each required property that it lacks, and so do its parts."""
    schema = _resolved(schema, schemas)
    if isinstance(example, list):
        for item in example:
            _restore_nulls(item, schema.get("items", {}), schemas)
    elif isinstance(example, dict):
        for name in schema.get("required", ()):
            example.setdefault(name, None)
        for name, value in example.items():
            _restore_nulls(value, schema.get("properties", {}).get(name, {}), schemas)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, through `anyOf` with null too."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(choice, schemas)
    if "$ref" in schema:
        target: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]]
        return target
    return schema


def _document_manners(method: str, responses: dict[str, Any]) -> None:
    always = (InvalidRequestProblem, NotAcceptableProblem, RateLimitedProblem)
    for status, response in documented(*always).items():
        responses.setdefault(str(status), response)
    if method == "get":
        responses.setdefault("304", _UNCHANGED)
    for response in responses.values():
        response.setdefault("headers", {}).update(_LIMIT_HEADERS)


def add_documentation(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs` and the list of errors at `/errors`.

    The files of Swagger UI are those that the package `fastapi-offline` carries.
    """
    directory = Path(str(resources.files("fastapi_offline"))) / "static"

    async def page() -> HTMLResponse:
        html = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
        )
        html.headers["Content-Security-Policy"] = _POLICY
        return html

    async def errors() -> HTMLResponse:
        return HTMLResponse(
            reference_page(), headers={"Content-Security-Policy": _REFERENCE_POLICY}
        )

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/errors", errors, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(directory=directory), name="documentation-assets")
