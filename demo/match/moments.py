"""How a true moment is staged: build-up, peak, celebration, replay and decay."""

from __future__ import annotations

from typing import Final, Literal

from demo.match.script import Moment, ShotView
from demo.match.sport import Recipe
from demo.match.stage import Stage

Weakness = Literal["none", "crowd", "voice", "picture", "late"]
HUSHED: Final = (5.0, 7.0)
"""Range of dB by which a hushed crowd is quieter than the recipe's."""
CALM: Final = (0.5, 0.62)
"""Range of what is left of a calm commentator's excitement."""
_CELEBRATION: tuple[ShotView, ...] = ("close", "crowd", "close")


def stage_moment(stage: Stage, recipe: Recipe, peak: float, weakness: Weakness) -> float:
    """Stage a moment that peaks at `peak` seconds; return when its aftermath is over (seconds).

    One cue may be weak, as in life: a hushed crowd, a calm commentator, no replay, or a crowd
    that only believes it seconds later. The others then carry it.
    """
    before = stage.between(recipe.before)
    hold = stage.between(recipe.hold)
    delay = stage.between((1.5, 2.4)) if weakness == "late" else stage.between((0.05, 0.4))
    after = max(6.0 - before, min(delay + hold + stage.between((2.2, 4.2)), 16.0 - before))
    start, end = peak - before, peak + after
    _hear_crowd(stage, recipe, peak=peak, before=before, hold=hold, delay=delay, weakness=weakness)
    _hear_commentator(stage, recipe, peak=peak, before=before, hold=hold, weakness=weakness)
    _play(stage, recipe, peak, start, end)
    done = _show(stage, recipe, peak=peak, hold=hold, end=end, weakness=weakness)
    stage.moments.append(
        Moment(start=round(start, 3), end=round(end, 3), peak=round(peak, 3), kind=recipe.kind)
    )
    stage.busy.append((start - 1.0, done))
    return done


def _hear_crowd(
    stage: Stage,
    recipe: Recipe,
    *,
    peak: float,
    before: float,
    hold: float,
    delay: float,
    weakness: Weakness,
) -> None:
    height = stage.between(recipe.crowd) - (stage.between(HUSHED) if weakness == "crowd" else 0)
    build = stage.between((2.5, 5.5))
    top = peak + delay + stage.between((0.25, 0.6))
    decay = stage.between((4.5, 8.5))
    rise = 0.0 if recipe.hush else build
    stage.swell(
        stage.crowd,
        (
            (peak - before - 1, 0),
            (peak - 0.4, rise),
            (peak + delay, rise),
            (top, height),
            (top + hold, height * 0.92),
            (top + hold + decay * 0.35, height * 0.5),
            (top + hold + decay, 0),
        ),
    )
    if recipe.hush:
        depth = stage.between((-8, -4))
        stage.swell(
            stage.match_level,
            (
                (peak - before - 0.5, 0),
                (peak - before + 0.6, depth),
                (peak - 0.2, depth),
                (peak, 0),
            ),
        )


def _hear_commentator(
    stage: Stage, recipe: Recipe, *, peak: float, before: float, hold: float, weakness: Weakness
) -> None:
    height = stage.between(recipe.voice) * (stage.between(CALM) if weakness == "voice" else 1)
    build = stage.between((0.4, 0.55)) if recipe.attack else stage.between((0.25, 0.4))
    shout = hold + stage.between((1.5, 3))
    stage.swell(
        stage.voice,
        (
            (peak - before, 0.2),
            (peak - 0.4, min(build, height)),
            (peak + 0.1, height),
            (peak + shout, height * 0.9),
            (peak + shout + 5, 0.25),
        ),
    )


def _play(stage: Stage, recipe: Recipe, peak: float, start: float, end: float) -> None:
    sport = stage.sport
    side = 0.07 if stage.chance(0.5) else 0.93
    if recipe.attack:
        pace = stage.between((2.2, 3.0))
        stage.swell(
            stage.activity,
            ((start - 1, 1), (start + 0.5, pace), (peak + 0.8, pace), (peak + 2.5, 1.4), (end, 1)),
        )
        stage.ball += [
            (start - 0.5, 0.5 + 0.25 * (0.5 - side), 0.5),
            (peak - 1.2, 0.5 + 0.75 * (side - 0.5), stage.between((0.15, 0.85))),
            (peak, side, stage.between((0.42, 0.58))),
            (end, side, 0.5),
        ]
        stage.cue(sport.touch, peak - 0.3, peak, stage.between((-20, -15)))
    else:
        spot = stage.between((0.25, 0.75))
        stage.ball += [(start, spot, 0.5), (end, spot, 0.5)]
        stage.swell(stage.activity, ((start, 0.5), (end, 0.5)))
    if sport.touch == "shot":
        for _ in range(int(stage.between((6, 12)))):
            at = peak - stage.between((-0.3, 3.2))
            stage.cue("shot", at, at + 0.5, stage.between((-26, -19)))
    if recipe.signal is not None:
        at = peak - recipe.signal
        stage.cue(sport.referee, at, at + stage.between((0.5, 1.0)), stage.between((-25, -19)))
    if recipe.score:
        stage.score(
            peak + stage.between((0.8, 2.2)), home=side > 0.5, points=recipe.score * sport.points
        )


def _show(
    stage: Stage, recipe: Recipe, *, peak: float, hold: float, end: float, weakness: Weakness
) -> float:
    """Cut the pictures; return the time at which the ordinary coverage resumes."""
    if not recipe.attack:
        stage.cuts(peak - stage.between((1.8, 2.6)), ("close", "close"), (1.6, 2.4))
    elif stage.chance(0.5):
        stage.shot(peak - stage.between((1.2, 2.4)), "tight")
    if recipe.banner:
        at = peak + stage.between((0, 0.5))
        stage.caption(at, at + stage.between((3, 4.5)), recipe.banner, flash=True)
    if recipe.score > 0:
        stage.caption(
            peak + 1.2, peak + 5.2, recipe.kind.replace("_", " ").upper() + "!", flash=True
        )
    at = peak + stage.between((0.9, 1.8))
    if weakness == "picture":
        at = stage.cuts(at + 1.5, ("close",), (2, 3))
        stage.shot(at, "wide")
        return max(at, end)
    at = stage.cuts(at, _CELEBRATION[: 1 + int(hold > 1.5) + int(hold > 2.8)], (1.3, 2.3))
    at = max(at, end - stage.between((0.5, 2.5)))
    if stage.chance(0.8):
        at = stage.replay(at, peak, cuts=int(stage.rng.integers(1, 4)))
    stage.shot(at, "wide")
    return max(at, end)
