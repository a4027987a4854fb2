"""Liveness and readiness."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel
from temporalio.service import RPCError

from api.middleware.routing import WITHOUT_KEY
from api.services import Services, ServicesDependency
from infra.db.engine import DatabaseUnavailableError
from infra.temporal.client import TemporalUnavailableError

_CHECK_TIMEOUT: Final = 3.0

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """State of one dependency."""

    ok: bool
    detail: str


class ReadinessReport(BaseModel):
    """Whether requests can be served, by dependency."""

    ready: bool
    checks: dict[str, Check]


@router.get("/healthz", operation_id="getHealth", openapi_extra=WITHOUT_KEY)
async def get_health() -> Health:
    """Return 200 while the process is alive. Checks no dependency."""
    return Health()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    openapi_extra=WITHOUT_KEY,
    responses={503: {"model": ReadinessReport, "description": "A dependency is unavailable."}},
)
async def get_readiness(services: ServicesDependency, response: Response) -> ReadinessReport:
    """Check the database and the workflow service."""
    database, temporal = await asyncio.gather(
        _check(services.database.ping()), _check(_ping_temporal(services))
    )
    ready = database.ok and temporal.ok
    response.status_code = 200 if ready else 503
    return ReadinessReport(ready=ready, checks={"database": database, "temporal": temporal})


async def _ping_temporal(services: Services) -> None:
    client = await services.temporal.client()
    if not await client.service_client.check_health(timeout=timedelta(seconds=_CHECK_TIMEOUT)):
        raise TemporalUnavailableError("The workflow service reports that it is not serving.")


async def _check(answer: Awaitable[None]) -> Check:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            await answer
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {_CHECK_TIMEOUT:.0f} s")
    except (DatabaseUnavailableError, TemporalUnavailableError, RPCError) as error:
        return Check(ok=False, detail=type(error).__name__)
    return Check(ok=True, detail="answers")
