"""The worker's health endpoint, and the command that asks for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from app.dev.supervisor import free_ports
from app.health import main, serve_health


@pytest.mark.parametrize(("healthy", "code"), [(True, 0), (False, 1)])
async def test_the_command_succeeds_only_if_the_process_is_healthy(
    capsys: pytest.CaptureFixture[str], *, healthy: bool, code: int
) -> None:
    (port,) = free_ports(1)
    async with serve_health(f"127.0.0.1:{port}", lambda: healthy):
        assert await asyncio.to_thread(main, f"http://127.0.0.1:{port}/healthz") == code
    assert ("503" in capsys.readouterr().err) is not healthy


async def test_a_process_that_does_not_listen_is_not_healthy() -> None:
    (port,) = free_ports(1)
    assert await asyncio.to_thread(main, f"http://127.0.0.1:{port}/healthz") == 1


async def test_a_client_that_sends_no_request_does_not_stop_the_endpoint() -> None:
    (port,) = free_ports(1)
    async with serve_health(f"127.0.0.1:{port}", lambda: True):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET")
        writer.close()
        assert await asyncio.to_thread(main, f"http://127.0.0.1:{port}/healthz") == 0


def test_the_command_loads_the_standard_library_only() -> None:
    program = "import sys, app.health; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True
    )
    assert set(eval(loaded.stdout)) - sys.stdlib_module_names == {"__main__", "app"}  # noqa: S307
