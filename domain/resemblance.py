"""How much a highlight resembles another, of whichever stream and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.profile import SimilarityThresholds
from domain.similarity import (
    SIGNS,
    agreeing_signs,
    hash_distance,
    tag_similarity,
    text_similarity,
)

PICTURE_REACH: Final = 10
"""Bits of 64 by which two pictures may differ to be called alike.

Pictures that have nothing to do with each other differ by half of them; less than twelve can be
found by parts of the hash (`nearby_parts`)."""

PARTS: Final = 4
_PART_BITS: Final = 16
_UNRELATED: Final = 32


@dataclass(frozen=True, kw_only=True)
class Impression:
    """What is compared: bounds in seconds of media time, words as `describe` gives them."""

    start: float
    end: float
    text: str
    tags: tuple[str, ...]
    thumbnail_hash: str | None


@dataclass(frozen=True, kw_only=True)
class Resemblance:
    """How alike two highlights are.

    Attributes:
        similarity: from 0 to 1.
        picture_distance: bits of 64; None when a picture is missing.
        signs: in words what agrees within the profile's limits.
    """

    similarity: float
    picture_distance: int | None
    signs: tuple[str, ...]

    @property
    def looks_alike(self) -> bool:
        """Whether the pictures are near."""
        return self.picture_distance is not None and self.picture_distance <= PICTURE_REACH

    @property
    def is_near_duplicate(self) -> bool:
        """Whether two signs agree, as selection asks of one moment seen twice."""
        return len(self.signs) >= SIGNS


def resemblance(one: Impression, two: Impression, limits: SimilarityThresholds) -> Resemblance:
    """Compare two highlights: half by their pictures, half by texts and tags.

    What is missing on either side does not count against them.
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
