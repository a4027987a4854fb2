"""How much clients may ask of us."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from domain.plans import PlanName
from infra.settings.section import SettingsSection


class LimitSettings(SettingsSection):
    """How much clients may ask of us; `docs/limits.md` explains it."""

    heading = "Limits"

    default_plan: PlanName = Field(
        default=PlanName.PRO,
        description="Plan of tenants that have none of their own (`highlights tenants set-plan`): "
        "`free`, `starter`, `pro` or `enterprise`.",
    )
    address_refusals_per_minute: PositiveInt = Field(
        default=60,
        description="Requests from one address that may be refused (no valid key, no such path) "
        "before it has to wait.",
    )
    address_files_per_minute: PositiveInt = Field(
        default=1200, description="Clips and pictures that one address may read by signed URL."
    )
    rate_limit_fail_open: bool = Field(
        default=True,
        description="While Redis is away, let each process count by itself; when false, refuse "
        "requests with 503.",
    )
    rate_limit_timeout: PositiveFloat = Field(
        default=1.0,
        description="Seconds within which Redis must answer, else it counts as away; the process's "
        "own lag does not count.",
    )
    rate_limit_retry_interval: PositiveFloat = Field(
        default=2.0, description="While Redis is away, seconds between attempts to reach it."
    )
