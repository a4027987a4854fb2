"""`python -m benchmarks.scale [--write]`: prints the tables of docs/scale.md, or writes them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from benchmarks.scale.evening import Evening, simulate
from benchmarks.scale.figures import ScaleFigures
from benchmarks.scale.fleet import Fleet
from deploy.sizes import Sizes

T = TypeVar("T")

PAGE: Final = Path(__file__).parents[2] / "docs" / "scale.md"
STREAMS: Final = (10, 100, 1_000, 10_000)


def tables() -> dict[str, str]:
    """Return each table in Markdown, by its name in the page."""
    figures, sizes = ScaleFigures.read(), Sizes.read()
    fleets = [Fleet(figures, sizes, streams) for streams in STREAMS]
    evenings = [simulate(figures, sizes, streams) for streams in STREAMS]
    return {
        "work": _by_streams(_WORK, fleets),
        "evening": _by_streams(_EVENING, evenings),
        "machines": _by_streams(_MACHINES, fleets),
        "dollars": _dollars(figures, fleets),
        "limits": _rows(
            ("streams", "what breaks", "what to do"),
            ((f"{each.streams:,}", each.name, each.remedy) for each in fleets[-1].limits()),
        ),
        "sources": _rows(
            ("figure", "value", "from"),
            (
                (name.replace("_", " "), f"{each.value:,.10g}", _source(each.source))
                for group in (figures.measured, figures.settings, figures.prices, figures.limits)
                for name, each in group.items()
            ),
        ),
        "assumed": _rows(
            ("assumption", "value"),
            ((name.replace("_", " "), f"{each:g}") for name, each in figures.assumed.items()),
        ),
    }


_WORK: Final[Mapping[str, Callable[[Fleet], str]]] = {
    "history events an hour": lambda fleet: _number(
        (fleet.per_second("stream_events") + fleet.per_second("clip_events")) * 3600
    ),
    "Temporal actions a second": lambda fleet: _number(fleet.per_second("actions")),
    "requests to Temporal a second": lambda fleet: _number(fleet.requests_per_second),
    "cores: ingest and analysis": lambda fleet: _number(fleet.follow_cores),
    "cores: rendering": lambda fleet: _number(fleet.render_cores),
    "PUT requests to S3 a second": lambda fleet: _number(fleet.per_second("s3_puts")),
    "segments in S3, GB": lambda fleet: _number(fleet.stored_gb),
    "clips an hour, GB": lambda fleet: _number(fleet.clip_gb_per_hour),
    "database transactions a second": lambda fleet: _number(fleet.per_second("transactions")),
    "rows written a second": lambda fleet: _number(
        fleet.per_second("rows_inserted") + fleet.per_second("rows_updated")
    ),
    "WAL, MB a second": lambda fleet: _number(fleet.per_second("wal_bytes") / 1e6),
    "highlights an hour": lambda fleet: _number(fleet.per_second("clips") * 3600),
}
_MACHINES: Final[Mapping[str, Callable[[Fleet], str]]] = {
    "streams for each task of `worker-io`": lambda fleet: _number(fleet.streams_per_task),
    "tasks of `worker-io`": lambda fleet: _number(fleet.follower_tasks),
    "memory that each uses, MiB": lambda fleet: _number(fleet.follower_mib),
    "database connections, at most": lambda fleet: _number(fleet.connections),
}
_EVENING: Final[Mapping[str, Callable[[Evening], str]]] = {
    "starts a second": lambda evening: _number(evening.starts_per_second),
    "Temporal actions in the busiest second": lambda evening: _number(evening.peak_actions),
    "clips rendered by another worker, %": lambda evening: f"{100 * evening.renders_elsewhere:.1f}",
    "wait for a rendering, p99, s": lambda evening: f"{evening.wait_p99:.1f}",
    "the longest, s": lambda evening: f"{evening.wait_max:.1f}",
}


def _by_streams(rows: Mapping[str, Callable[[T], str]], columns: Iterable[T]) -> str:
    return _rows(
        ("streams at a time", *(f"{streams:,}" for streams in STREAMS)),
        ((name, *map(row, columns)) for name, row in rows.items()),
    )


def _dollars(figures: ScaleFigures, fleets: list[Fleet]) -> str:
    costs = [fleet.dollars() for fleet in fleets]
    rows = [(item, *(f"{each[item]:.4f}" for each in costs)) for item in costs[0]]
    totals = [sum(each.values()) for each in costs]
    gemini = figures["gemini_dollars"]
    rows.append(("**in all**", *(f"**{each:.2f}**" for each in totals)))
    rows.append(("with Gemini", *(f"{each + gemini:.2f}" for each in totals)))
    return _rows(("dollars per stream-hour", *(f"{each:,}" for each in STREAMS)), rows)


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _source(source: str) -> str:
    if source.startswith("https:"):
        return f"[{source.split('/')[2]}]({source})"
    return "this page" if source == "docs/scale.md" else f"`{source}`"


def replaced(page: str) -> str:
    """Return the page with the tables of now."""
    for name, table in tables().items():
        before, start, rest = page.partition(f"<!-- table: {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"{PAGE} has no place for the table {name}")
        page = f"{before}{start}{table}\n{end}{after}"
    return page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables to docs/scale.md")
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text("utf-8")), "utf-8")
        return
    for name, table in tables().items():
        print(f"{name}\n\n{table}\n")


if __name__ == "__main__":
    main()
