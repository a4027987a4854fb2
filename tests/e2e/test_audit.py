"""`highlights audit` agrees with a real finished stream, and finds each fault made by hand."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.container import Container
from app.services.consistency import AuditOptions, ConsistencyAudit
from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from domain.consistency.findings import AuditFinding, FindingCode
from domain.streams.status import StreamStatus
from infra.settings import Settings
from infra.temporal.client import WorkflowExecutions
from tests.e2e.conftest import Stack
from tests.e2e.tenant import Tenant
from tests.fakes.webhook_receiver import receiver

pytestmark = [pytest.mark.serial, pytest.mark.slow]
