"""Request and response models of highlights, and the filters of their lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from api.clips.schemas import ClipModel, PlaybackModel
from api.errors.problems import ItemProblem
from api.request_model import RequestModel, Timestamp
from api.services import Services
from api.streams.schemas import ProfileRef
from app.services.clips import INSTANT_FOR
from app.services.highlights import withheld_reason
from domain.analysis.screen import MatchState, read_period
from domain.feed.models import MarketName, Subject
from domain.highlights.candidate import Evidence, LocalizedTitle
from domain.highlights.explanation import headline
from domain.highlights.moderation import Moderation
from domain.highlights.publication import PublicationPolicy, ReviewStatus, WithheldReason
from domain.highlights.selection import DecisionStatus, Reason, Tier
from domain.score import DIMENSIONS
from domain.streams.deletion import LegalHold
from domain.text import Name
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import (
    HighlightFilter,
    HighlightRow,
    moderation_of,
    titles_of,
)
from infra.db.repositories.publication.policies import policy_of, release_of
from infra.db.tables import Highlight
from infra.storage.signed_urls import highlight_playlist_path

_MAX_IDS: Final = 100
_EXAMPLE_IDS: Final[list[JsonValue]] = [
    "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "8f1d2c3b-0a9e-5d77-8b6f-1c2d3e4f5a6b",
]
EXAMPLE: dict[str, Any] = {
    "id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "stream_id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
    "status": "confirmed",
    "tier": "high_quality",
    "start": 303.1,
    "peak": 307.4,
    "end": 312.0,
    "score": 0.87,
    "dimensions": dict.fromkeys(DIMENSIONS, 0.87),
    "confidence": 0.8,
    "title": "The crowd rises",
    "description": "The loudest moment of the half.",
    "tags": ["crowd"],
    "titles": [
        {
            "requested": "es",
            "language": "es",
            "source": "template",
            "title": "Gol, 2-1, 46'",
            "description": "",
            "tags": ["Gol"],
        }
    ],
    "moderation": {
        "titles": {"status": "clear", "categories": [], "sources": ["words"]},
        "captions": {"status": "absent", "categories": [], "sources": []},
        "pictures": {"status": "unknown", "categories": [], "sources": []},
    },
    "reasons": [
        {
            "code": "above_threshold",
            "words": "0.87 is above 0.85",
            "value": 0.87,
            "limit": 0.85,
            "other": None,
        }
    ],
    "evidence": [{"signal": "crowd", "strength": 4.2, "words": "the crowd swells"}],
    "state": {"score_before": [1, 0], "score_after": [2, 0], "clock": "45:12", "period": "1st"},
    "game": "soccer",
    "profile": {"id": "soccer", "version": "1"},
    "peak_wall_clock": "2026-05-02T19:05:07.400Z",
    "policy": {"audience": ["members"], "valid_until": "2026-08-01T00:00:00Z"},
    "review": None,
    "withheld": None,
    "clip": None,
    "playback": {
        "ready": "instant",
        "hls_url": "https://api.example.com/v1/highlights/2d6c…/clip.m3u8?tenant=…&expires=…",
        "mp4_url": None,
    },
    "created_at": "2026-05-02T19:05:16Z",
    "updated_at": "2026-05-02T19:05:16Z",
}
_EXPLANATION = [
    "“The crowd rises” at 5:07 is a highlight, for good.",
    "0.87 is above 0.85",
    "  skill execution: 0.87 x 0.25 = 0.218",
]


class Dimensions(BaseModel):
    """The score on each of the eight dimensions, from 0 to 1."""

    skill_execution: float
    game_impact: float
    rarity: float
    visual_spectacle: float
    emotional_intensity: float
    narrative_value: float
    timing_importance: float
    momentum_shift: float


class ReviewModel(BaseModel):
    """Review of a highlight; `by`, `at` and `note` are of who approved or rejected it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "approved",
                    "until": None,
                    "by": "editor-7",
                    "at": "2026-05-02T19:07:00Z",
                    "note": "",
                }
            ]
        }
    )

    status: ReviewStatus
    until: datetime | None = Field(
        description="From then on it cannot be approved; null for a highlight that was reviewed."
    )
    by: str | None = None
    at: datetime | None = None
    note: str = ""

    @classmethod
    def of(cls, row: Highlight | HighlightRow) -> Self | None:
        """Return the review of a highlight, if it needs one."""
        if row.review is None:
            return None
        release = release_of(row)
        return cls(
            status=ReviewStatus(row.review),
            until=row.review_until if release is None else None,
            **({} if release is None else release.model_dump()),
        )


