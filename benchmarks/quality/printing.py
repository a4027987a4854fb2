"""The benchmark's results, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.quality.report import Group, Report, Row
from benchmarks.quality.tools import TOOLS


def show(report: Report, console: Console) -> None:
    """Print everything, with what is needed to judge it."""
    for group in report.groups:
        for table in _tables(group, parts=group is report.groups[-1]):
            console.print(table)
    for note in (*report.notes, *_reading(report)):
        console.print(f"- {note}", highlight=False, markup=False, soft_wrap=True)


def _reading(report: Report) -> Iterator[str]:
    """Print the notes that explain the tables."""
    yield (
        "precision, recall and F1 at IoU 0.3; start and end: absolute errors of the clips that hit"
    )
    yield (
        "baselines: parameters chosen on these very videos; as many clips as the product found, or "
        "as there are true moments"
    )
    if missing := sorted({name for name, _ in TOOLS.values()} - report.tools.keys()):
        yield f"not installed, so not compared with: {', '.join(missing)} (`make bench` does)"
    if report.tools:
        yield ", ".join(f"{name} {version}" for name, version in sorted(report.tools.items()))
    yield f"${report.core_hour_usd:g} for an hour of a core; nothing is sent to a paid model"
    yield report.machine


def _tables(group: Group, *, parts: bool) -> Iterator[Table]:
    """Yield the methods side by side, with `parts` the product without each signal, and the rest.

    The product in parts is shown of the last group only, which holds all videos: of a few, what a
    signal is worth would be chance.
    """
    what = f"{group.name} ({len(group.videos)} video{'s' * (len(group.videos) != 1)})"
    yield _methods(f"{what}: methods", group.rows)
    if parts:
        yield _methods(f"{what}: the product without …", (group.rows[0], *group.ablations))
    yield _product(f"{what}: the product", group)


def _methods(title: str, rows: Sequence[Row]) -> Table:
    shown = Table(title=title, box=box.SIMPLE, padding=(0, 0, 0, 1), title_justify="left")
    shown.add_column("", no_wrap=True)
    for heading in (
        "clips", "prec.", "recall", "F1", "AP\n@0.5", "AP\n@0.7", "mean\nIoU", "HD\nmAP", "HIT\n@1",
        "start s\nmed/p90", "end s\nmed/p90",
    ):  # fmt: skip
        shown.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        figures, bounds = row.mean, row.bounds
        shown.add_row(
            row.method,
            f"{figures.found:.3g}",
            *(
                f"{figure:.2f}"
                for figure in (
                    figures.precision, figures.recall, figures.f1, figures.ap_50, figures.ap_70,
                    figures.mean_iou, figures.hd_map, figures.hit_at_1,
                )
            ),
            _both(bounds.start_median, bounds.start_p90),
            _both(bounds.end_median, bounds.end_p90),
        )  # fmt: skip
    return shown


def _product(title: str, group: Group) -> Table:
    shown = Table(title=title, box=box.SIMPLE, title_justify="left", show_header=False)
    product, told = group.product, group.product.calibration
    if len(group.videos) > 1:
        shown.add_row("F1, 95 % interval", "{:.2f} to {:.2f}".format(*product.f1_interval))
    shown.add_row("false clips on", _counted(product.taken_for_moments, nothing="nothing staged"))
    shown.add_row("missed moments", _counted(product.missed, nothing="of no kind"))
    shown.add_row("calibration (ECE)", f"{told.ece:.3f} over {told.count} candidates")
    shown.add_row(
        "peak to shown, s of media", _both(product.shown_after_median, product.shown_after_p90)
    )
    shown.add_row("CPU for each stream", f"{product.cpu_share:.2%} of a core")
    shown.add_row("analysis of a stream-hour", f"${product.usd_per_stream_hour:.5f}")
    return shown


def _both(median: float | None, p90: float | None) -> str:
    return "-" if median is None or p90 is None else f"{median:.1f}/{p90:.1f}"


def _counted(kinds: Mapping[str, int], *, nothing: str) -> str:
    return ", ".join(f"{count} {kind or nothing}" for kind, count in kinds.items()) or "none"
