"""Moderation: flags of titles, captions and pictures that a tenant may not want to publish.

Gemini flags what it hears and sees. Texts are also compared with lists of words
(`game_configs/languages/`). Without Gemini, these lists are all there is, and pictures are
`unknown`. `clear` means that nothing was found, not that nothing is there.
"""

from __future__ import annotations

from enum import StrEnum

from domain.model import Model


class ModerationStatus(StrEnum):
    """Result for titles, captions or pictures."""

    CLEAR = "clear"  # checked, and nothing was found
    FLAGGED = "flagged"  # something was found
    UNKNOWN = "unknown"  # not checked
    ABSENT = "absent"  # the moment has none


class ModerationCategory(StrEnum):
    """Why something was flagged."""

    PROFANITY = "profanity"
    HATE = "hate"
    SEXUAL = "sexual"
    VIOLENCE = "violence"  # beyond what the game itself shows
    SELF_HARM = "self_harm"


class ModerationSource(StrEnum):
    """Who checked."""

    GEMINI = "gemini"
    WORDS = "words"


class ModerationFinding(Model):
    """What was found in titles, captions or pictures; not checked without `sources`."""

    status: ModerationStatus = ModerationStatus.UNKNOWN
    categories: tuple[ModerationCategory, ...] = ()
    sources: tuple[ModerationSource, ...] = ()

    @classmethod
    def of(
        cls, categories: tuple[ModerationCategory, ...], source: ModerationSource
    ) -> ModerationFinding:
        """Return the finding of one source."""
        status = ModerationStatus.FLAGGED if categories else ModerationStatus.CLEAR
        return cls(status=status, categories=categories, sources=(source,))

    def with_finding(self, other: ModerationFinding) -> ModerationFinding:
        """Return what both found together."""
        if not other.sources:
            return self
        if not self.sources:
            return other
        categories = tuple(dict.fromkeys((*self.categories, *other.categories)))
        return ModerationFinding(
            status=ModerationStatus.FLAGGED if categories else ModerationStatus.CLEAR,
            categories=categories,
            sources=tuple(dict.fromkeys((*self.sources, *other.sources))),
        )


class Moderation(Model):
    """Findings about the titles, captions and pictures of a highlight."""

    titles: ModerationFinding = ModerationFinding()
    captions: ModerationFinding = ModerationFinding()
    pictures: ModerationFinding = ModerationFinding()