class HighlightModel(BaseModel):
    """A highlight; `start`, `peak` and `end` in seconds of media time."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    stream_id: UUID
    status: DecisionStatus = Field(
        description="A `pending` highlight may still be `retracted`; a `confirmed` one stays."
    )
    tier: Tier
    start: float
    peak: float
    end: float
    score: float = Field(description="Weighted by the profile from the dimensions, 0 to 1.")
    dimensions: Dimensions
    confidence: float = Field(description="The analyzer's confidence in the dimensions, 0 to 1.")
    title: str = Field(
        description="Title by Gemini; without Gemini, the kind of highlight or the game, with "
        "the time."
    )
    description: str
    tags: list[str]
    titles: list[LocalizedTitle] = Field(
        default=[],
        description="Title and tags in each of the stream's `languages`, in their order. Where "
        "`language` is not the one `requested`, there are no phrases in it.",
    )
    moderation: Moderation | None = Field(
        default=None,
        description="What a tenant may not want to publish. `clear`: checked by `sources`, and "
        "nothing was found. `unknown`: not checked, such as pictures without Gemini. `absent`: "
        "there are no captions. Null for highlights of older releases.",
    )
    reasons: list[Reason] = Field(description="Reasons of the decision.")
    evidence: list[Evidence] = Field(description="Signals that support the highlight.")
    state: MatchState | None = Field(
        default=None,
        description="State of the match, as read on the screen: the score before and after, in the "
        "order of the screen, the match clock and the period. Null if it could not be read.",
    )
    game: str
    profile: ProfileRef
    peak_wall_clock: datetime | None = Field(
        description="Wall-clock time of the peak, if the stream has one."
    )
    clip: ClipModel | None
    playback: PlaybackModel = Field(
        description="How the highlight can be played: at once by HLS, then as its clip's file."
    )
    policy: PublicationPolicy | None = Field(
        default=None, description="What may be shown of it, as the stream's policy says."
    )
    review: ReviewModel | None = Field(
        default=None, description="Its review; null if its policy requires none."
    )
    withheld: WithheldReason | None = Field(
        default=None,
        description="Why nothing of it is delivered: no webhooks before its review, and no links, "
        "playback or exports of its clips. Null if it is delivered.",
    )
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Highlight | HighlightRow, clip: ClipRow | None, services: Services) -> Self:
        """Return a highlight with its newest clip."""
        reason = withheld_reason(row)
        is_withheld = reason is not None
        shown = None if clip is None else ClipModel.of(clip, services, is_withheld=is_withheld)
        return cls(
            id=row.id,
            stream_id=row.stream_id,
            status=DecisionStatus(row.status),
            tier=Tier(row.tier),
            start=row.start,
            peak=row.peak,
            end=row.end,
            score=row.score,
            dimensions=Dimensions(**{name: getattr(row, name) for name in DIMENSIONS}),
            confidence=row.confidence,
            title=headline(row.title, game=row.game, tags=row.tags, peak=row.peak),
            description=row.description,
            tags=row.tags,
            titles=list(titles_of(row)),
            moderation=moderation_of(row),
            reasons=[Reason.model_validate(each) for each in row.reasons],
            evidence=[Evidence.model_validate(each) for each in row.evidence],
            state=None if row.match_state is None else MatchState.model_validate(row.match_state),
            game=row.game,
            profile=ProfileRef(id=row.profile_id, version=row.profile_version),
            peak_wall_clock=row.peak_wall_clock,
            clip=shown,
            playback=PlaybackModel.of(
                hls_url=None if is_withheld else _instant_url(row, services),
                mp4_url=None if shown is None else shown.url,
            ),
            policy=policy_of(row),
            review=ReviewModel.of(row),
            withheld=reason,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def _instant_url(row: Highlight | HighlightRow, services: Services) -> str | None:
    """Return the URL of a highlight's instant clip; None once its media may be deleted."""
    is_shown = row.status in {DecisionStatus.PENDING, DecisionStatus.CONFIRMED}
    if not is_shown or datetime.now(UTC) - row.created_at > INSTANT_FOR:
        return None
    return services.links.sign(highlight_playlist_path(row.id), tenant_id=row.tenant_id)


