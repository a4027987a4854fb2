"""Copies of immutable values keep every field that they do not change."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.analysis.screen import MatchState
from domain.clips.models import ClipSpec
from domain.highlights.candidate import (
    Evidence,
    HighlightCandidate,
    LocalizedTitle,
    Mark,
    TitleSource,
)
from domain.highlights.moderation import Moderation
from domain.highlights.selection import Decision, DecisionStatus, Reason, Tier
from domain.media.segments import TimedMetadata
from domain.model import Model
from domain.profiles.criteria import Criteria
from domain.profiles.matching import Alternative, ProfileMatch
from domain.profiles.model import GameProfile, Hud, ProfileKind
from domain.score import DIMENSIONS, HighlightScore
from domain.streams.status import (
    EndReason,
    ProblemCode,
    StreamEnd,
    StreamProblem,
    StreamProgress,
    StreamStatus,
)

SOME_ID = UUID(int=7)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCORE = HighlightScore(**{name: (n + 1) / 10 for n, name in enumerate(DIMENSIONS)}, confidence=0.9)
CANDIDATE = HighlightCandidate(
    id=SOME_ID,
    start=1.0,
    peak=2.0,
    end=3.0,
    settled_at=4.0,
    score=SCORE,
    analyzer="local",
    title="title",
    description="description",
    tags=("goal",),
    evidence=(Evidence(signal="loudness", strength=1.0, words="loud"),),
    corrections=("moved",),
    safe_starts=(0.5,),
    safe_ends=(3.5,),
    peak_wall_clock=NOW,
    thumbnail_hash="ff",
    commentary="what a goal",
    mark=Mark(label="goal"),
    unmarked=SCORE.with_narrative_value(0.0),
    state=MatchState(score_before=(1, 0), score_after=(2, 0)),
    titles=(
        LocalizedTitle(requested="es", language="es", source=TitleSource.TEMPLATE, title="Gol"),
    ),
    moderation=Moderation(),
)
PROGRESS = StreamProgress(
    status=StreamStatus.LIVE,
    position=9.0,
    duration=10.0,
    analyzed=8.0,
    segments=7,
    missed=6,
    windows=5,
    highlights=4,
    clips=3,
    refused_marks=2,
    notice="notice",
    problems=(StreamProblem(code=ProblemCode.STORE_FULL, message="full"),),
    end=StreamEnd(reason=EndReason.STOPPED, message="stopped"),
    last_segment_at=NOW,
)
DECISION = Decision(
    highlight_id=SOME_ID,
    status=DecisionStatus.CONFIRMED,
    tier=Tier.STANDARD,
    score=0.5,
    peak=2.0,
    clip_start=1.0,
    clip_end=3.0,
    decided_at=9.0,
    reasons=(Reason(code="score", words="because"),),
)
MATCH = ProfileMatch(
    query="football",
    profile_id="soccer",
    score=0.9,
    alias="football",
    reason="it is named",
    fallback=True,
    alternatives=(Alternative(profile_id="rugby", score=0.5, alias="rugby"),),
    notes=("note",),
)
METADATA = TimedMetadata(id="1", at=2.0, duration=1.0, payload="goal", problem="none")
PROFILE = GameProfile(
    id="soccer",
    version="1",
    name="Soccer",
    kind=ProfileKind.SPORT,
    description="goals",
    extends="sport",
    tags={"moments": ("goal",)},
    markets={"winner": "who wins"},
    hud=Hud(score=0.5),
    languages=("es",),
    criteria=Criteria(text="goals"),
)


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        (CANDIDATE, CANDIDATE.replace()),
        (PROGRESS, PROGRESS.replace()),
        (MATCH, MATCH.replace()),
        (DECISION, DECISION.with_clip(DECISION.clip_start, DECISION.clip_end)),
        (METADATA, METADATA.moved_to(METADATA.at)),
        (SCORE, SCORE.with_narrative_value(SCORE.narrative_value)),
        (PROFILE, PROFILE.with_version(PROFILE.version)),
        (
            PROFILE,
            PROFILE.with_wishes(languages=None, criteria=PROFILE.criteria).with_version("1"),
        ),
    ],
)
def test_a_copy_without_changes_equals_the_original(original: Model, copy: Model) -> None:
    assert copy == original
    assert copy.model_dump_json() == original.model_dump_json()


@pytest.mark.parametrize("full", [CANDIDATE, PROGRESS, MATCH, DECISION, METADATA])
def test_the_originals_above_leave_no_field_at_its_default(full: Model) -> None:
    defaults = {name: field.default for name, field in type(full).model_fields.items()}
    assert not [name for name, default in defaults.items() if getattr(full, name) == default]


def test_a_copy_changes_what_it_is_asked_to() -> None:
    changed = CANDIDATE.replace(start=0.0, tags=(), commentary="")
    assert (changed.start, changed.tags, changed.commentary) == (0.0, (), "")
    assert changed.end == CANDIDATE.end
    assert PROGRESS.replace(clips=0, problems=()).clips == 0
    assert MATCH.replace(reason="other").reason == "other"


def test_a_copy_is_validated() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        CANDIDATE.replace(start=-1.0)


def test_a_clip_without_its_segments_is_still_the_same_clip() -> None:
    spec = ClipSpec(
        id=SOME_ID,
        tenant_id=SOME_ID,
        stream_id=SOME_ID,
        highlight_id=SOME_ID,
        start=1.0,
        end=2.0,
        peak=1.5,
        segments=(),
    )
    assert spec.without_segments() == spec
