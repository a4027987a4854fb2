"""Odds as evidence: how much a move of a market says about what happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.feed.models import OddsMove
from domain.score import log_odds

JUNK_MOVE: Final = 0.35
"""Move (nats of log odds) up to which odds say nothing: markets drift without any event."""

_FULL_MOVE: Final = 2.5
_MOST: Final = 0.6


def implied_probability(odds: float, *, margin: float) -> float:
    """Return the probability that decimal odds imply, without the bookmaker's margin."""
    return min(1.0, 1.0 / odds / (1.0 + margin))


def margin_of(market: Iterable[float]) -> float:
    """Return the bookmaker's margin of the decimal odds of all selections of a market.

    It is 0 for a market whose odds leave none, as on an exchange.
    """
    return max(0.0, sum(1.0 / odds for odds in market) - 1.0)


def size_of_move(move: OddsMove) -> float:
    """Return the change of the implied probability in nats of log odds; negative if it fell."""
    before, after = (
        log_odds(implied_probability(odds, margin=move.margin))
        for odds in (move.before, move.after)
    )
    return after - before


def importance_of_move(move: OddsMove) -> float:
    """Return how much a move counts, from 0 for junk to 0.6: less than an official event."""
    beyond = abs(size_of_move(move)) - JUNK_MOVE
    return round(_MOST * min(1.0, max(0.0, beyond / (_FULL_MOVE - JUNK_MOVE))), 3)


def words_of_move(move: OddsMove, *, market: str) -> str:
    """Return a move as text, such as `next goal: 2.40 → 1.25 in 3 s`."""
    duration = "" if move.seconds is None else f" in {move.seconds:g} s"
    return f"{market}: {move.before:.2f} → {move.after:.2f}{duration}"
