"""All methods are judged by the same truth, over the same videos."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.quality.ablation import ABLATIONS
from benchmarks.quality.baselines import UNIFORM
from benchmarks.quality.comparison import PRODUCT, TRUE_COUNT, Subject, joined, judge, run
from benchmarks.quality.measurements import measure
from benchmarks.quality.printing import show
from benchmarks.quality.report import Group, Report
from benchmarks.quality.truth import GroundTruth, Moment
from infra.profiles.store import load_shipped_catalog
from tests.unit.benchmarks.quality.conftest import CHANGE, SECONDS, make


@pytest.fixture(scope="session")
def subjects(short: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Subject]:
    """The short video with and without its sound; what is white and loud is true."""
    home = tmp_path_factory.mktemp("home")
    deaf = make(home / "deaf.mp4", sound=False)
    truth = GroundTruth(form="ours", moments=(Moment(start=CHANGE, end=SECONDS),))
    profile = load_shipped_catalog().get("default")
    return (
        Subject("short", truth, measure(short, home=home), profile),
        Subject("deaf", truth, measure(deaf, home=home), profile),
    )


def _judged(*subjects: Subject) -> Group:
    return judge("videos", run(subjects), core_hour_usd=0.5)


def test_every_method_is_there_with_both_numbers_of_clips(
    subjects: tuple[Subject, Subject],
) -> None:
    methods = [row.method for row in _judged(subjects[0]).rows]
    assert methods[0] == PRODUCT
    for name in ("loudness peaks", "scene-cut density", UNIFORM):
        assert name in methods
        assert name + TRUE_COUNT in methods


def test_the_product_is_judged_without_each_signal(subjects: tuple[Subject, Subject]) -> None:
    assert [row.method for row in _judged(subjects[0]).ablations] == list(ABLATIONS)


def test_a_method_that_one_video_lacks_the_means_for_is_left_out_for_all(
    subjects: tuple[Subject, Subject],
) -> None:
    whole, deaf = run(subjects[:1]), run(subjects[1:])
    both = [row.method for row in judge("all", joined([whole, deaf]), core_hour_usd=0.5).rows]
    assert "loudness peaks" not in both
    assert "scene-cut density" in both
    assert both == [row.method for row in _judged(*subjects).rows]


def test_the_mean_counts_every_video_alike(subjects: tuple[Subject, Subject]) -> None:
    group = _judged(*subjects)
    cuts = next(row for row in group.rows if row.method == "scene-cut density" + TRUE_COUNT)
    assert cuts.videos.keys() == {"short", "deaf"}
    assert cuts.mean.f1 == pytest.approx(sum(each.f1 for each in cuts.videos.values()) / 2)


def test_an_hour_costs_its_share_of_an_hour_of_a_core(subjects: tuple[Subject, Subject]) -> None:
    product = _judged(subjects[0]).product
    assert product.usd_per_stream_hour == pytest.approx(product.cpu_share * 0.5)
    assert product.cpu_share > 0


def test_the_report_prints_every_method_and_says_what_it_stands_on(
    subjects: tuple[Subject, Subject],
) -> None:
    report = Report(
        machine="a machine",
        core_hour_usd=0.5,
        tools={"librosa": "1.0.0"},
        groups=(_judged(subjects[0]),),
        notes=("a note",),
    )
    console = Console(width=110, record=True, file=StringIO())
    show(report, console)
    printed = console.export_text()
    for row in (*report.groups[0].rows, *report.groups[0].ablations):
        assert f" {row.method} " in printed
    for words in ("a machine", "a note", "librosa 1.0.0", "not compared with: scenedetect", "$0.5"):
        assert words in printed
