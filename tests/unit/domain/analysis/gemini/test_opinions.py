"""What Gemini has said of a moment holds when the moment is told again: nobody asks twice."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.analysis.gemini.budget import GateState, Grounds
from domain.analysis.gemini.chunks import Opinion, Piece, WatchState, opinion_on
from domain.analysis.gemini.fusion import Sighting
from domain.analysis.gemini.results import Look, Told, told_in_vain, told_with, told_without
from domain.highlights.candidate import HighlightCandidate, Mark
from domain.score import DIMENSIONS, HighlightScore
from tests.unit.domain.analysis.gemini.test_pieces import candidate, window
from tests.unit.domain.analysis.gemini.test_results import HEARD, STREAM, TENANT, seen

BETTER = HighlightScore(**dict.fromkeys(DIMENSIONS, 0.95))


def watching() -> tuple[WatchState, Piece]:
    state = WatchState(decided=32.0, reached=32.0, told_until=28.0)
    for index in range(8, 12):
        state = state.with_window(window(index), (HEARD,) if index == 11 else (), rank=2.0)
    piece = state.due()
    assert piece is not None
    return state, piece


def looked(*sightings: Sighting, unclear: tuple[float, ...] = ()) -> tuple[WatchState, Told]:
    """The state after a piece with one moment heard in it has been looked at."""
    state, piece = watching()
    told = told_with(
        piece,
        Look(sightings=sightings, unclear=unclear),
        state,
        tenant_id=TENANT,
        stream_id=STREAM,
        analyzer="both",
    )
    return state.after(piece, told.candidates, GateState(), told.opinions), told


def marked(moment: HighlightCandidate) -> HighlightCandidate:
    """The same moment once its tenant has marked it."""
    mark = {"mark": Mark(label="goal"), "score": BETTER, "unmarked": moment.score}
    return moment.model_copy(update=mark)


def test_a_moment_told_again_is_told_in_the_words_it_had_at_once() -> None:
    state, told = looked(seen(39.0, title="Seen"))
    again, after = state.with_window(window(12), (marked(HEARD),), rank=0.0).told_again()
    (before,), (now,) = told.candidates, again
    assert (now.id, now.peak, now.title) == (before.id, before.peak, "Seen")
    assert now.score.rarity > before.score.rarity
    assert after.due() is None


def test_so_is_one_that_nobody_has_seen() -> None:
    state, told = looked()
    (now,), after = state.with_candidates((marked(HEARD),)).told_again()
    assert now.evidence[-1] == told.candidates[0].evidence[-1]
    assert now.score == BETTER
    assert after.candidates == ()


def test_so_is_one_of_which_the_answers_were_of_no_use() -> None:
    state, _ = looked(unclear=(40.0,))
    (now,), _ = state.with_candidates((marked(HEARD),)).told_again()
    assert "no answer that could be used" in now.evidence[-1].words


def test_so_is_one_of_a_piece_about_which_the_answer_was_of_no_use() -> None:
    state, piece = watching()
    told = told_in_vain(piece, analyzer="both")
    state = state.after(piece, told.candidates, GateState(), told.opinions)
    (now,), _ = state.with_candidates((marked(HEARD),)).told_again()
    assert now.analyzer == "local-1"


def test_a_moment_that_only_gemini_had_told_keeps_its_id_when_it_is_marked() -> None:
    state, told = looked(seen(39.0), seen(33.0))
    alone = next(each for each in told.candidates if each.id != HEARD.id)
    late = marked(candidate(34.0))
    (now,), after = state.with_candidates((late,)).told_again()
    assert (now.id, now.peak) == (alone.id, alone.peak)
    again, _ = after.with_candidates((candidate(31.0),)).told_again()
    assert again == ()


def test_another_moment_is_not_taken_for_one_that_was_told() -> None:
    state, _ = looked(seen(39.0))
    again, after = state.with_candidates((candidate(43.0),)).told_again()
    assert again == ()
    assert [each.peak for each in after.candidates] == [43.0]


def test_a_moment_at_which_nobody_looked_is_asked_about_when_it_is_told_again() -> None:
    state, piece = watching()
    told = told_without(piece, Grounds.BUSY)
    state = state.after(piece, told.candidates, GateState(), told.opinions)
    again, after = state.with_candidates((marked(HEARD),)).told_again()
    assert again == ()
    assert after.due() is not None


def test_a_moment_told_twice_in_one_piece_is_one_as_it_was_told_last() -> None:
    state, _ = watching()
    piece = state.with_candidates((marked(HEARD),)).due()
    assert piece is not None
    assert [each.score for each in piece.candidates] == [BETTER]


def test_what_is_remembered_is_bounded_and_survives_being_stored() -> None:
    state = WatchState()
    for index in range(100):
        state = state.with_window(window(index), (candidate(4.0 * index),), rank=0.0)
        piece = state.due()
        assert piece is not None
        opinion = Opinion(
            id=piece.candidates[0].id, analyzer="both", sighting=seen(4.0 * index, title="Seen")
        )
        state = state.after(piece, piece.candidates, GateState(), (opinion,))
    assert len(state.opinions) == 12
    stored = state.model_dump_json(exclude_defaults=True)
    assert WatchState.model_validate_json(stored) == state
    assert len(stored) < 16_000


@pytest.mark.parametrize("heard", [True, False])
def test_the_very_moment_goes_before_one_nearby(heard: bool) -> None:
    near = Opinion(id=UUID(int=1), analyzer="both", sighting=seen(41.0), heard=False)
    own = Opinion(id=HEARD.id, analyzer="both", sighting=seen(39.0), heard=heard)
    assert opinion_on(HEARD, (near, own)) is own
