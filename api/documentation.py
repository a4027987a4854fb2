"""The documentation pages, which work without the internet."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles

from api.problem_reference import documented, problem_schemas, reference
from api.problems import NotAcceptableProblem, RateLimitedProblem
from api.route_costs import is_limited

_ASSETS: Final = "/docs/assets"
# Swagger UI's page has an inline script and styles, and pictures as data URLs.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)

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


def document_problems(app: FastAPI) -> None:
    """Add to the OpenAPI document what holds for all operations, and problems' schemas, once."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"] |= problem_schemas()
        for path, operations in document["paths"].items():
            if is_limited(path):
                for method, operation in operations.items():
                    _document_manners(method, operation["responses"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _document_manners(method: str, responses: dict[str, Any]) -> None:
    for status, response in documented(NotAcceptableProblem, RateLimitedProblem).items():
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

    async def errors() -> PlainTextResponse:
        return PlainTextResponse(reference(), media_type="text/markdown")

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/errors", errors, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(directory=directory), name="documentation-assets")
