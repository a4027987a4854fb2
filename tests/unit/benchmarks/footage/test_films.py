"""Films are found by split, and sealed ones only on request."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.footage.films import SealedError, find_films, score_clips
from benchmarks.quality.metrics import Interval
from tools.footage.manifest import Entry
from tools.footage.truth import Film, Moment, Truth

MANIFEST = {
    "arena": Entry(split="fit", profile="default", seeds=(1,), minutes=1),
    "tennis": Entry(split="validate", profile="tennis", seeds=(1,), minutes=1),
    "racing": Entry(split="sealed", profile="default", seeds=(1,), minutes=1),
}
MOMENTS = tuple(
    Moment(start=at, end=at + 10, peak=at + 5, kind="goal", weight=0.5) for at in (10, 50)
)


def truth(game: str, *dressing: str) -> Truth:
    film = Film(
        game=game,
        kind="any",
        seed=1,
        duration=100,
        pictures="the game's",
        players="scripted",
        dressing=dressing,
    )
    return Truth(film=film, moments=MOMENTS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Films of three games, a dressed copy, a truth without its film, and an unknown game."""
    for name, each in {
        "arena-1": truth("arena"),
        "tennis-1": truth("tennis"),
        "tennis-1-copy": truth("tennis", "advert"),
        "racing-1": truth("racing"),
        "chess-1": truth("chess"),
    }.items():
        each.write(tmp_path / f"{name}.json")
        (tmp_path / f"{name}.mp4").touch()
    truth("tennis").write(tmp_path / "tennis-2.json")
    return tmp_path


def test_the_films_of_a_split_are_found(folder: Path) -> None:
    found = find_films(folder, MANIFEST, {"validate"}, open_sealed=False)
    assert [film.video.name for film in found] == ["tennis-1-copy.mp4", "tennis-1.mp4"]
    assert {film.group for film in found} == {"tennis", "tennis dressed"}


def test_sealed_films_are_refused_without_the_option_that_opens_them(folder: Path) -> None:
    with pytest.raises(SealedError, match="--open-sealed"):
        find_films(folder, MANIFEST, {"fit", "sealed"}, open_sealed=False)
    found = find_films(folder, MANIFEST, {"sealed"}, open_sealed=True)
    assert [film.video.name for film in found] == ["racing-1.mp4"]


def test_clips_are_compared_with_moments_and_their_share_of_the_film_is_counted() -> None:
    clips = [
        Interval(start=10, end=20, score=0.9),
        Interval(start=15, end=25, score=0.5),
        Interval(start=80, end=85, score=0.4),
    ]
    scores = score_clips(clips, truth("arena"), 100.0)
    assert (scores.clips, scores.covered, scores.peak_recall) == (3, 0.2, 0.5)
    assert scores.ap_50 == pytest.approx(0.5)


def test_the_errors_of_bounds_are_those_of_clips_that_hit_a_moment() -> None:
    clips = [
        Interval(start=9, end=22, score=0.9),
        Interval(start=51, end=58, score=0.8),
        Interval(start=80, end=85, score=0.4),
    ]
    scores = score_clips(clips, truth("arena"), 100.0)
    assert (scores.start_error, scores.end_error) == (1, 2)
    assert score_clips(clips[2:], truth("arena"), 100.0).start_error is None
