"""A stream in chunks: nothing is left out, nothing is told twice, nobody waits for long."""

from __future__ import annotations

import itertools
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.gemini.budget import GateState
from domain.analysis.gemini.chunks import (
    CHUNK_LEAD,
    CHUNK_MARGIN,
    LONGEST_CHUNK,
    MOMENT_LEAD,
    Chunk,
    GeminiState,
)
from tests.factories.gemini import SECONDS, candidate, window


def after(state: GeminiState, chunk: Chunk) -> GeminiState:
    return state.after_chunk(chunk, chunk.candidates, GateState())


def run(
    count: int, *, moments: tuple[int, ...] = (), ends: bool = True
) -> tuple[list[Chunk], GeminiState]:
    """Watch `count` windows, in some of which the local analyzer settles a moment."""
    state, pieces = GeminiState(), []
    for index in range(count):
        settled = (candidate(max(0.0, index * SECONDS - 3.0)),) if index in moments else ()
        state = state.with_window(window(index), settled, rank=1.0)
        chunk = state.due_chunk(last=ends and index == count - 1)
        if chunk is not None:
            pieces.append(chunk)
            state = after(state, chunk)
    return pieces, state


def test_a_piece_ends_when_it_is_long() -> None:
    pieces, _ = run(12)
    assert [(chunk.start, chunk.end) for chunk in pieces] == [(0.0, 24.0), (24.0, 48.0)]


def test_a_piece_ends_at_once_when_a_moment_is_settled() -> None:
    pieces, _ = run(6, moments=(2,), ends=False)
    assert [(chunk.start, chunk.end) for chunk in pieces] == [(0.0, 12.0)]
    assert len(pieces[0].candidates) == 1


def test_what_leads_up_to_a_piece_is_watched_with_it() -> None:
    pieces, _ = run(12)
    assert pieces[1].segments[0].start == 24.0 - CHUNK_LEAD
    assert pieces[1].video_seconds == LONGEST_CHUNK + CHUNK_LEAD


def test_all_of_a_moment_is_watched_though_it_began_earlier() -> None:
    state, pieces = GeminiState(), []
    for index in range(9):
        settled = (candidate(14.0),) if index == 8 else ()
        state = state.with_window(window(index), settled, rank=0.0)
        chunk = state.due_chunk()
        if chunk is not None:
            pieces.append(chunk)
            state = after(state, chunk)
    assert pieces[-1].segments[0].start <= 14.0 - 3.0 - MOMENT_LEAD


def test_of_a_piece_with_a_moment_no_more_is_watched_than_it_took() -> None:
    pieces, _ = run(6, moments=(5,), ends=False)
    (chunk,) = pieces
    first = chunk.candidates[0].start - MOMENT_LEAD
    assert chunk.start == 0.0
    assert first - 2.0 < chunk.segments[0].start <= first


def test_the_last_piece_ends_with_the_stream() -> None:
    pieces, state = run(8)
    assert (pieces[-1].end, pieces[-1].last) == (32.0, True)
    assert state.published_until == 32.0


def test_moments_near_a_border_are_left_to_the_next_piece() -> None:
    _, state = run(6, ends=False)
    assert state.published_until == 24.0 - CHUNK_MARGIN


def test_the_tenants_marks_go_with_their_piece() -> None:
    state = GeminiState().with_window(window(0, marks=("Great save!", "advert")), (), rank=0.0)
    chunk = state.due_chunk(last=True)
    assert chunk is not None
    assert chunk.marks == ("great_save",)
    assert after(state, chunk).marks == ()


def test_the_draw_for_a_piece_is_always_the_same() -> None:
    chunk = run(6)[0][0]
    assert chunk.sample(UUID(int=1)) == chunk.sample(UUID(int=1))
    drawn = [chunk.model_copy(update={"start": float(at)}).sample(UUID(int=1)) for at in range(999)]
    assert 0.4 < sum(drawn) / len(drawn) < 0.6


@given(st.sets(st.integers(0, 39)), st.integers(1, 40))
def test_pieces_cover_the_stream_and_what_is_remembered_is_bounded(
    moments: set[int], count: int
) -> None:
    pieces, state = run(count, moments=tuple(moments))
    assert pieces[0].start == 0.0
    assert pieces[-1].end == count * SECONDS
    for one, other in itertools.pairwise(pieces):
        assert one.end == other.start
    for chunk in pieces:
        assert chunk.seconds <= LONGEST_CHUNK
        assert chunk.video_seconds <= LONGEST_CHUNK + 2 * CHUNK_LEAD
    assert len(state.segments) <= (CHUNK_LEAD + LONGEST_CHUNK) / 2.0 + 1
    told = [each.id for chunk in pieces for each in chunk.candidates]
    assert len(told) == len(moments & set(range(count)))
