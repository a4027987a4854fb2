"""`python -m benchmarks.cost_gate`: what the gate sends to Gemini, its recall and its cost.

Scripted matches of a kind are analyzed one after the other as one stream, by the product's analyzer
and its real client against the fake Gemini of the tests, which decodes the video it receives and
answers from it. Nothing is sent to a paid model.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console

from benchmarks.cost_gate.report import Result, counted, show
from benchmarks.cost_gate.stream import long_stream
from benchmarks.cost_gate.watching import Analyzers
from benchmarks.quality.product import PROFILES
from benchmarks.quality.report import machine
from demo.errors import DemoError
from demo.match.direct import MEAN_SPACING
from domain.analysis.gemini.budget import GateLimits
from domain.analysis.gemini.prompts import QueryBuilder
from infra.media.pool import MediaPool
from infra.profiles.store import load_shipped_catalog
from infra.settings import Settings
from tests.fakes.gemini import FakeGemini

BLIND_SEEDS: Final = (701, 702, 703)
"""Matches that no rule of the gate was tuned on, for each kind."""

TUNING_SEEDS: Final = (1, 2, 3)
"""Those that the gate's rules are tuned on."""


def main() -> None:
    """Compare gated with ungated analysis."""
    options = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    settings, console = Settings(), Console(width=130)
    questions = QueryBuilder(model=settings.gemini_model)
    limits = GateLimits(
        dollars_per_hour=settings.gemini_dollars_per_stream_hour,
        video_share=settings.gemini_video_share,
    )
    try:
        results = asyncio.run(_results(options, questions, limits, console))
    except DemoError as error:
        sys.exit(f"error: {error}")
    if len(results) > 1:
        results.append(reduce(lambda one, two: one.plus(two, name="all kinds"), results))
    price = settings.gemini_price_table().price(questions.model, datetime.now(UTC))
    show(results, questions.model, price, console)
    console.print(f"- {_told_of_seeds(options)}", highlight=False)
    console.print(f"- {machine()}", highlight=False)


async def _results(
    options: argparse.Namespace, questions: QueryBuilder, limits: GateLimits, console: Console
) -> list[Result]:
    results = []
    pool = MediaPool(processes=2, memory_bytes=4 << 30, cpu_seconds=120, timeout=240)
    with FakeGemini() as fake_gemini:
        async with pool:
            for kind in options.kinds:
                with console.status(f"{kind}: making and watching {len(options.seeds)} matches"):
                    results.append(
                        await _result(kind, options, fake_gemini, questions, limits, pool=pool)
                    )
    return results


async def _result(
    kind: str,
    options: argparse.Namespace,
    fake_gemini: FakeGemini,
    questions: QueryBuilder,
    limits: GateLimits,
    *,
    pool: MediaPool,
) -> Result:
    profile = load_shipped_catalog().get(PROFILES[kind])
    with tempfile.TemporaryDirectory(prefix="cost-gate-") as folder:
        stream = await asyncio.to_thread(
            long_stream,
            kind,
            options.seeds,
            duration=options.duration,
            spacing=options.spacing,
            home=options.home,
            folder=Path(folder),
        )
        analyzers = Analyzers(fake_gemini, questions, pool, stream=stream, profile=profile)
        local = await analyzers.local()
        gated = await analyzers.gated(limits)
        ungated = await analyzers.ungated()
    return Result(
        name=kind,
        seconds=stream.seconds,
        moments=len(stream.moments),
        local=counted(local, stream),
        gated=counted(gated, stream),
        ungated=counted(ungated, stream),
        bill=gated.bill,
        ungated_bill=ungated.bill,
    )


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_gate", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=BLIND_SEEDS)
    parser.add_argument("--kinds", nargs="+", choices=list(PROFILES), default=list(PROFILES))
    parser.add_argument("--duration", type=float, default=300.0, help="seconds of each match")
    parser.add_argument(
        "--spacing", type=float, default=MEAN_SPACING, help="seconds between moments, on average"
    )
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    return parser.parse_args()


def _told_of_seeds(options: argparse.Namespace) -> str:
    seeds = options.seeds
    blind = "not blind" if set(seeds) & set(TUNING_SEEDS) else "blind: no rule was tuned on them"
    return (
        f"matches of {options.duration:g} s with a moment every {options.spacing:g} s, "
        f"seeds {', '.join(map(str, seeds))} of each kind, {blind}"
    )


if __name__ == "__main__":
    main()
