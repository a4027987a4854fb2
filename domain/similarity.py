"""When two candidates are the same moment seen twice, and how alike two moments are."""

from __future__ import annotations

from typing import Final, Protocol

from rapidfuzz import fuzz

from domain.local_scoring import SIGNAL_TAGS
from domain.profile import SimilarityThresholds

SIMILAR_WITHIN: Final = 90.0
"""Seconds between peaks beyond which likeness no longer means repetition.

Broadcast replays follow within about a minute of the event; two like moments further apart (two
corners, two aces) are two moments."""

TELLING_WORDS: Final = 4
"""Words below which a text is too general ("Goal!") to identify a moment by itself."""


SIGNS: Final = 2
"""Signs that must agree before two moments are taken for one."""


SHARED: Final = 0.5
"""Share of the shorter of two clips beyond which they show the same seconds."""


class Describable(Protocol):
    """What similarity looks at."""

    @property
    def start(self) -> float:
        """Seconds of media time."""

    @property
    def end(self) -> float:
        """Seconds of media time."""

    @property
    def text(self) -> str:
        """What it says, as `describe` returns it."""

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is filed under."""

    @property
    def thumbnail_hash(self) -> str | None:
        """A perceptual hash in hexadecimal."""


def describe(title: str, description: str) -> str:
    """Return the text that is compared: the words of title and description, each once, sorted."""
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
    """Return which share of the shorter of two spans (s) lies within the other, in [0, 1]."""
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
    """Return in words what of picture, text and tags agrees; nothing when the pictures do not."""
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
