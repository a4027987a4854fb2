"""The documentation pages, which work without the internet."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles

from api.problem_reference import problem_schemas, reference

_ASSETS: Final = "/docs/assets"
# Swagger UI's page has an inline script and styles, and pictures as data URLs.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)


def document_problems(app: FastAPI) -> None:
    """Add the schemas of problem documents to the OpenAPI document, made once."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"] |= problem_schemas()
        return document

    app.openapi = openapi  # type: ignore[method-assign]


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
