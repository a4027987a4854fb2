"""The documentation site at `/console/docs`, if this installation has it.

The wheel includes the built site. A checkout has it after `make docs-site`, which also works while
the API runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.errors.problems import RouteNotFoundProblem

DOCUMENTATION_PATH: Final = "/console/docs"
_SITE: Final = Path(__file__).parent / "static" / "docs"
_SCRIPT_HASHES: Final = "script-hashes.json"
_NOT_BUILT: Final = (
    "The documentation site is not built in this checkout. Build it with `make docs-site`; the API "
    "then serves it without a restart."
)


def add_documentation_site(app: FastAPI, *, directory: Path = _SITE) -> None:
    """Serve the built site below `/console/docs`."""
    app.add_api_route(DOCUMENTATION_PATH, _to_index, include_in_schema=False)
    app.mount(DOCUMENTATION_PATH, _DocumentationSite(directory), name="documentation-site")


async def _to_index() -> RedirectResponse:
    """Add the slash that relative links of the index need."""
    return RedirectResponse(f"{DOCUMENTATION_PATH}/", status_code=308)


class _DocumentationSite(StaticFiles):
    """The built pages, with a policy that allows scripts of this site only."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self.config_checked = True  # the directory may appear later, by `make docs-site`
        self._directory = directory

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file of the site."""
        if not (self._directory / "index.html").is_file():
            raise RouteNotFoundProblem(_NOT_BUILT)
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            raise RouteNotFoundProblem from error
        response.headers["Content-Security-Policy"] = self._policy()
        return response

    def _policy(self) -> str:
        """Return the policy. Scripts inside pages are allowed by the hashes that the build wrote.

        Tables align their cells by style attributes, and the icons of the theme are data URLs.
        """
        hashes = json.loads((self._directory / _SCRIPT_HASHES).read_text("utf-8"))
        scripts = " ".join(("'self'", *hashes))
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src {scripts}",
                "style-src 'self'",
                "style-src-attr 'unsafe-inline'",
                "img-src 'self' data:",
                "connect-src 'self'",
                "worker-src 'self'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        )
