"""`highlights audit`: what does not agree, in words or as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import typer

from app.services.consistency.stream_audit import AuditOptions, ConsistencyAudit
from app.services.registry import ServiceRegistry
from domain.consistency.findings import AuditFinding
from infra.db.engine import DatabaseUnavailableError
from infra.errors import StartFailedError
from infra.redaction import redact
from infra.temporal.client import SDK_SETTLES, TemporalUnavailableError, WorkflowExecutions
from infra.temporal.histories import WorkflowHistories

_MOST_SHOWN: Final = 1000
"""Findings that are shown; further ones are counted."""


@dataclass(frozen=True, kw_only=True)
class AuditScope:
    """What to compare: a stream, all streams of a tenant, or everything without a tenant."""

    tenant_id: UUID | None
    stream_id: UUID | None = None


async def run_audit(
    services: ServiceRegistry, scope: AuditScope, *, options: AuditOptions, as_json: bool
) -> bool:
    """Compare, and print what does not agree. Return True if everything does.

    Raises:
        StartFailedError: the database, Temporal or a store cannot be read.
    """
    audit = ConsistencyAudit(
        services.database,
        WorkflowExecutions(services.temporal.client),
        WorkflowHistories(services.temporal.client),
        segments=services.segments,
        files=services.clips,
        retention=services.settings.retention_policy(),
        options=options,
    )
    shown: list[AuditFinding] = []
    count = 0
    try:
        async for each in _findings(audit, scope):
            count += 1
            if count <= _MOST_SHOWN:
                shown.append(each)
                if not as_json:
                    _show(each)
    except (DatabaseUnavailableError, TemporalUnavailableError, OSError) as error:
        raise StartFailedError(
            f"The audit could not read everything: {error}.",
            remedy="Run it again when `highlights doctor --remote` finds all servers.",
        ) from error
    finally:
        await asyncio.sleep(SDK_SETTLES)
    if as_json:
        _print_json(shown, count, audit)
    else:
        typer.echo(f"compared {audit.tally}")
        typer.echo("everything agrees" if count == 0 else f"{count} findings")
    return count == 0


def _findings(audit: ConsistencyAudit, scope: AuditScope) -> AsyncIterator[AuditFinding]:
    if scope.tenant_id is None:
        return audit.all_tenants()
    if scope.stream_id is None:
        return audit.tenant(scope.tenant_id)
    return audit.stream(scope.tenant_id, scope.stream_id)


def _show(finding: AuditFinding) -> None:
    where = f"stream {finding.stream_id}" if finding.stream_id else f"tenant {finding.tenant_id}"
    typer.echo(f"{finding.code.value}  {where}")
    if finding.subject != where:
        typer.echo(f"  {redact(finding.subject)}")
    typer.echo(f"  {redact(finding.problem)}")
    typer.echo(f"  {finding.remedy}")


def _print_json(shown: list[AuditFinding], count: int, audit: ConsistencyAudit) -> None:
    document = {
        "compared": dict(audit.tally.counts),
        "count": count,
        "findings": [each.model_dump(mode="json") | {"remedy": each.remedy} for each in shown],
    }
    typer.echo(redact(json.dumps(document, indent=2)))
