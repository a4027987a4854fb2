"""What is wrong with a stream is shown while it lasts, and no longer."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.clips.models import ClipSpec, ClipStatus
from domain.ingest.messages import FetchWindowResult, IngestCursor
from domain.ingest.retries import RepeatedFailure
from domain.streams.ledger import StreamLedger
from domain.streams.status import EndReason, ProblemCode, StreamEnd, StreamProblem
from tests.factories.clips import STREAM, TENANT, outcome, window
from tests.factories.ledgers import analyze, fetch, new_ledger, reloaded

FULL = StreamProblem(code=ProblemCode.STORE_FULL, message="Our media store is full.")


def tracking() -> StreamLedger:
    state = new_ledger()
    state.track_problems()
    return state


def codes(state: StreamLedger) -> list[ProblemCode]:
    return [problem.code for problem in state.progress.problems]


def spec_of(number: int) -> ClipSpec:
    return ClipSpec(
        id=UUID(int=number),
        tenant_id=TENANT,
        stream_id=STREAM,
        highlight_id=UUID(int=number),
        start=0.0,
        end=2.0,
        peak=1.0,
        segments=(),
    )


def report(state: StreamLedger, problem: StreamProblem | None) -> None:
    state.record_fetched(FetchWindowResult(cursor=IngestCursor(), problem=problem))


def written(state: StreamLedger) -> None:
    state.mark_recorded(state.record())


def test_a_problem_of_ingest_is_recorded_at_once_and_so_is_its_end() -> None:
    state = tracking()
    fetch(state, window(0))
    written(state)
    assert not state.record_is_due
    report(state, FULL)
    assert state.record_is_due
    assert state.record().progress.problems == (FULL,)
    written(state)
    assert state.fetch_request().problem == FULL
    report(state, None)
    assert state.record_is_due
    assert state.record().progress.problems == ()
    assert state.fetch_request().problem is None


def test_a_problem_that_lasts_is_not_recorded_again_and_again() -> None:
    state = tracking()
    report(state, FULL)
    written(state)
    report(state, FULL.model_copy(update={"message": "Our media store is still full."}))
    assert not state.record_is_due
    assert codes(state) == [ProblemCode.STORE_FULL]


def test_analysis_that_falls_behind_is_said_until_it_has_caught_up() -> None:
    state = tracking()
    for index in range(9):
        fetch(state, window(index))
    assert codes(state) == []
    for index in range(9, 11):
        fetch(state, window(index))
    assert codes(state) == [ProblemCode.ANALYSIS_BEHIND]
    assert "66 s behind" in state.progress.problems[0].message
    analyze(state, 20.0)
    assert codes(state) == [ProblemCode.ANALYSIS_BEHIND]
    analyze(state, 60.0)
    assert codes(state) == []


def test_windows_given_up_are_said_until_one_is_analysed() -> None:
    state = tracking()
    fetch(state, window(0))
    state.record_analysis_failure(state.analysis_request())
    assert codes(state) == [ProblemCode.ANALYSIS_FAILING]
    fetch(state, window(1))
    analyze(state)
    assert codes(state) == []


def test_clips_that_fail_one_after_the_other_are_said_until_one_is_ready() -> None:
    state = tracking()
    state.record_clip_outcome(outcome(spec_of(1), ClipStatus.FAILED))
    assert codes(state) == []
    state.record_clip_outcome(outcome(spec_of(2), ClipStatus.FAILED))
    assert codes(state) == [ProblemCode.CLIPS_FAILING]
    state.record_clip_outcome(outcome(spec_of(3), ClipStatus.READY))
    assert codes(state) == []


def test_problems_outlive_continue_as_new() -> None:
    state = tracking()
    report(state, FULL)
    following = reloaded(state)
    following.track_problems()
    assert codes(following) == [ProblemCode.STORE_FULL]
    report(following, None)
    assert codes(following) == []


def test_a_stream_that_is_over_has_no_problems() -> None:
    state = tracking()
    report(state, FULL)
    state.record_media_end(StreamEnd(reason=EndReason.STOPPED, message="stopped"))
    state.close()
    assert codes(state) == []


def test_histories_of_before_replay_without_problems() -> None:
    state = new_ledger()
    for index in range(12):
        fetch(state, window(index))
    written(state)
    report(state, FULL)
    state.record_analysis_failure(state.analysis_request())
    assert codes(state) == []
    assert not state.record_is_due


def test_the_match_report_names_the_stream_and_its_problems() -> None:
    state = tracking()
    report(state, FULL)
    assert "**store_full**: Our media store is full." in state.report()


@pytest.mark.parametrize("code", [ProblemCode.MEDIA_ENCRYPTED, ProblemCode.AUDIO_UNAVAILABLE])
def test_media_that_is_refused_is_shown_beside_other_problems_and_cleared(
    code: ProblemCode,
) -> None:
    state = tracking()
    problem = StreamProblem(code=code, message="It cannot be read.")
    report(state, problem)
    assert state.fetch_request().problem == problem
    assert codes(state) == [code]
    report(state, None)
    assert codes(state) == []


def outcomes(failure: RepeatedFailure, *good: bool) -> list[bool]:
    """Whether the problem is shown after each segment."""
    shown = []
    for is_good in good:
        if is_good:
            failure.succeeded()
        else:
            failure.failed("the origin answers 403.")
        shown.append(failure.shown is not None)
    return shown


def test_a_failure_of_single_segments_is_shown_when_it_repeats_until_three_are_good() -> None:
    failure = RepeatedFailure(ProblemCode.MEDIA_ENCRYPTED)
    assert outcomes(failure, False, True, True, True) == [False] * 4
    assert outcomes(failure, False, True, False) == [False, False, True]
    assert failure.shown is not None
    assert "cannot be decrypted: the origin answers 403. " in failure.shown.message
    assert outcomes(failure, True, True, False, True, True, True) == [True] * 5 + [False]
    assert failure.detail == ""


def test_another_worker_goes_on_showing_what_was_reported() -> None:
    known = StreamProblem(code=ProblemCode.AUDIO_UNAVAILABLE, message="No sound.")
    assert RepeatedFailure(ProblemCode.MEDIA_ENCRYPTED, known=known).shown is None
    failure = RepeatedFailure(ProblemCode.AUDIO_UNAVAILABLE, known=known)
    assert outcomes(failure, True, True, True) == [True, True, False]