class HighlightDetail(HighlightModel):
    """A highlight with an explanation of the decision."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [EXAMPLE | {"explanation": _EXPLANATION}]}
    )

    explanation: list[str] = Field(
        default_factory=list,
        description="Explanation of the decision, one sentence or table row per line.",
    )
    preview: PlaybackModel | None = Field(
        default=None,
        description="Plays a highlight that awaits review, for keys with the scope `write`.",
    )
    legal_hold: LegalHold | None = Field(
        default=None, description="Why the highlight may not be deleted, if it may not."
    )

    def explained(
        self,
        lines: tuple[str, ...],
        *,
        hold: LegalHold | None,
        preview: PlaybackModel | None = None,
    ) -> Self:
        """Return this with its explanation, its hold and what a reviewer may play."""
        return self.model_copy(
            update={"explanation": list(lines), "legal_hold": hold, "preview": preview}
        )


def preview_of(row: Highlight, clip: ClipRow | None, services: Services) -> PlaybackModel | None:
    """Return how a reviewer can play a highlight; None if it does not await review."""
    if row.review != ReviewStatus.AWAITING:
        return None
    shown = None if clip is None else ClipModel.of(clip, services)
    return PlaybackModel.of(
        hls_url=_instant_url(row, services), mp4_url=None if shown is None else shown.url
    )


_Seconds = Annotated[FiniteFloat | None, Query(description="Seconds of media time.")]
_Score = Annotated[float | None, Query(ge=0, le=1)]


_SCORE: Final = re.compile(r"[0-9]{1,7}(-[0-9]{1,7}){0,3}")


def _score_after(value: str) -> str:
    """Return a score without leading zeros."""
    if _SCORE.fullmatch(value) is None:
        raise ValueError(
            "must be the score after the moment, such as 2-1: the numbers in the order of the "
            "screen, with hyphens between them"
        )
    return "-".join(str(int(number)) for number in value.split("-"))


def _period(value: str) -> str:
    if read_period(value) != value:
        raise ValueError(
            "must be a period as screens show it: 1st to 4th, Q1 to Q4, P1 to P4, 1H, 2H, HT, FT, "
            "OT, ET, half time, full time, overtime, or set, round, map, game, inning or lap with "
            "a number, such as set 2"
        )
    return value


ScoreAfter = Annotated[str, AfterValidator(_score_after)]
MatchPeriod = Annotated[str, AfterValidator(_period)]
MARKET: Final = "Market of a feed event that belongs to the highlight."
SUBJECT: Final = "Subject of a feed event that belongs to the highlight, such as `bet:8841`."
STATE: Final = "Score after the moment as read on the screen, in its order, such as `2-1`."
PERIOD: Final = "Period as read on the screen, such as `2nd`, `Q4` or `set 2`; case is ignored."


async def dimension_bounds(
    *,
    min_skill_execution: _Score = None,
    min_game_impact: _Score = None,
    min_rarity: _Score = None,
    min_visual_spectacle: _Score = None,
    min_emotional_intensity: _Score = None,
    min_narrative_value: _Score = None,
    min_timing_importance: _Score = None,
    min_momentum_shift: _Score = None,
) -> tuple[tuple[str, float], ...]:
    """Return the requested minimum per dimension."""
    bounds = {
        "skill_execution": min_skill_execution,
        "game_impact": min_game_impact,
        "rarity": min_rarity,
        "visual_spectacle": min_visual_spectacle,
        "emotional_intensity": min_emotional_intensity,
        "narrative_value": min_narrative_value,
        "timing_importance": min_timing_importance,
        "momentum_shift": min_momentum_shift,
    }
    return tuple((name, bound) for name, bound in bounds.items() if bound is not None)


async def highlight_filter(
    *,
    dimensions: Annotated[tuple[tuple[str, float], ...], Depends(dimension_bounds)],
    stream_id: UUID | None = None,
    status: Annotated[
        list[DecisionStatus],
        Query(
            description="Repeatable. Defaults to all but `held` and `rejected`.",
            max_length=len(DecisionStatus),
        ),
    ] = [],  # noqa: B006 - FastAPI copies it
    review: Annotated[
        ReviewStatus | None, Query(description="`awaiting`: what is to be reviewed.")
    ] = None,
    game: Annotated[Name | None, Query(description="A profile's id, such as `soccer`.")] = None,
    tag: Name | None = None,
    text: Annotated[
        Name | None,
        Query(description="Whole words, all of which occur in title, description or tags."),
    ] = None,
    market: Annotated[MarketName | None, Query(description=MARKET)] = None,
    subject: Annotated[Subject | None, Query(description=SUBJECT)] = None,
    state: Annotated[ScoreAfter | None, Query(description=STATE)] = None,
    period: Annotated[MatchPeriod | None, Query(description=PERIOD)] = None,
    min_score: _Score = None,
    max_score: _Score = None,
    peak_from: _Seconds = None,
    peak_to: _Seconds = None,
    created_from: Timestamp | None = None,
    created_to: Annotated[Timestamp | None, Query(description="Before this time.")] = None,
    happened_from: Annotated[
        Timestamp | None,
        Query(description="Wall-clock time of the highlight, if the stream has one."),
    ] = None,
    happened_to: Annotated[Timestamp | None, Query(description="Before this time.")] = None,
) -> HighlightFilter:
    """Return the filter of the query parameters."""
    return HighlightFilter(
        stream_id=stream_id,
        statuses=tuple(status),
        review=review,
        game=game,
        tag=tag,
        text=text,
        market=market,
        subject=subject,
        state=state,
        period=period,
        min_score=min_score,
        max_score=max_score,
        dimensions=dimensions,
        peak_from=peak_from,
        peak_to=peak_to,
        created_from=created_from,
        created_to=created_to,
        occurred_from=happened_from,
        occurred_to=happened_to,
    )


HighlightQuery = Annotated[HighlightFilter, Depends(highlight_filter)]


class HighlightIds(RequestModel):
    """Highlights to read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": _EXAMPLE_IDS}]})

    ids: Annotated[list[UUID], Field(min_length=1, max_length=_MAX_IDS)]


class HighlightResult(BaseModel):
    """A highlight, or why it could not be read."""

    id: UUID
    highlight: HighlightModel | None = None
    problem: ItemProblem | None = None


class HighlightResults(BaseModel):
    """One result per distinct id, in the order of the request."""

    data: list[HighlightResult]
