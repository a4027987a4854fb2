"""Choosing for variety: a little score given up for a selection that repeats itself less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from domain.profile import DiversityMethod
from domain.similarity import Describable, likeness


class _Variety(Protocol):
    """What choosing an item next would add in variety, given those taken so far."""

    def __init__(self, items: Sequence[Describable], places: int) -> None: ...
    def gain(self, index: int) -> float: ...
    def take(self, index: int) -> None: ...


class _Novelty:
    """Maximal marginal relevance: minus the greatest likeness to an item already taken."""

    def __init__(self, items: Sequence[Describable], places: int) -> None:  # noqa: ARG002 -- protocol
        self._items = items
        self._nearest = [0.0] * len(items)

    def gain(self, index: int) -> float:
        return -self._nearest[index]

    def take(self, index: int) -> None:
        taken = self._items[index]
        self._nearest = [
            max(near, likeness(item, taken))
            for near, item in zip(self._nearest, self._items, strict=True)
        ]


class _Coverage:
    """The share of all tags that an item would show for the first time, times the places."""

    def __init__(self, items: Sequence[Describable], places: int) -> None:
        self._tags = [frozenset(item.tags) for item in items]
        self._worth = places / max(1, len(frozenset[str]().union(*self._tags)))
        self._shown: set[str] = set()

    def gain(self, index: int) -> float:
        return self._worth * len(self._tags[index] - self._shown)

    def take(self, index: int) -> None:
        self._shown |= self._tags[index]


_VARIETY: Final[dict[DiversityMethod, type[_Variety]]] = {
    DiversityMethod.MMR: _Novelty,
    DiversityMethod.COVERAGE: _Coverage,
}


def choose_diverse(
    items: Sequence[Describable],
    scores: Sequence[float],
    *,
    places: int,
    weight: float,
    method: DiversityMethod,
) -> list[int]:
    """Return the indices of at most `places` items, in the order in which they were chosen.

    `items` come best first, so that equal gains go to the better. At each step the item with the
    largest gain is taken:

    * MMR: `(1 - weight) * score - weight * (greatest likeness to one already taken)`
      (Carbonell & Goldstein, SIGIR 1998).
    * coverage: `(1 - weight) * score + weight * places * (share of all tags newly shown)`, the
      marginal gain of a monotone submodular function, for which greedy choice reaches at least
      1 - 1/e of the optimum (Nemhauser, Wolsey & Fisher 1978).

    An item whose score rises is never dropped: until it is taken, no other gain has changed.
    """
    variety = _VARIETY[method](items, places)
    left = list(range(len(items)))
    chosen: list[int] = []
    while left and len(chosen) < places:
        best = max(left, key=lambda i: (1 - weight) * scores[i] + weight * variety.gain(i))
        left.remove(best)
        chosen.append(best)
        variety.take(best)
    return chosen
