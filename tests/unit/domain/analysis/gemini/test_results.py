"""What becomes of a chunk's moments: agreed, only heard, only seen; each told once."""

from __future__ import annotations

from uuid import UUID

from domain.analysis.gemini.budget import GateReason
from domain.analysis.gemini.chunks import (
    Chunk,
    ChunkAnalysis,
    GeminiState,
    PublishedCandidates,
    publish_fused,
    publish_local_only,
)
from tests.factories.gemini import HEARD, STREAM, TENANT, seen, window


def chunk(**changes: object) -> Chunk:
    segments = tuple(each for index in range(6, 15) for each in window(index).segments)
    whole = Chunk(start=32.0, end=60.0, segments=segments, candidates=(HEARD,))
    return whole.model_copy(update=changes)


def told(
    look: ChunkAnalysis, *, state: GeminiState | None = None, of: Chunk | None = None
) -> PublishedCandidates:
    return publish_fused(
        of or chunk(),
        look,
        state or GeminiState(published_until=28.0),
        tenant_id=TENANT,
        stream_id=STREAM,
        analyzer="both",
    )


def test_a_moment_that_both_tell_is_told_once_under_its_id() -> None:
    (moment,) = told(ChunkAnalysis(detections=(seen(39.0),))).candidates
    assert (moment.id, moment.peak, moment.analyzer) == (HEARD.id, 39.0, "both")


def test_of_two_sights_near_a_moment_the_nearer_is_it_and_the_other_is_not_told_twice() -> None:
    result = told(ChunkAnalysis(detections=(seen(44.0), seen(39.5))))
    assert [each.peak for each in result.candidates] == [39.5]
    assert result.counted == {"told_before": 1}


def test_a_moment_only_heard_loses_weight() -> None:
    (moment,) = told(ChunkAnalysis()).candidates
    assert moment.score.rarity < HEARD.score.rarity


def test_a_moment_seen_but_not_understood_keeps_its_weight() -> None:
    (moment,) = told(ChunkAnalysis(unclear=(41.0,))).candidates
    assert moment.score == HEARD.score


def test_a_moment_only_seen_is_told_too_under_an_id_of_its_own() -> None:
    heard, found = told(ChunkAnalysis(detections=(seen(39.0), seen(52.0)))).candidates
    assert heard.id == HEARD.id
    assert found.peak == 52.0
    assert found.id not in {HEARD.id, UUID(int=0)}


def test_a_moment_near_the_end_is_left_to_the_next_piece() -> None:
    result = told(ChunkAnalysis(detections=(seen(39.0), seen(58.0))))
    assert len(result.candidates) == 1
    assert result.counted == {"left_to_next": 1}


def test_in_the_last_piece_nothing_is_left() -> None:
    result = told(ChunkAnalysis(detections=(seen(39.0), seen(58.0))), of=chunk(last=True))
    assert [each.peak for each in result.candidates] == [39.0, 58.0]


def test_what_was_told_before_is_not_told_again() -> None:
    state = GeminiState(published_until=28.0, published_peaks=(50.0,))
    result = told(
        ChunkAnalysis(detections=(seen(27.0), seen(52.0)), counted={"unsure": 1}), state=state
    )
    assert [each.id for each in result.candidates] == [HEARD.id]
    assert result.counted == {"told_before": 2, "unsure": 1}


def test_without_a_look_what_was_heard_is_told_with_the_reason() -> None:
    (moment,) = publish_local_only(chunk(), GateReason.LATE).candidates
    assert moment.score == HEARD.score
    assert "fallen behind" in moment.evidence[-1].words
