"""Similarity of highlights: duplicate detection, resemblance, and diverse selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rapidfuzz import fuzz

from domain.analysis.scoring import SIGNAL_TAGS
from domain.profiles.model import DiversityMethod, SimilarityThresholds

SIMILAR_WITHIN: Final = 90.0
"""Seconds between peaks beyond which likeness no longer means repetition.

Broadcast replays follow within about a minute of the event; two like moments further apart (two
corners, two aces) are two moments."""


TELLING_WORDS: Final = 4
"""Minimum words of a text that can identify a moment; fewer ("Goal!") are too general."""


SIGNS: Final = 2
"""Signs that must agree before two moments are taken for one."""


SHARED: Final = 0.5
"""Share of the shorter of two clips beyond which they show the same seconds."""


class Describable(Protocol):
    """Attributes that similarity compares."""

    @property
    def start(self) -> float:
        """Seconds of media time."""

    @property
    def end(self) -> float:
        """Seconds of media time."""

    @property
    def text(self) -> str:
        """Normalized text, as `describe` returns it."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the moment."""

    @property
    def thumbnail_hash(self) -> str | None:
        """Perceptual hash in hexadecimal."""


def describe(title: str, description: str) -> str:
    """Return the normalized text to compare: distinct words of title and description, sorted."""
    words = "".join(
        letter if letter.isalnum() else " " for letter in f"{title} {description}".lower()
    )
    return " ".join(sorted(set(words.split())))


def time_overlap(one: Describable, two: Describable) -> float:
    """Return intersection over union of the two spans, in [0, 1]."""
    shared = min(one.end, two.end) - max(one.start, two.start)
    if shared <= 0:
        return 0.0
    return shared / (max(one.end, two.end) - min(one.start, two.start))


def share_of_shorter(one: tuple[float, float], two: tuple[float, float]) -> float:
    """Return the share of the shorter span (s) that lies within the other, in [0, 1]."""
    shared = min(one[1], two[1]) - max(one[0], two[0])
    shorter = min(one[1] - one[0], two[1] - two[0])
    return min(1.0, shared / shorter) if shared > 0 and shorter > 0 else 0.0


def text_similarity(one: Describable, two: Describable) -> float:
    """Return RapidFuzz's normalised indel similarity of the sorted words, in [0, 1]."""
    return fuzz.ratio(one.text, two.text) / 100 if one.text and two.text else 0.0


def tag_similarity(one: Describable, two: Describable) -> float:
    """Return the Jaccard index of the tags, in [0, 1]; 0 when neither has any."""
    return _jaccard(set(one.tags), set(two.tags))


def _jaccard(one: set[str], two: set[str]) -> float:
    return len(one & two) / len(one | two) if one | two else 0.0


def hash_distance(one: str | None, two: str | None) -> int | None:
    """Return the Hamming distance in bits of two hexadecimal perceptual hashes.

    None when either is missing, is not hexadecimal, or their lengths differ.
    """
    if one is None or two is None or len(one) != len(two):
        return None
    try:
        return (int(one, 16) ^ int(two, 16)).bit_count()
    except ValueError:
        return None


def same_moment(one: Describable, two: Describable, limits: SimilarityThresholds) -> str | None:
    """Return in words why the two are the same moment, or None when they are not.

    Spans that overlap by `limits.time_overlap` are the same moment. Otherwise two signs must
    agree, since one alone misleads: wide shots of one pitch look alike, and analyzers repeat
    their phrases. With both thumbnails known, the picture must be one of the two; without, text
    of at least `TELLING_WORDS` words and the tags must agree. Tags that name a signal do not
    count: a save and a card shown by the same camera have the same crowd, voice and cuts.
    """
    overlap = time_overlap(one, two)
    if overlap >= limits.time_overlap:
        return f"their spans overlap by {overlap:.0%}"
    signs = agreeing_signs(one, two, limits)
    return " and ".join(signs) if len(signs) >= SIGNS else None


