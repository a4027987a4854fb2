"""`python -m app.dev.temporal_download VERSION DIRECTORY`: the SDK's download of the CLI.

The SDK downloads only on the way to starting a server, and cannot be interrupted while it does:
so it runs in a process of its own, which can be, and its server is stopped at once.
"""

from __future__ import annotations

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment


async def main(version: str, directory: str) -> None:
    """Download the CLI of `version` into `directory`."""
    environment = await WorkflowEnvironment.start_local(
        download_dest_dir=directory, dev_server_download_version=f"v{version}"
    )
    await environment.shutdown()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
