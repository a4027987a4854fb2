"""`python -m benchmarks.inbound.served ours|bare PORT DSN TENANT [PROFILE]`: one of the servers.

Settings come from the environment, as the product's do. Both run in one process, served as by
`highlights serve`, and log to stderr as that does. With a file for the profile, cProfile watches
the whole process, by processor time, and writes it there at the end; it makes everything slower.
"""

from __future__ import annotations

import cProfile
import sys
import time
from typing import Final
from unittest.mock import patch
from uuid import UUID

from app.serve import build_app, serve
from benchmarks.inbound.bare import create_bare_app
from domain.tenants.usage import PLANS, Plan, PlanName
from infra.settings import Settings
from infra.telemetry import logs

# Streams are counted, and none is refused.
BOUNDLESS: Final = Plan(
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
    kind, port, dsn, tenant, *profile = sys.argv[1:]
    settings = Settings()
    logs.configure(settings, component="api")
    with patch.dict(PLANS, {PlanName.ENTERPRISE: BOUNDLESS}):
        app = build_app(settings) if kind == "ours" else create_bare_app(dsn, UUID(tenant))
        if not profile:
            serve(app, host="127.0.0.1", port=int(port))
            return
        with cProfile.Profile(time.process_time) as watching:
            serve(app, host="127.0.0.1", port=int(port))
        watching.dump_stats(profile[0])


if __name__ == "__main__":
    main()