def agreeing_signs(
    one: Describable, two: Describable, limits: SimilarityThresholds
) -> tuple[str, ...]:
    """Return which of picture, text and tags agree, as words; empty if the pictures differ."""
    signs: list[str] = []
    distance = hash_distance(one.thumbnail_hash, two.thumbnail_hash)
    if distance is not None:
        if distance > limits.thumbnail_distance:
            return ()
        signs.append(f"their pictures differ by {distance} bits of 64")
    text = text_similarity(one, two)
    telling = min(one.text.count(" "), two.text.count(" ")) + 1 >= TELLING_WORDS
    if text >= limits.text and (telling or distance is not None):
        signs.append(f"their texts agree to {text:.0%}")
    tags = _jaccard(set(one.tags) - SIGNAL_TAGS, set(two.tags) - SIGNAL_TAGS)
    if tags >= limits.tags:
        signs.append(f"their tags agree to {tags:.0%}")
    return tuple(signs)


def likeness(one: Describable, two: Describable) -> float:
    """Return how alike two moments are in kind, in [0, 1]: the mean of tags and text agreement."""
    return (tag_similarity(one, two) + text_similarity(one, two)) / 2


PICTURE_REACH: Final = 10
"""Bits of 64 by which two pictures may differ to be called alike.

Pictures that have nothing to do with each other differ by half of them; less than twelve can be
found by parts of the hash (`nearby_parts`)."""


PARTS: Final = 4


_PART_BITS: Final = 16


_UNRELATED: Final = 32


@dataclass(frozen=True, kw_only=True)
class Impression:
    """A highlight to compare: bounds (s of media time), and words as `describe` returns them."""

    start: float
    end: float
    text: str
    tags: tuple[str, ...]
    thumbnail_hash: str | None


@dataclass(frozen=True, kw_only=True)
class Resemblance:
    """Similarity of two highlights.

    Attributes:
        similarity: from 0 to 1.
        picture_distance: differing bits of 64; None if a picture is missing.
        signs: phrases for what agrees within the profile's limits.
    """

    similarity: float
    picture_distance: int | None
    signs: tuple[str, ...]

    @property
    def looks_alike(self) -> bool:
        """True if the pictures are similar."""
        return self.picture_distance is not None and self.picture_distance <= PICTURE_REACH

    @property
    def is_near_duplicate(self) -> bool:
        """True if two signs agree, as selection requires of duplicates."""
        return len(self.signs) >= SIGNS


def resemblance(one: Impression, two: Impression, limits: SimilarityThresholds) -> Resemblance:
    """Compare two highlights: half by their pictures, half by texts and tags.

    What is missing on either side does not reduce the similarity.
    """
    distance = hash_distance(one.thumbnail_hash, two.thumbnail_hash)
    parts: list[tuple[float, float]] = []
    if distance is not None:
        parts.append((0.5, max(0.0, 1.0 - distance / _UNRELATED)))
    if one.text and two.text:
        parts.append((0.3, text_similarity(one, two)))
    if one.tags and two.tags:
        parts.append((0.2, tag_similarity(one, two)))
    weight = sum(share for share, _ in parts)
    return Resemblance(
        similarity=round(sum(share * value for share, value in parts) / weight, 4) if parts else 0,
        picture_distance=distance,
        signs=agreeing_signs(one, two, limits),
    )


def nearby_parts(thumbnail_hash: str) -> tuple[tuple[int, ...], ...]:
    """Return for each part of a hash the values that the same part of a near one may have.

    Of hashes that differ in at most `PICTURE_REACH` bits one of the four parts differs in at most
    `PICTURE_REACH // 4` (Norouzi et al., "Fast Search in Hamming Space with Multi-Index Hashing",
    2012): each such value is listed, so that equality finds every near hash.
    """
    digits = _PART_BITS // 4
    values = (int(thumbnail_hash[n * digits : (n + 1) * digits], 16) for n in range(PARTS))
    return tuple(_within(value, PICTURE_REACH // PARTS) for value in values)


def _within(value: int, flips: int) -> tuple[int, ...]:
    found = {value}
    for _ in range(flips):
        found |= {each ^ (1 << bit) for each in found for bit in range(_PART_BITS)}
    return tuple(sorted(found))


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
