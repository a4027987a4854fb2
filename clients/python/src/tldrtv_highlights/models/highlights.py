"""Highlights."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.clips import Clip, Playback
from tldrtv_highlights.models.policies import Policy, Review
from tldrtv_highlights.models.profiles import ProfileRef


class Reason(Model):
    """Why it was decided so: a code for programs, words for people, and the numbers compared."""

    code: str
    words: str
    value: float | None = None
    limit: float | None = None
    other: str | None = None


class Evidence(Model):
    """A signal that speaks for the moment; `strength` in deviations from the stream's usual."""

    signal: str
    strength: float
    words: str


class MatchState(Model):
    """State of the match, as read on the screen; scores in the order of the screen."""

    score_before: tuple[int, ...] = ()
    score_after: tuple[int, ...] = ()
    clock: str | None = None
    period: str | None = None


class LocalizedTitle(Model):
    """Title and tags in a language; English where there are none in the one `requested`."""

    requested: str
    language: str
    source: str
    title: str
    description: str = ""
    tags: tuple[str, ...] = ()


class ModerationFinding(Model):
    """`clear`, `flagged` with categories, `unknown` if not checked, or `absent`."""

    status: str = "unknown"
    categories: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Moderation(Model):
    """What you may not want to publish."""

    titles: ModerationFinding = ModerationFinding()
    captions: ModerationFinding = ModerationFinding()
    pictures: ModerationFinding = ModerationFinding()


class Highlight(Model):
    """A moment of a stream; `start`, `peak` and `end` in seconds of media time.

    A `pending` one may still be `retracted`; a `confirmed` one stays.
    """

    id: str
    stream_id: str
    status: str
    tier: str
    start: float
    peak: float
    end: float
    score: float
    dimensions: dict[str, float]
    confidence: float
    title: str
    description: str
    tags: tuple[str, ...]
    titles: tuple[LocalizedTitle, ...] = ()
    moderation: Moderation | None = None
    reasons: tuple[Reason, ...]
    evidence: tuple[Evidence, ...]
    state: MatchState | None = None
    game: str
    profile: ProfileRef
    peak_wall_clock: AwareDatetime | None
    clip: Clip | None
    playback: Playback | None = None
    policy: Policy | None = None
    review: Review | None = None
    withheld: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def stands(self) -> bool:
        """Whether it counts, for now or for good."""
        return self.status in {"pending", "confirmed"}


class Piece(Model):
    """A piece of a text, as plain text; `match` says whether it is what was searched for."""

    text: str
    match: bool


class Match(Model):
    """A text of a highlight that matches a search, in pieces."""

    field: str
    pieces: tuple[Piece, ...]


class FoundHighlight(Model):
    """A highlight that a search found, with its relevance from 0 to 1."""

    highlight: Highlight
    relevance: float
    matches: tuple[Match, ...]


class SimilarHighlight(Model):
    """A highlight that resembles another: how much, and what agrees, in words.

    `picture_distance` is the bits of 64 in which the thumbnails' perceptual hashes differ.
    """

    highlight: Highlight
    similarity: float
    picture_distance: int | None
    near_duplicate: bool
    signs: tuple[str, ...]


class SimilarHighlights(Model):
    """Highlights that resemble another, the most similar first."""

    data: tuple[SimilarHighlight, ...]


class HighlightEmbed(Model):
    """A player of a highlight for your pages; `html` is an `iframe` to paste."""

    url: str
    oembed_url: str
    html: str
    width: int
    height: int


class EmbedPolicy(Model):
    """Who may embed your highlights; without `origins` every page may."""

    enabled: bool
    origins: tuple[str, ...]
    updated_at: AwareDatetime | None


class HighlightDetail(Highlight):
    """A moment with its decision explained, a sentence or table row a line."""

    explanation: tuple[str, ...] = ()
    preview: Playback | None = None
