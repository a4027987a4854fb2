"""The console at `/console`: a page of scripts that uses the public API only.

`make console` builds it into `dist/` beside this module, and the wheel contains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from api.errors.problems import RouteNotFoundProblem

DIST: Final = Path(__file__).parent / "dist"
_INDEX: Final = "index.html"
_ASSETS: Final = "assets"
_IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Console</title>
<h1>The console is not built</h1>
<p>This is a checkout of the repository. Run <code>make console</code> in it, then reload this page.
<p>The API works without the console: see <a href="/docs">its reference</a>.
"""


def content_policy(media_origins: Sequence[str]) -> str:
    """Return the content security policy of the console.

    Scripts and styles come from the API only, and none is inline. Players attach media by `blob:`.

    Args:
        media_origins: where else clips and thumbnails are, such as the CDN of the clip store.
    """
    media = " ".join(("'self'", *media_origins))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src {media} data:; media-src {media} blob:; connect-src {media}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


def add_console(
    app: FastAPI,
    *,
    media_origins: Sequence[str],
    temporal_url: str | None = None,
    dist: Path = DIST,
) -> None:
    """Serve the console. Paths that are no file show its page, which knows what they mean.

    Args:
        app: the API. Routes below `/console/` that were added before come first.
        media_origins: see `content_policy`.
        temporal_url: address of the namespace in the Temporal UI, to link workflows.
        dist: where the build is.
    """
    headers = {
        "Content-Security-Policy": content_policy(media_origins),
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

    async def page() -> Response:
        index = dist / _INDEX
        if not index.is_file():
            return HTMLResponse(_NOT_BUILT, status_code=503)
        return FileResponse(index, headers=headers)

    async def asset(name: str) -> Response:
        return _file(dist / _ASSETS / name, headers=_IMMUTABLE)

    async def file_or_page(path: str) -> Response:
        if "." in path.rpartition("/")[2]:
            return _file(dist / Path(path).name, headers={"Cache-Control": "no-cache"})
        return await page()

    async def settings() -> Response:
        return JSONResponse({"temporal_url": temporal_url}, headers={"Cache-Control": "no-cache"})

    app.add_api_route("/console/settings.json", settings, include_in_schema=False)
    app.add_api_route("/console", page, include_in_schema=False)
    app.add_api_route("/console/assets/{name}", asset, include_in_schema=False)
    app.add_api_route("/console/{path:path}", file_or_page, include_in_schema=False)


def _file(path: Path, *, headers: dict[str, str]) -> Response:
    if not path.is_file():
        raise RouteNotFoundProblem
    return FileResponse(path, headers=headers)
