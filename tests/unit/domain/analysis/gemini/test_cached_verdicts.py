"""What Gemini has said of a moment holds when the moment is told again: nobody asks twice."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.analysis.gemini.budget import GateReason, GateState
from domain.analysis.gemini.chunks import (
    CachedVerdict,
    Chunk,
    ChunkAnalysis,
    GeminiState,
    PublishedCandidates,
    find_cached_verdict,
    publish_fused,
    publish_local_only,
    publish_unusable,
)
from domain.analysis.gemini.fusion import GeminiDetection
from domain.highlights.candidate import HighlightCandidate, Mark
from domain.score import DIMENSIONS, HighlightScore
from tests.factories.gemini import HEARD, STREAM, TENANT, candidate, seen, window

BETTER = HighlightScore(**dict.fromkeys(DIMENSIONS, 0.95))


def watching() -> tuple[GeminiState, Chunk]:
    state = GeminiState(decided=32.0, reached=32.0, published_until=28.0)
    for index in range(8, 12):
        state = state.with_window(window(index), (HEARD,) if index == 11 else (), rank=2.0)
    chunk = state.due_chunk()
    assert chunk is not None
    return state, chunk


def looked(
    *detections: GeminiDetection, unclear: tuple[float, ...] = ()
) -> tuple[GeminiState, PublishedCandidates]:
    """The state after a chunk with one moment heard in it has been looked at."""
    state, chunk = watching()
    told = publish_fused(
        chunk,
        ChunkAnalysis(detections=detections, unclear=unclear),
        state,
        tenant_id=TENANT,
        stream_id=STREAM,
        analyzer="both",
    )
    return state.after_chunk(chunk, told.candidates, GateState(), told.verdicts), told


def marked(moment: HighlightCandidate) -> HighlightCandidate:
    """The same moment once its tenant has marked it."""
    mark = {"mark": Mark(label="goal"), "score": BETTER, "unmarked": moment.score}
    return moment.model_copy(update=mark)


def test_a_re_emitted_moment_gets_its_cached_verdict() -> None:
    state, told = looked(seen(39.0, title="Seen"))
    again, after = state.with_window(window(12), (marked(HEARD),), rank=0.0).apply_cached_verdicts()
    (before,), (now,) = told.candidates, again
    assert (now.id, now.peak, now.title) == (before.id, before.peak, "Seen")
    assert now.score.rarity > before.score.rarity
    assert after.due_chunk() is None


def test_a_re_emitted_moment_without_detections_gets_its_cached_verdict() -> None:
    state, told = looked()
    (now,), after = state.with_candidates((marked(HEARD),)).apply_cached_verdicts()
    assert now.evidence[-1] == told.candidates[0].evidence[-1]
    assert now.score == BETTER
    assert after.candidates == ()


def test_so_is_one_of_which_the_answers_were_of_no_use() -> None:
    state, _ = looked(unclear=(40.0,))
    (now,), _ = state.with_candidates((marked(HEARD),)).apply_cached_verdicts()
    assert "no answer that could be used" in now.evidence[-1].words


def test_so_is_one_of_a_piece_about_which_the_answer_was_of_no_use() -> None:
    state, chunk = watching()
    told = publish_unusable(chunk, analyzer="both")
    state = state.after_chunk(chunk, told.candidates, GateState(), told.verdicts)
    (now,), _ = state.with_candidates((marked(HEARD),)).apply_cached_verdicts()
    assert now.analyzer == "local-1"


def test_a_moment_that_only_gemini_detected_keeps_its_id_when_it_is_marked() -> None:
    state, told = looked(seen(39.0), seen(33.0))
    alone = next(each for each in told.candidates if each.id != HEARD.id)
    late = marked(candidate(34.0))
    (now,), after = state.with_candidates((late,)).apply_cached_verdicts()
    assert (now.id, now.peak) == (alone.id, alone.peak)
    again, _ = after.with_candidates((candidate(31.0),)).apply_cached_verdicts()
    assert again == ()


def test_another_moment_does_not_match_a_published_one() -> None:
    state, _ = looked(seen(39.0))
    again, after = state.with_candidates((candidate(43.0),)).apply_cached_verdicts()
    assert again == ()
    assert [each.peak for each in after.candidates] == [43.0]


def test_a_re_emitted_moment_without_a_verdict_is_analyzed() -> None:
    state, chunk = watching()
    told = publish_local_only(chunk, GateReason.BUSY)
    state = state.after_chunk(chunk, told.candidates, GateState(), told.verdicts)
    again, after = state.with_candidates((marked(HEARD),)).apply_cached_verdicts()
    assert again == ()
    assert after.due_chunk() is not None


def test_a_moment_emitted_twice_in_a_chunk_counts_once_in_its_last_form() -> None:
    state, _ = watching()
    chunk = state.with_candidates((marked(HEARD),)).due_chunk()
    assert chunk is not None
    assert [each.score for each in chunk.candidates] == [BETTER]


def test_what_is_remembered_is_bounded_and_survives_being_stored() -> None:
    state = GeminiState()
    for index in range(100):
        state = state.with_window(window(index), (candidate(4.0 * index),), rank=0.0)
        chunk = state.due_chunk()
        assert chunk is not None
        opinion = CachedVerdict(
            id=chunk.candidates[0].id, analyzer="both", detection=seen(4.0 * index, title="Seen")
        )
        state = state.after_chunk(chunk, chunk.candidates, GateState(), (opinion,))
    assert len(state.verdicts) == 12
    stored = state.model_dump_json(exclude_defaults=True)
    assert GeminiState.model_validate_json(stored) == state
    assert len(stored) < 16_000


@pytest.mark.parametrize("heard", [True, False])
def test_the_very_moment_goes_before_one_nearby(heard: bool) -> None:
    near = CachedVerdict(id=UUID(int=1), analyzer="both", detection=seen(41.0), found_locally=False)
    own = CachedVerdict(id=HEARD.id, analyzer="both", detection=seen(39.0), found_locally=heard)
    assert find_cached_verdict(HEARD, (near, own)) is own
