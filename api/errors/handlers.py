"""Exception handlers that turn exceptions into problem documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api.errors.problems import (
    ExportQuotaExceededProblem,
    FieldProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    MethodNotAllowedProblem,
    OtherHttpProblem,
    Problem,
    RouteNotFoundProblem,
    StreamQuotaExceededProblem,
    UnavailableProblem,
)
from api.middleware.request_context import request_id_of
from domain.tenants.usage import ExportQuotaExceededError, StreamQuotaExceededError
from infra.db.engine import DatabaseUnavailableError, UnstorableValueError
from infra.storage.s3 import S3Error
from infra.temporal.client import TemporalUnavailableError

_STREAMS_SHOWN: Final = 5
_ENUM_MEMBER: Final = re.compile(r"<\w+(?:\.\w+)+: ('[^']*')>")
_log = structlog.get_logger(__name__)


def add_exception_handlers(app: FastAPI) -> None:
    """Respond to every exception with a problem document."""
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(DatabaseUnavailableError, on_database_away)
    app.add_exception_handler(TemporalUnavailableError, on_temporal_away)
    app.add_exception_handler(S3Error, on_clip_store_away)
    app.add_exception_handler(StreamQuotaExceededError, on_stream_quota)
    app.add_exception_handler(ExportQuotaExceededError, on_export_quota)
    app.add_exception_handler(UnstorableValueError, on_unstorable_value)


async def on_problem(request: Request, error: Exception) -> JSONResponse:
    """Respond with the problem that was raised."""
    assert isinstance(error, Problem)  # noqa: S101 - registered for Problem alone
    return error.response(request_id_of(request.scope))


async def on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Respond to a request with invalid parameters or an invalid body."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    problem = InvalidRequestProblem(
        errors=[
            FieldProblem(pointer=_pointer(each["loc"]), detail=message_of(each))
            for each in error.errors()
        ]
    )
    return problem.response(request_id_of(request.scope))


def message_of(error: Mapping[str, Any]) -> str:
    """Return pydantic's error message without Python details."""
    message = _ENUM_MEMBER.sub(r"\1", error["msg"])
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Respond to an error of the framework."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    kinds: dict[int, type[Problem]] = {
        400: MalformedJsonProblem,  # a JSON body that `JsonBodyValidation` did not read
        404: RouteNotFoundProblem,
        405: MethodNotAllowedProblem,
    }
    problem = kinds.get(error.status_code, OtherHttpProblem)(headers=error.headers)
    return problem.response(request_id_of(request.scope))


async def on_database_away(request: Request, error: Exception) -> JSONResponse:
    """Respond that the database is unavailable."""
    _log.warning("database unavailable", error=str(error))
    problem = UnavailableProblem("The database does not respond. " + UnavailableProblem.advice)
    return problem.response(request_id_of(request.scope))


async def on_temporal_away(request: Request, error: Exception) -> JSONResponse:
    """Respond that the workflow service is unavailable."""
    _log.warning("temporal unavailable", error=str(error))
    problem = UnavailableProblem(
        "The workflow service does not respond. " + UnavailableProblem.advice
    )
    return problem.response(request_id_of(request.scope))


async def on_clip_store_away(request: Request, error: Exception) -> JSONResponse:
    """Respond that the store of clips cannot be used; why is for the operator."""
    _log.error("clip store unavailable", error=str(error))
    problem = UnavailableProblem("The store of clips cannot be used. " + UnavailableProblem.advice)
    return problem.response(request_id_of(request.scope))


async def on_unstorable_value(request: Request, error: Exception) -> JSONResponse:
    """Respond that the database rejected a value that validation accepted."""
    _log.error("value refused by the database", error=str(error), path=request.scope["path"])
    problem = InvalidRequestProblem(
        errors=[FieldProblem(pointer="", detail="contains a text or number that cannot be stored")]
    )
    return problem.response(request_id_of(request.scope))


async def on_stream_quota(request: Request, error: Exception) -> JSONResponse:
    """Respond that the plan's stream quota is exhausted, naming some running streams."""
    assert isinstance(error, StreamQuotaExceededError)  # noqa: S101 - registered for it alone
    shown = ", ".join(f"`{stream}`" for stream in error.running[:_STREAMS_SHOWN])
    rest = len(error.running) - _STREAMS_SHOWN
    problem = StreamQuotaExceededProblem(
        f"The plan `{error.plan.name}` allows {error.plan.concurrent_streams} concurrent streams. "
        f"Running: {shown}{f' and {rest} more' if rest > 0 else ''}. "
        + StreamQuotaExceededProblem.advice
    )
    return problem.response(request_id_of(request.scope))


async def on_export_quota(request: Request, error: Exception) -> JSONResponse:
    """Respond that the plan's limits of exports are reached."""
    problem = ExportQuotaExceededProblem(f"{error} {ExportQuotaExceededProblem.advice}")
    return problem.response(request_id_of(request.scope))


def _pointer(location: Sequence[str | int]) -> str:
    kind, *path = location
    parts = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return (
        f"/{parts}" if kind == "body" and parts else ("" if kind == "body" else f"{kind}/{parts}")
    )
