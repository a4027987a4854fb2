"""Request and response models of streams."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.errors.problems import ItemProblem
from api.request_model import RequestModel
from domain.highlights.publication import PolicyRequest, PublicationPolicy
from domain.media.segments import GapReason, GapStatus
from domain.profiles.criteria import Criteria
from domain.profiles.matching import ProfileMatch
from domain.streams.deletion import LegalHold
from domain.streams.messages import StreamRequest
from domain.streams.status import (
    TERMINAL,
    EndReason,
    ProblemCode,
    StreamProgress,
    StreamStatus,
    may_follow,
)
from domain.text import Language
from infra.db.repositories.publication.policies import read_policy
from infra.db.tables import Stream, StreamGap

_MAX_IDS: Final = 50
_EXAMPLE_IDS: Final[list[JsonValue]] = [
    "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "8f1d2c3b-0a9e-5d77-8b6f-1c2d3e4f5a6b",
]


class AnalyzeRequest(RequestModel, StreamRequest):
    """A live stream to analyze."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://cdn.example.com/beam/1/room/master.m3u8",
                    "game": "soccer",
                    "title": "Cup final",
                    "language": "en",
                    "languages": ["en", "es"],
                    "criteria": "goals and cards, no replays",
                    "external_id": "match-4711",
                    "options": {"max_height": 720},
                }
            ]
        },
    )


