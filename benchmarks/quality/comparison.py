"""Every method on the same videos, compared with the same truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality.ablation import ABLATIONS, without
from benchmarks.quality.baselines import DENSITIES, PEAKS, UNIFORM, Found, Video, best
from benchmarks.quality.measurements import Measurements
from benchmarks.quality.metrics import (
    bootstrap_interval,
    boundary_errors,
    calibration,
    detect,
    f1,
    hit_at_1,
    hits,
    mean_average_precision,
    nearest_rank,
    pairs,
    saliency_of,
)
from benchmarks.quality.metrics.bounds import P90
from benchmarks.quality.metrics.detection import LOOSE
from benchmarks.quality.metrics.overlap import ranked
from benchmarks.quality.mistakes import mistakes
from benchmarks.quality.product import Findings, follow
from benchmarks.quality.report import Figures, Group, ProductFigures, Row
from benchmarks.quality.truth import GroundTruth
from domain.profiles.model import GameProfile

PRODUCT: Final = "product"
TRUE_COUNT: Final = ", true count"
"""Marks a method that is given the number of moments."""


class Subject(NamedTuple):
    """One video with its truth, and the profile of its game."""

    name: str
    truth: GroundTruth
    measured: Measurements
    profile: GameProfile


class Outcome(NamedTuple):
    """What was found in the same subjects by each method and by the product in parts."""

    subjects: tuple[Subject, ...]
    findings: tuple[Findings, ...]
    methods: Mapping[str, Sequence[Found]]
    ablations: Mapping[str, Sequence[Found]]


def run(subjects: Sequence[Subject]) -> Outcome:
    """Let each method find moments; the baselines are at their best over these subjects together.

    A method that lacks what it needs in one of them (sound, pictures, its tool) is left out.
    """
    findings = tuple(follow(each.measured, each.profile) for each in subjects)
    methods: dict[str, Sequence[Found]] = {
        PRODUCT: [_found(f, s) for f, s in zip(findings, subjects, strict=True)]
    }
    videos = [_video(subject) for subject in subjects]
    as_product = [len(found.clips) for found in findings]
    as_true = [len(subject.truth.moments) for subject in subjects]
    for name in (*PEAKS, *DENSITIES, UNIFORM):
        if name == UNIFORM or all(name in video.curves for video in videos):
            methods[name] = best(name, videos, as_product)
            methods[name + TRUE_COUNT] = best(name, videos, as_true)
    ablations = {name: [_without(name, subject) for subject in subjects] for name in ABLATIONS}
    return Outcome(tuple(subjects), findings, methods, ablations)


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Return all outcomes as one, with the methods that all of them have."""
    first = outcomes[0]
    return Outcome(
        tuple(s for each in outcomes for s in each.subjects),
        tuple(f for each in outcomes for f in each.findings),
        {
            name: [f for each in outcomes for f in each.methods[name]]
            for name in first.methods
            if all(name in each.methods for each in outcomes)
        },
        {name: [f for each in outcomes for f in each.ablations[name]] for name in first.ablations},
    )


def judge(name: str, outcome: Outcome, *, core_hour_usd: float) -> Group:
    """Return every figure of an outcome under a name."""
    return Group(
        name=name,
        videos=tuple(subject.name for subject in outcome.subjects),
        rows=tuple(_row(n, found, outcome.subjects) for n, found in outcome.methods.items()),
        ablations=tuple(_row(n, found, outcome.subjects) for n, found in outcome.ablations.items()),
        product=_product(outcome, core_hour_usd),
    )


def _video(subject: Subject) -> Video:
    curves = {name: np.array(curve) for name, curve in subject.measured.curves.items() if curve}
    return Video(subject.measured.duration, curves, subject.truth.moments)


def _found(findings: Findings, subject: Subject) -> Found:
    """The product's saliency is that of all it proposed, since what it rejects is ranked too."""
    return Found(findings.clips, saliency_of(findings.candidates, subject.measured.duration))


def _without(signal: str, subject: Subject) -> Found:
    left = without(signal, subject.measured.signals)
    return _found(follow(subject.measured, subject.profile, signals=left), subject)


def _row(method: str, found: Sequence[Found], subjects: Sequence[Subject]) -> Row:
    told = list(zip(found, subjects, strict=True))
    return Row(
        method=method,
        videos={subject.name: _figures(each, subject) for each, subject in told},
        bounds=boundary_errors([(each.clips, subject.truth.moments) for each, subject in told]),
    )


def _figures(found: Found, subject: Subject) -> Figures:
    relevance = subject.truth.relevance_over(subject.measured.duration)
    return Figures(
        **detect(found.clips, subject.truth.moments).model_dump(),
        hd_map=mean_average_precision(found.saliency, relevance),
        hit_at_1=hit_at_1(found.saliency, relevance),
    )


def _product(outcome: Outcome, core_hour_usd: float) -> ProductFigures:
    told = list(zip(outcome.findings, outcome.subjects, strict=True))
    said = [c.score for found, _ in told for c in ranked(found.candidates)]
    right = [
        hit
        for found, subject in told
        for hit in hits(found.candidates, subject.truth.moments, LOOSE)
    ]
    delays = [
        clip.shown_at - moment.height
        for found, subject in told
        for clip, moment in pairs(found.clips, subject.truth.moments, LOOSE)
        if moment is not None
    ]
    told_wrong = [mistakes(found.clips, subject.truth) for found, subject in told]
    spent = sum(subject.measured.cpu_seconds + found.cpu_seconds for found, subject in told)
    seconds = sum(subject.measured.duration for subject in outcome.subjects)
    return ProductFigures(
        f1_interval=bootstrap_interval([f1(f.clips, s.truth.moments) for f, s in told]),
        taken_for_moments=_most_first(kind for taken, _ in told_wrong for kind in taken),
        missed=_most_first(kind for _, missed in told_wrong for kind in missed),
        calibration=calibration(said, right),
        shown_after_median=nearest_rank(delays, 0.5) if delays else None,
        shown_after_p90=nearest_rank(delays, P90) if delays else None,
        cpu_share=spent / seconds,
        usd_per_stream_hour=spent / seconds * core_hour_usd,
    )


def _most_first(kinds: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(kinds).items(), key=lambda told: (-told[1], told[0])))
