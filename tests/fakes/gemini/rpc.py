"""Errors as Google's REST endpoints write them (google.rpc.Status as JSON)."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class RpcError(Exception):
    """An error of the API: a canonical name, a sentence, and details by type."""

    def __init__(self, status: str, message: str, *details: dict[str, Any]) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, details

    def response(self) -> JSONResponse:
        code = STATUS[self.status]
        error: dict[str, Any] = {"code": code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return JSONResponse({"error": error}, status_code=code)


def bad_field(field: str, description: str) -> RpcError:
    """A field that does not exist, or holds what it must not."""
    return RpcError(
        "INVALID_ARGUMENT",
        f"Invalid JSON payload received. {description}",
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": description}],
        },
    )


def exhausted(delay: float | None) -> RpcError:
    """Over the quota; `delay` is the server's advice in seconds."""
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
        }
    ]
    if delay is not None:
        details.append(
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{delay:g}s"}
        )
    return RpcError("RESOURCE_EXHAUSTED", "You exceeded your current quota.", *details)
