"""From exceptions to problem documents, those of the framework and the database included."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api.problems import (
    FieldProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    MethodNotAllowedProblem,
    OtherHttpProblem,
    Problem,
    RouteNotFoundProblem,
    UnavailableProblem,
)
from api.request_id import request_id_of
from infra.database import DatabaseUnavailableError
from infra.temporal_connection import TemporalUnavailableError

_log = structlog.get_logger(__name__)


def answer_with_problems(app: FastAPI) -> None:
    """Let every error that reaches the application be answered by a problem document."""
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(DatabaseUnavailableError, on_database_away)
    app.add_exception_handler(TemporalUnavailableError, on_temporal_away)


async def on_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer with the problem that was raised."""
    assert isinstance(error, Problem)  # noqa: S101 - registered for Problem alone
    return error.response(request_id_of(request.scope))


async def on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that does not fit the operation's parameters or body."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    found = error.errors()
    problem: Problem
    if any(each["type"] == "json_invalid" for each in found):
        problem = MalformedJsonProblem()
    else:
        problem = InvalidRequestProblem(
            errors=[
                FieldProblem(pointer=_pointer(each["loc"]), detail=each["msg"]) for each in found
            ]
        )
    return problem.response(request_id_of(request.scope))


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework itself refused."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    kinds: dict[int, type[Problem]] = {404: RouteNotFoundProblem, 405: MethodNotAllowedProblem}
    problem = kinds.get(error.status_code, OtherHttpProblem)(headers=error.headers)
    return problem.response(request_id_of(request.scope))


async def on_database_away(request: Request, error: Exception) -> JSONResponse:
    """Answer that the database cannot be reached."""
    _log.warning("database unavailable", error=str(error))
    problem = UnavailableProblem("The database does not answer. " + UnavailableProblem.advice)
    return problem.response(request_id_of(request.scope))


async def on_temporal_away(request: Request, error: Exception) -> JSONResponse:
    """Answer that the workflow service cannot be reached."""
    _log.warning("temporal unavailable", error=str(error))
    problem = UnavailableProblem(
        "The workflow service does not answer. " + UnavailableProblem.advice
    )
    return problem.response(request_id_of(request.scope))


def _pointer(location: Sequence[str | int]) -> str:
    kind, *path = location
    parts = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return (
        f"/{parts}" if kind == "body" and parts else ("" if kind == "body" else f"{kind}/{parts}")
    )
