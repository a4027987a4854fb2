"""The error reference: the page at `/errors` and the responses in the OpenAPI document."""

from __future__ import annotations

import html
import re
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from api.errors.problems import (
    MEDIA_TYPE,
    AddressNotAllowedProblem,
    BodyTooLargeProblem,
    IdempotencyMismatchProblem,
    InternalProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    MissingScopeProblem,
    Problem,
    ProblemDocument,
    RequestInProgressProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
    UnsupportedMediaTypeProblem,
    all_problems,
)

WITH_KEY: Final = (
    UnauthenticatedProblem,
    MissingScopeProblem,
    InvalidRequestProblem,
    UnavailableProblem,
)
"""Problems of every operation that requires an API key."""

WITH_BODY: Final = (MalformedJsonProblem, BodyTooLargeProblem, UnsupportedMediaTypeProblem)
"""Problems of every operation with a body."""

IDEMPOTENT: Final = (RequestInProgressProblem, IdempotencyMismatchProblem)
"""Problems of every operation with an idempotency key."""

_CODE: Final = re.compile(r"`([^`]*)`")
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;"
    "padding:.4rem .8rem;border-top:1px solid #ccc}tr:target{background:#fff3bf}"
)
_SCHEMAS: Final = "#/components/schemas/"
_SCHEMA: Final = f"{_SCHEMAS}{ProblemDocument.__name__}"


def problem_schemas() -> dict[str, Any]:
    """Return the schemas of problem documents."""
    _, definitions = models_json_schema(
        [(ProblemDocument, "serialization")], ref_template=f"{_SCHEMAS}{{model}}"
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def documented(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of an operation for these problems.

    An operation that requires a scope also requires an allowed address.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    by_key = [AddressNotAllowedProblem] if MissingScopeProblem in kinds else []
    possible: list[type[Problem]] = [*kinds, *by_key, InternalProblem]
    for kind in possible:
        entry = responses.setdefault(
            kind.status,
            {
                "description": "",
                "content": {MEDIA_TYPE: {"schema": {"$ref": _SCHEMA}, "examples": {}}},
            },
        )
        entry["description"] = f"{entry['description']} {kind.title}: `{kind.code}`.".strip()
        entry["content"][MEDIA_TYPE]["examples"][kind.code] = {
            "summary": kind.title,
            "value": {
                "type": f"/errors#{kind.code}",
                "title": kind.title,
                "status": kind.status,
                "code": kind.code,
                "detail": kind.advice,
                "request_id": "req_8h3kq0",
            },
        }
    return responses


def reference() -> str:
    """Return the error reference as Markdown."""
    lines = [
        "# Errors",
        "",
        f"Every error is a problem document (RFC 9457, `{MEDIA_TYPE}`): `type`, `title`, `status`,",
        "`code`, `detail`, `request_id`, and `errors` if parts of the request are invalid. Use",
        "`code` in programs. The API serves this page at `/errors`; both come from",
        "`api/errors/problems.py`.",
        "",
        "| Code | Status | Meaning | What to do |",
        "|---|---|---|---|",
    ]
    lines += [
        f'| <a id="{kind.code}"></a>`{kind.code}` | {kind.status} | {kind.__doc__} '
        f"| {kind.advice} |"
        for kind in all_problems()
    ]
    return "\n".join(lines) + "\n"


def reference_page() -> str:
    """Return the error reference as HTML; the `type` of each problem links to it."""
    rows = "".join(
        f'<tr id="{kind.code}"><th scope="row"><a href="#{kind.code}"><code>{kind.code}</code></a>'
        f"</th><td>{kind.status}</td><td>{_html(kind.__doc__ or '')}</td>"
        f"<td>{_html(kind.advice)}</td></tr>\n"
        for kind in all_problems()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Errors of the Highlight API</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>
<h1>Errors</h1>
<p>Every error is a problem document (<a href="https://www.rfc-editor.org/rfc/rfc9457">RFC 9457</a>,
<code>{MEDIA_TYPE}</code>) with <code>type</code>, <code>title</code>, <code>status</code>,
<code>code</code>, <code>detail</code> and <code>request_id</code>, and <code>errors</code> if
parts of the request are invalid. Use <code>code</code> in programs.</p>
<table><thead><tr><th scope="col">Code</th><th scope="col">Status</th>
<th scope="col">Meaning</th><th scope="col">What to do</th></tr></thead><tbody>
{rows}</tbody></table></body></html>
"""


def _html(text: str) -> str:
    """Return HTML with text in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(" ".join(text.split())))