class StreamPatch(RequestModel):
    """What to change of a stream."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"policy": {"valid_until": "2026-08-01T00:00:00Z"}}]}
    )

    policy: PolicyRequest = Field(
        description="Fields of the publication policy to change; null clears a field, and one that "
        "is left out stays."
    )


class ProfileRef(BaseModel):
    """The game profile of the stream."""

    id: str
    version: str


class StreamEndModel(BaseModel):
    """How a stream ended."""

    reason: EndReason
    message: str


class GapModel(BaseModel):
    """A gap in the media; times in seconds of media time."""

    start: float
    duration: float
    reason: GapReason
    detail: str
    status: GapStatus = Field(
        description="`open` until a recording was checked; `filled` if the gap was analyzed from "
        "it; `lost` if no recording has it."
    )
    resolution: str = Field(description="How it was filled, or why not.")


class StreamProblemModel(BaseModel):
    """A persistent problem of a stream: a code for programs and a message for people."""

    code: ProblemCode
    message: str


class StreamModel(BaseModel):
    """A stream; positions in seconds of its media time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
                    "url": "https://cdn.example.com/beam/1/room/master.m3u8",
                    "game": "soccer",
                    "title": "Cup final",
                    "language": "en",
                    "languages": ["en", "es"],
                    "criteria": {
                        "text": "goals and cards, no replays",
                        "understood": {
                            "include": ["goal", "red_card", "yellow_card"],
                            "exclude": ["replay"],
                        },
                        "not_understood": [],
                    },
                    "external_id": "match-4711",
                    "is_recording": False,
                    "duration": None,
                    "profile": {"id": "soccer", "version": "1"},
                    "profile_match": {
                        "query": "Premier League",
                        "profile_id": "soccer",
                        "score": 1.0,
                        "alias": "premier league",
                        "reason": "Soccer: it is “premier league”",
                        "fallback": False,
                        "alternatives": [],
                        "notes": [],
                    },
                    "status": "live",
                    "position": 312.0,
                    "analyzed": 306.0,
                    "segments": 156,
                    "missed": 0,
                    "windows": 52,
                    "highlights": 3,
                    "clips": 2,
                    "refused_marks": 0,
                    "notice": "",
                    "problems": [],
                    "end": None,
                    "last_segment_at": "2026-05-02T19:05:12Z",
                    "ended_at": None,
                    "created_at": "2026-05-02T19:00:00Z",
                    "updated_at": "2026-05-02T19:05:12Z",
                }
            ]
        }
    )

    id: UUID
    url: str
    game: str
    title: str
    language: Language | None
    languages: list[str] = Field(
        default=[], description="Languages of the highlights' titles and tags (BCP 47)."
    )
    criteria: Criteria | None = Field(
        default=None,
        description="What was asked for in a sentence, what was understood of it, and the words "
        "that were not. Selection obeys what was understood: kinds and tags of the game profile. "
        "Gemini, where it is used, also reads the sentence.",
    )
    external_id: str | None
    policy: PublicationPolicy | None = Field(
        default=None,
        description="What may be shown of its highlights: its own policy, over the connection's "
        "and yours as they were when it started.",
    )
    is_recording: bool = Field(
        default=False, description="True if it is a finished video, not a live stream."
    )
    duration: float | None = Field(
        default=None, description="Length of a recording, once it is known."
    )
    profile: ProfileRef
    profile_match: ProfileMatch | None = Field(
        description="Why this profile was chosen; `fallback` is true if no profile matched."
    )
    status: StreamStatus
    position: float = Field(description="End of the ingested media.")
    analyzed: float = Field(description="End of the analyzed media.")
    segments: int = Field(description="Media segments stored.")
    missed: int = Field(description="Media segments lost.")
    windows: int
    highlights: int
    clips: int
    refused_marks: int = Field(
        description="Markers in timed metadata that were invalid or exceeded the rate limit."
    )
    notice: str = Field(
        description="Deviations from normal analysis, in sentences, including the messages of "
        "`problems`."
    )
    problems: list[StreamProblemModel] = Field(
        description="Problems that affect ingest or analysis now, most severe first; empty once "
        "they are resolved."
    )
    end: StreamEndModel | None
    last_segment_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    legal_hold: LegalHold | None = Field(
        default=None, description="Why the stream may not be deleted, if it may not."
    )

    @classmethod
    def of(cls, row: Stream, *, status: StreamStatus | None = None) -> Self:
        """Return the stored stream; `status` replaces a stored one that is behind."""
        end = None
        if row.end_reason is not None:
            end = StreamEndModel(reason=EndReason(row.end_reason), message=row.end_message or "")
        problems = [StreamProblemModel.model_validate(each) for each in row.problems]
        return cls(
            id=row.id,
            url=row.playlist_url,
            game=row.game,
            title=row.title,
            language=None if row.language is None else Language(row.language),
            languages=row.languages,
            criteria=None if row.criteria is None else Criteria.model_validate(row.criteria),
            external_id=row.external_id,
            policy=read_policy(row.policy),
            is_recording=row.is_recording,
            duration=row.duration,
            profile=ProfileRef(id=row.profile_id, version=row.profile_version),
            profile_match=None
            if row.profile_match is None
            else ProfileMatch.model_validate(row.profile_match),
            status=status or StreamStatus(row.status),
            position=row.position,
            analyzed=row.analyzed,
            segments=row.segments,
            missed=row.missed,
            windows=row.windows,
            highlights=row.highlights,
            clips=row.clips,
            refused_marks=row.refused_marks,
            notice=_notice(row.notice, problems),
            problems=problems,
            end=end,
            last_segment_at=row.last_segment_at,
            ended_at=row.ended_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            legal_hold=None if row.legal_hold is None else LegalHold.model_validate(row.legal_hold),
        )

    def with_progress(self, live: StreamProgress) -> Self:
        """Return the stream updated from its running workflow, unless that is behind.

        An end is shown only once it is stored, with its time and all clips before it.
        """
        if live.status in TERMINAL:
            return self
        if live.windows < self.windows or not may_follow(self.status, live.status):
            return self
        end = None
        if live.end is not None:
            end = StreamEndModel(reason=live.end.reason, message=live.end.message)
        problems = [
            StreamProblemModel(code=each.code, message=each.message) for each in live.problems
        ]
        return self.model_copy(
            update={
                "status": live.status,
                "position": max(self.position, live.position),
                "analyzed": max(self.analyzed, live.analyzed),
                "segments": live.segments,
                "missed": live.missed,
                "windows": live.windows,
                "highlights": live.highlights,
                "clips": live.clips,
                "refused_marks": live.refused_marks,
                "notice": _notice(live.notice, problems),
                "problems": problems,
                "end": end,
                "last_segment_at": live.last_segment_at or self.last_segment_at,
            }
        )


class StreamDetail(StreamModel):
    """A stream with its gaps."""

    gaps: list[GapModel] = []

    def with_gaps(self, gaps: list[StreamGap]) -> Self:
        """Return the stream with its gaps, in order of media time."""
        models = [
            GapModel(
                start=gap.start,
                duration=gap.duration,
                reason=GapReason(gap.reason),
                detail=gap.detail,
                status=GapStatus(gap.status),
                resolution=gap.resolution,
            )
            for gap in gaps
        ]
        return self.model_copy(update={"gaps": models})


def _notice(notice: str, problems: Sequence[StreamProblemModel]) -> str:
    return " ".join(part for part in (*(each.message for each in problems), notice) if part)


class StreamIds(RequestModel):
    """Streams to stop."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": _EXAMPLE_IDS}]})

    ids: Annotated[list[UUID], Field(min_length=1, max_length=_MAX_IDS)]


class BatchStopItem(BaseModel):
    """A stream, or why it could not be stopped."""

    id: UUID
    stream: StreamModel | None = None
    problem: ItemProblem | None = None


class StreamResults(BaseModel):
    """One result per distinct id, in the order of the request."""

    data: list[BatchStopItem]
