"""`python -m benchmarks.api_throughput.served ours|bare PORT DSN TENANT`: one of the two servers.

Settings come from the environment, as the product's do. Both run in one process, served as by
`highlights serve`, and log to stderr as that does.
"""

from __future__ import annotations

import sys
from typing import Final
from unittest.mock import patch
from uuid import UUID

from app.serve import build_app, serve
from benchmarks.api_throughput.bare import create_bare_app
from domain.tenants.usage import PLANS, Plan, PlanName
from infra.settings import Settings
from infra.telemetry import logs

# Everything is counted, nothing is refused.
_BOUNDLESS: Final = Plan(
    name=PlanName.ENTERPRISE,
    requests_per_minute=1_000_000_000,
    key_requests_per_minute=1_000_000_000,
    concurrent_streams=1_000_000_000,
    clip_seconds=1_000_000_000,
    clips_per_day=1_000_000_000,
    concurrent_exports=1,
    renditions_per_export=1,
    exports_per_batch=1,
    feed_events_per_minute=1_000_000_000,
)


def main() -> None:
    """Serve until SIGINT."""
    kind, port, dsn, tenant = sys.argv[1:]
    settings = Settings()
    logs.configure(settings, component="api")
    with patch.dict(PLANS, {PlanName.ENTERPRISE: _BOUNDLESS}):
        app = (
            build_app(settings) if kind == "ours" else create_bare_app(dsn, settings, UUID(tenant))
        )
        serve(app, host="127.0.0.1", port=int(port))


if __name__ == "__main__":
    main()
