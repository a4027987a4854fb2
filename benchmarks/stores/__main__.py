"""What a stream-hour costs in requests to S3, and how fast segments and clips are uploaded.

`python -m benchmarks.stores [--seconds 600] [--pace 12]` plays a stream on the demo's origin,
follows it with the real ingest activity, releases its media as the workflow does, and counts what
the store is asked. Analysis and rendering are not part of it: on the worker that follows the
stream they read from its cache.

`--bucket s3://bucket/prefix [--rounds 5]` measures uploads there too, by our store and by boto3's
`upload_file` in turns. `AWS_ENDPOINT_URL_S3` names another server than Amazon's.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.quality.report import machine
from benchmarks.stores.counting import DOLLARS_PER_1000, price
from benchmarks.stores.requests import count_requests
from benchmarks.stores.throughput import measure_uploads
from infra.storage.s3 import S3Location

TARGET: Final = 0.9
"""Our share of the throughput of boto3 alone."""

_UPLOADS: Final = ((500_000, 160, False), (24_000_000, 8, True), (96_000_000, 8, True))
"""Bytes, number, and whether they are clips: segments of 2 s, clips of one and of four minutes."""


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of media; 0 counts nothing")
    parser.add_argument("--pace", type=float, default=12.0)
    parser.add_argument("--bucket", type=S3Location.parse)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    console = Console()
    console.print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.seconds:
            found = await count_requests(folder, seconds=options.seconds, pace=options.pace)
            table = Table("", *DOLLARS_PER_1000, "dollars")
            for label, counts in (("per stream-hour", found.hourly), ("at the end", found.ending)):
                numbers = (f"{counts[each]:,}" for each in DOLLARS_PER_1000)
                table.add_row(label, *numbers, f"{price(counts):.4f}")
            console.print(table)
            console.print(f"{found.segments} segments stored, {found.missed} missed")
        if options.bucket is None:
            return
        for size, files, are_clips in _UPLOADS:
            speed = await measure_uploads(
                *(folder, options.bucket),
                size=size,
                files=files,
                are_clips=are_clips,
                rounds=options.rounds,
            )
            console.print(
                f"{size / 1e6:g} MB: ours {speed.ours:.0f} MB/s, boto3 alone {speed.bare:.0f} MB/s,"
                f" share {speed.share:.2f} (target {TARGET})"
            )


if __name__ == "__main__":
    asyncio.run(main())
