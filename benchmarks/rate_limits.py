"""CPU time of rate limit storages at a fixed request rate (docs/decisions/0026-own-code.md).

Run with `python -m benchmarks.rate_limits`. Compares our in-memory storage with the two of the
library `limits`. Each request takes one unit of one owner and reads what is left; owners are keys,
tenants and addresses that made a request within the last minute.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from limits import RateLimitItemPerSecond, storage, strategies
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from infra.rate_limit import SlidingWindowStorage

ITEM = RateLimitItemPerSecond(6000, 60, namespace="default")
NAMES = ("ours", "limits.aio", "limits")


async def cpu_share(name: str, *, owners: int, rate: float, seconds: float) -> float:
    """Return the share of one core that requests at `rate` per second take."""
    local: MovingWindowRateLimiter | strategies.MovingWindowRateLimiter
    if name == "limits":
        local = strategies.MovingWindowRateLimiter(storage.MemoryStorage())
    else:
        ours = SlidingWindowStorage() if name == "ours" else MemoryStorage()
        local = MovingWindowRateLimiter(ours)

    async def request(number: int) -> None:
        owner = str(number % owners)
        if isinstance(local, MovingWindowRateLimiter):
            await local.hit(ITEM, owner)
            await local.get_window_stats(ITEM, owner)
        else:
            local.hit(ITEM, owner)
            local.get_window_stats(ITEM, owner)

    for number in range(owners):
        await request(number)
    await asyncio.sleep(1)
    cpu, began, sent = time.process_time(), time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        while sent < elapsed * rate:
            await request(sent)
            sent += 1
        await asyncio.sleep(0.005)
    return (time.process_time() - cpu) / (time.perf_counter() - began)


def main() -> None:
    """Print one line per number of owners."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_limits", description=__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement")
    arguments = parser.parse_args()
    for owners in (100, 1000, 6000):
        shares = [
            asyncio.run(
                cpu_share(name, owners=owners, rate=arguments.rate, seconds=arguments.seconds)
            )
            for name in NAMES
        ]
        figures = ", ".join(
            f"{name} {share:.1%}" for name, share in zip(NAMES, shares, strict=True)
        )
        print(f"{owners} owners, {arguments.rate:g} requests/s, of one core: {figures}", flush=True)


if __name__ == "__main__":
    main()
