from __future__ import annotations

from uuid import UUID

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.explanation import explain
from tests.factories.selection import Stream, candidate, profile, run


def words(stream: Stream, moment: HighlightCandidate) -> str:
    return "\n".join(explain(moment, stream.decisions[moment.id], profile()))


def test_a_confirmed_highlight_explains_verdict_reasons_score_and_clip() -> None:
    moment = candidate(1, 100.0, 0.9, title="Volley from 30 m")
    told = words(run(profile(), [moment]), moment)
    assert told.startswith("“Volley from 30 m” at 1:40 is a highlight, for good.")
    assert "Its score reaches the high quality threshold of 0.85." in told
    assert "Its window is over, and it is among the window's best." in told
    assert "Combined score 0.900 by profile Test (high quality), from test, 100% sure:" in told
    assert "  skill execution: 0.90 x 0.25 = 0.225" in told
    assert "Its clip runs 7.5 s, from 2.0 s before the moment to 1.5 s after it" in told


def test_a_rejected_candidate_explains_the_obstacle_and_has_no_clip() -> None:
    better, weaker = candidate(1, 100.0, 0.9, title="Volley"), candidate(2, 110.0, 0.8)
    told = words(run(profile(), [better, weaker]), weaker)
    assert told.startswith("The moment at 1:50 was not chosen.")
    assert "Peaks 10.0 s from “Volley” at 1:40, which was chosen" in told
    assert "Its clip" not in told


def test_evidence_and_corrections_are_explained() -> None:
    moment = candidate(1, 100.0, 0.9).model_copy(
        update={
            "evidence": (Evidence(signal="loudness", strength=4.2, words="The crowd roared"),),
            "corrections": ("peak 99.000 s moved",),
        }
    )
    told = words(run(profile(), [moment]), moment)
    assert "Evidence: The crowd roared (loudness +4.2)." in told
    assert "Corrected: peak 99.000 s moved." in told


def test_a_moved_bound_is_explained() -> None:
    moment = candidate(1, 100.0, 0.9).model_copy(
        update={"safe_starts": (95.0,), "safe_ends": (104.2,)}
    )
    stream = run(profile(), [moment])
    assert "The clip starts 1.0 s earlier and ends 0.7 s later" in words(stream, moment)
    decision = stream.decisions[UUID(int=1)]
    assert (decision.clip_start, decision.clip_end) == (95.0, 104.2)
