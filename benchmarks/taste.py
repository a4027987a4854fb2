"""`python -m benchmarks.taste`: what feedback is worth, by simulated tenants on films of games."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Final, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.footage.films import FilmFile, best_of, find_films
from benchmarks.quality.measurements import measure
from benchmarks.quality.product import follow
from benchmarks.quality.report import machine
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.feedback import FeedbackVerdict
from domain.highlights.taste import Judgement, Taste, apply_taste, fit_taste, judge
from domain.score import log_odds
from infra.profiles.store import load_shipped_catalog
from tools.footage.manifest import films_folder, read_manifest

COUNTS: Final = (20, 50, 200)
"""Judgements after which a taste is compared with the shared score."""

MISTAKEN: Final = 0.1
"""Share of verdicts that a simulated tenant gives by mistake."""

_ACTION: Final = frozenset({"multi-kill", "flurry", "frag at low health", "long rally", "bridge"})
_SOUND: Final = frozenset({"crowd", "crowd_level", "loudness", "voice", "voice_level"})
_PICTURE: Final = frozenset({"motion", "jolt", "cuts", "cut", "screen"})
_EARLIER, _LATER = 2.0, 1.5  # margins of the default profile's clips


class Example(NamedTuple):
    """A candidate of a film, and the kinds of the moments that its clip shows."""

    film: str
    candidate: HighlightCandidate
    kinds: frozenset[str]


Likes = Callable[[Example], bool]


def _leads(example: Example, signals: frozenset[str]) -> bool:
    """Return True if the weightiest evidence is one of these signals, and speaks for it."""
    first = example.candidate.evidence[:1]
    return any(each.signal in signals and each.strength > 0 for each in first)


TENANTS: Final[dict[str, Likes]] = {
    "moments of action": lambda each: bool(each.kinds & _ACTION),
    "moments that decide": lambda each: bool(each.kinds - _ACTION),
    "what is heard": lambda each: _leads(each, _SOUND),
    "what is seen": lambda each: _leads(each, _PICTURE),
}
"""Simulated tenants by what they like: two pairs of opposites."""


def main() -> None:
    """Print how well each tenant's own moments rank before and after its feedback."""
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.taste", description=main.__doc__)
    parser.add_argument("--films", type=Path, default=films_folder(), help="folder of the films")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    parser.add_argument("--draws", type=int, default=5, help="simulated tenants of each kind")
    options = parser.parse_args()
    console = Console(width=110)
    films = find_films(options.films, read_manifest(), {"fit", "validate"}, open_sealed=False)
    if not films:
        console.print(f"There are no films in {options.films}: `make footage`.")
        return
    examples = [each for film in films for each in _examples(film, options.home)]
    console.print(f"{len(films)} films, {len(examples)} candidates", highlight=False)
    shown = Table(box=box.SIMPLE, title="AUC of the tenant's own moments", title_justify="left")
    shown.add_column("a tenant that likes", no_wrap=True)
    for heading in ("share", "shared score", *(f"after {count}" for count in COUNTS)):
        shown.add_column(heading, justify="right", no_wrap=True)
    for name, likes in TENANTS.items():
        shown.add_row(name, *_row(examples, likes, likes, options.draws, MISTAKEN))
    anything = _shows_a_moment
    shown.add_row(
        "at random; AUC of any moment", *_row(examples, anything, anything, options.draws, 0.5)
    )
    shown.add_row(
        "no moment, of spite; likewise", *_row(examples, anything, anything, options.draws, 1.0)
    )
    console.print(shown)
    console.print(f"- {machine()}", highlight=False)


def _shows_a_moment(example: Example) -> bool:
    return bool(example.kinds)


def _examples(film: FilmFile, home: Path) -> Iterator[Example]:
    profile = best_of(load_shipped_catalog().get(film.entry.profile))
    found = follow(measure(film.video, home=home, hud=profile.hud), profile)
    for each in found.proposed:
        first, last = each.start - _EARLIER, each.end + _LATER
        kinds = {m.kind for m in film.truth.moments if first <= m.peak <= last}
        yield Example(film.video.stem, each, frozenset(kinds))


def _row(
    examples: Sequence[Example], wanted: Likes, likes: Likes, draws: int, mistaken: float
) -> list[str]:
    share = mean(map(wanted, examples))
    values = worth(examples, wanted, likes, draws=draws, mistaken=mistaken)
    return [f"{share:.2f}", *(f"{value:.2f}" for value in values)]


def worth(
    examples: Sequence[Example], wanted: Likes, likes: Likes, *, draws: int, mistaken: float
) -> list[float]:
    """Return the AUC of wanted candidates by the shared score, then after each of `COUNTS`.

    Args:
        examples: candidates of all films.
        wanted: what is to be ranked first.
        likes: what the tenant likes.
        draws: simulated tenants, which judge other candidates.
        mistaken: share of verdicts that are the opposite.

    Returns:
        Means over tenants, on films that they gave no feedback on.
    """
    values = [
        [
            _auc(judged_on, wanted, Taste()),
            *(
                _auc(judged_on, wanted, _taste(shown, likes, count, seed, mistaken))
                for count in COUNTS
            ),
        ]
        for shown, judged_on in _folds(examples)
        for seed in range(draws)
    ]
    return [mean(column) for column in zip(*values, strict=True)]


def _folds(examples: Sequence[Example]) -> Iterator[tuple[list[Example], list[Example]]]:
    """Yield the better half of the candidates of some films, and all candidates of the others."""
    for number in ("-11", "-12"):
        own = [each for each in examples if number in each.film]
        own.sort(key=lambda each: -_odds(each.candidate))
        yield own[: len(own) // 2], [each for each in examples if number not in each.film]


def _taste(shown: Sequence[Example], likes: Likes, count: int, seed: int, mistaken: float) -> Taste:
    drawn = random.Random(seed)
    given = []
    for _ in range(count):
        example = drawn.choice(shown)
        liked = likes(example) != (drawn.random() < mistaken)
        given.append(_judgement(example.candidate, liked=liked))
    return fit_taste(given, version=1)


def _judgement(about: HighlightCandidate, *, liked: bool) -> Judgement:
    return judge(
        about,
        clip_start=about.start,
        clip_end=about.end,
        verdict=FeedbackVerdict.LIKE if liked else FeedbackVerdict.DISLIKE,
        correction=None,
    )


def _auc(examples: Sequence[Example], wanted: Likes, taste: Taste) -> float:
    """Return how often a wanted candidate has a better score than another one (Hanley 1982)."""
    odds = [(_odds(apply_taste(each.candidate, taste)), wanted(each)) for each in examples]
    good = [value for value, is_wanted in odds if is_wanted]
    rest = [value for value, is_wanted in odds if not is_wanted]
    return mean((a > b) + 0.5 * (a == b) for a in good for b in rest)


def _odds(candidate: HighlightCandidate) -> float:
    return mean(map(log_odds, candidate.score.dimensions().values()))


if __name__ == "__main__":
    main()
