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


def test_a_moment_that_both_detect_is_published_once_under_its_id() -> None:
    (moment,) = told(ChunkAnalysis(detections=(seen(39.0),))).candidates
    assert (moment.id, moment.peak, moment.analyzer) == (HEARD.id, 39.0, "both")


def test_of_two_detections_near_a_moment_only_the_nearer_is_published() -> None:
    result = told(ChunkAnalysis(detections=(seen(44.0), seen(39.5))))
    assert [each.peak for each in result.candidates] == [39.5]
    assert result.counted == {"told_before": 1}


def test_a_moment_that_gemini_did_not_confirm_loses_weight() -> None:
    (moment,) = told(ChunkAnalysis()).candidates
    assert moment.score.rarity < HEARD.score.rarity


def test_a_moment_with_an_unclear_answer_keeps_its_weight() -> None:
    (moment,) = told(ChunkAnalysis(unclear=(41.0,))).candidates
    assert moment.score == HEARD.score


def test_a_moment_that_only_gemini_detected_is_published_under_its_own_id() -> None:
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


def test_a_published_moment_is_not_published_again() -> None:
    state = GeminiState(published_until=28.0, published_peaks=(50.0,))
    result = told(
        ChunkAnalysis(detections=(seen(27.0), seen(52.0)), counted={"unsure": 1}), state=state
    )
    assert [each.id for each in result.candidates] == [HEARD.id]
    assert result.counted == {"told_before": 2, "unsure": 1}


def test_without_gemini_local_results_are_published_with_the_reason() -> None:
    (moment,) = publish_local_only(chunk(), GateReason.LATE).candidates
    assert moment.score == HEARD.score
    assert "fallen behind" in moment.evidence[-1].words
