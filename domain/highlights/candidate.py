"""Highlight candidates: moments that an analyzer proposes as highlights."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat

from domain.analysis.screen import MatchState
from domain.highlights.moderation import Moderation
from domain.media.segments import FeedMark
from domain.media.timestamps import WallClockAnchor, order_span, parse_timestamp
from domain.model import Model
from domain.score import HighlightScore, Unit

USUAL_IMPORTANCE: Final = 0.8
"""Default importance of a marker: just enough for a highlight in calm play."""


class Evidence(Model):
    """One signal that speaks for (or against) a moment, in words and in a number.

    `strength` is the signal's level in robust standard deviations over the stream's own baseline.
    """

    signal: str
    strength: float
    words: str


class Mark(Model):
    """A moment that the tenant marked, with timed metadata or an event of its feed.

    `label` consists of lower case letters, digits and underscores. `offset` is the distance (s) of
    the moment from the metadata's position; negative if the moment came before. `feed` is set if
    the mark is an event of the tenant's feed.
    """

    label: str
    importance: Unit = USUAL_IMPORTANCE
    offset: float = 0.0
    feed: FeedMark | None = None

    @property
    def is_hint(self) -> bool:
        """True if it only strengthens a moment that was found without it."""
        return self.feed is not None and self.feed.hint

    def of_feed(self, feed: FeedMark | None) -> Mark:
        """Return a copy that names the event of the feed."""
        return Mark(label=self.label, importance=self.importance, offset=self.offset, feed=feed)


class TitleSource(StrEnum):
    """Who wrote a title."""

    GEMINI = "gemini"
    TEMPLATE = "template"


class LocalizedTitle(Model):
    """Title, description and tags of a highlight in one language.

    Attributes:
        requested: the language that was asked for (BCP 47).
        language: the language that the texts are in; English if there is no other.
        source: `gemini`, or `template` for phrases of the service.
        title: one line.
        description: one sentence; empty with the source `template`.
        tags: words, not the identifiers that `tags` of the highlight has.
    """

    requested: str
    language: str
    source: TitleSource
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()


class HighlightCandidate(Model):
    """A proposed moment: `start` <= `peak` <= `end`, in seconds of media time.

    Attributes:
        settled_at: media time (s) at which the analyzer had seen enough to propose it.
        safe_starts, safe_ends: media times (s) near the bounds where a cut is unobtrusive, such as
            a scene change or a pause in the sound.
        commentary: text of the stream's captions around the moment. Untrusted.
        mark: the tenant's marker, if there is one.
        unmarked: the score without the marker.
        state: state of the match, as read on the screen; None if it is not known.
        titles: title and tags in each language that the stream asks for. Untrusted.
        moderation: what was found objectionable; None if it was not checked.
    """

    id: UUID
    start: NonNegativeFloat
    peak: NonNegativeFloat
    end: NonNegativeFloat
    settled_at: NonNegativeFloat
    score: HighlightScore
    analyzer: str
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    corrections: tuple[str, ...] = ()
    safe_starts: tuple[float, ...] = ()
    safe_ends: tuple[float, ...] = ()
    peak_wall_clock: datetime | None = None
    thumbnail_hash: str | None = None
    commentary: str = ""
    mark: Mark | None = None
    unmarked: HighlightScore | None = None
    state: MatchState | None = None
    titles: tuple[LocalizedTitle, ...] = ()
    moderation: Moderation | None = None

    def until(self, media_end: float) -> HighlightCandidate:
        """Return a copy with bounds limited to the media, which ends at `media_end` (s)."""
        if self.end <= media_end:
            return self
        peak = min(self.peak, media_end)
        return self.replace(start=min(self.start, peak), peak=peak, end=media_end)

    def replace(
        self,
        *,
        start: float | None = None,
        peak: float | None = None,
        end: float | None = None,
        score: HighlightScore | None = None,
        description: str | None = None,
        tags: tuple[str, ...] | None = None,
        evidence: tuple[Evidence, ...] | None = None,
        corrections: tuple[str, ...] | None = None,
        safe_starts: tuple[float, ...] | None = None,
        safe_ends: tuple[float, ...] | None = None,
        commentary: str | None = None,
        titles: tuple[LocalizedTitle, ...] | None = None,
        moderation: Moderation | None = None,
    ) -> HighlightCandidate:
        """Return a validated copy with the given fields changed; None leaves a field as it is."""
        return HighlightCandidate(
            id=self.id,
            start=self.start if start is None else start,
            peak=self.peak if peak is None else peak,
            end=self.end if end is None else end,
            settled_at=self.settled_at,
            score=self.score if score is None else score,
            analyzer=self.analyzer,
            title=self.title,
            description=self.description if description is None else description,
            tags=self.tags if tags is None else tags,
            evidence=self.evidence if evidence is None else evidence,
            corrections=self.corrections if corrections is None else corrections,
            safe_starts=self.safe_starts if safe_starts is None else safe_starts,
            safe_ends=self.safe_ends if safe_ends is None else safe_ends,
            peak_wall_clock=self.peak_wall_clock,
            thumbnail_hash=self.thumbnail_hash,
            commentary=self.commentary if commentary is None else commentary,
            mark=self.mark,
            unmarked=self.unmarked,
            state=self.state,
            titles=self.titles if titles is None else titles,
            moderation=self.moderation if moderation is None else moderation,
        )


def propose(
    *,
    id: UUID,  # noqa: A002 -- the field's name
    start: float | str | datetime | timedelta,
    peak: float | str | datetime | timedelta,
    end: float | str | datetime | timedelta,
    score: HighlightScore,
    analyzer: str,
    settled_at: float | None = None,
    offset: float = 0.0,
    earliest: float = 0.0,
    latest: float = math.inf,
    anchor: WallClockAnchor | None = None,
    title: str = "",
    description: str = "",
    tags: tuple[str, ...] = (),
    evidence: tuple[Evidence, ...] = (),
) -> HighlightCandidate:
    """Return a candidate from an analyzer's description: times parsed, clamped and ordered.

    `start`, `peak` and `end` have any form that `parse_timestamp` accepts. Relative times count
    from `offset`, the media time (s) at which the analyzed range starts. `earliest` and `latest`
    are the media time (s) of the first and last analyzed instant. `settled_at` defaults to the end.
    With an `anchor`, which maps wall clock to media time, `peak_wall_clock` is set.

    Raises:
        TimestampError: a time cannot be parsed.
    """
    span = order_span(
        start=parse_timestamp(start, offset=offset, anchor=anchor),
        peak=parse_timestamp(peak, offset=offset, anchor=anchor),
        end=parse_timestamp(end, offset=offset, anchor=anchor),
        earliest=max(0.0, earliest),
        latest=latest,
    )
    return HighlightCandidate(
        id=id,
        start=span.start,
        peak=span.peak,
        end=span.end,
        settled_at=span.end if settled_at is None else settled_at,
        score=score,
        analyzer=analyzer,
        title=title,
        description=description,
        tags=tags,
        evidence=evidence,
        corrections=span.corrections,
        peak_wall_clock=None if anchor is None else anchor.wall_clock_of(span.peak),
    )
