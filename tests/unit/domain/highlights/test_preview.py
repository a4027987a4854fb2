"""A preview decides on recorded candidates as the stream's selection would have."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from hypothesis import given, settings

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus
from domain.highlights.selection.preview import preview_selection
from domain.profiles.model import GameProfile
from tests.factories.selection import (
    PROFILES,
    WATERMARKS,
    Stream,
    candidate,
    candidates,
    profile,
    run,
)

END = 1e5


def recorded(
    proposed: Sequence[HighlightCandidate], stream: Stream
) -> list[tuple[HighlightCandidate, Decision]]:
    return [(each, stream.decisions[each.id]) for each in proposed]


@given(candidates(), PROFILES, WATERMARKS)
@settings(max_examples=100)
def test_the_rules_of_the_stream_confirm_the_same_highlights_with_the_same_clips(
    proposed: list[HighlightCandidate], rules: GameProfile, watermarks: list[float]
) -> None:
    live = run(rules, proposed, watermarks, end=END)
    again = preview_selection(recorded(proposed, live), rules, watermark=END, ended=True)
    assert again.keys() == live.decisions.keys()
    confirmed = {
        key: (each.score, each.clip_start, each.clip_end)
        for key, each in again.items()
        if each.status is DecisionStatus.CONFIRMED
    }
    assert confirmed == {
        each.highlight_id: (each.score, each.clip_start, each.clip_end) for each in live.confirmed()
    }


def test_a_clip_keeps_the_safe_cuts_that_it_was_made_with() -> None:
    proposed = candidate(1, 100.0, 0.9).replace(safe_starts=(95.2,), safe_ends=(104.1,))
    live = run(profile(), [proposed], end=END)
    stored = proposed.replace(safe_starts=(), safe_ends=())
    again = preview_selection(recorded([stored], live), profile(), watermark=END, ended=True)
    assert (again[proposed.id].clip_start, again[proposed.id].clip_end) == (95.2, 104.1)


def test_a_lower_threshold_shows_what_was_rejected() -> None:
    proposed = [candidate(1, 100.0, 0.6), candidate(2, 400.0, 0.9)]
    live = run(profile(), proposed, end=END)
    lower = profile().model_copy(
        update={"thresholds": profile().thresholds.model_copy(update={"standard": 0.5})}
    )
    again = preview_selection(recorded(proposed, live), lower, watermark=END, ended=True)
    assert live.status(1) is DecisionStatus.REJECTED
    assert again[UUID(int=1)].status is DecisionStatus.CONFIRMED


def test_of_a_running_stream_the_latest_candidates_stay_open() -> None:
    proposed = [candidate(1, 100.0, 0.8), candidate(2, 900.0, 0.8)]
    stream = Stream(profile())
    stream.call(*proposed, watermark=905.0)
    again = preview_selection(recorded(proposed, stream), profile(), watermark=905.0, ended=False)
    assert again[UUID(int=1)].status is DecisionStatus.CONFIRMED
    assert again[UUID(int=2)].status is DecisionStatus.PENDING
