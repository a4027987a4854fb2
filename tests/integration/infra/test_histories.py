"""The candidates of a stream by its workflow's history, over all of its runs."""

from __future__ import annotations

import pytest
from temporalio.client import Client

from domain.analysis.messages import AnalyzeWindowResult
from domain.highlights.selection import SelectHighlightsInput, SelectHighlightsResult
from domain.streams.messages import FollowResult
from infra.temporal.client import TemporalUnavailableError, connected
from infra.temporal.histories import CompletedCall, WorkflowHistories
from tests.fakes.scripted_stream import Script, failing, running, start
from workflows.steps import STREAM_CALLS

PEAKS = [9.0, 60.0, 350.0]


async def calls_of(histories: WorkflowHistories, workflow_id: str) -> list[CompletedCall]:
    runs = await histories.runs(workflow_id)
    assert runs.is_whole
    return [
        call
        for run_id in runs.ids
        async for call in histories.completed(workflow_id, run_id, STREAM_CALLS)
    ]


async def test_a_history_names_each_candidate_of_all_runs_once_and_in_order(
    temporal_client: Client,
) -> None:
    script = Script(windows=60, peaks=PEAKS)
    script.before["select_highlights"] = failing(1)  # its retry is one call
    async with running(temporal_client, script):
        stream = await start(temporal_client, history_limit=60)
        await stream.result()
    histories = WorkflowHistories(connected(temporal_client))
    assert len((await histories.runs(stream.id)).ids) > 1
    found: list[float] = []
    selected: list[float] = []
    for call in await calls_of(histories, stream.id):
        match call.result:
            case FollowResult():
                for each in call.result.analyses:
                    found += [candidate.peak for candidate in each.result.candidates]
            case AnalyzeWindowResult():
                found += [candidate.peak for candidate in call.result.candidates]
            case SelectHighlightsResult():
                assert isinstance(call.request, SelectHighlightsInput)
                selected += [candidate.peak for candidate in call.request.candidates]
                assert {each.peak for each in call.result.decisions} <= set(PEAKS)
    assert found == selected == PEAKS


async def test_a_workflow_that_is_not_known_has_no_runs(temporal_client: Client) -> None:
    runs = await WorkflowHistories(connected(temporal_client)).runs("stream/none/none")
    assert (runs.ids, runs.is_whole) == ((), False)


async def test_a_server_that_does_not_answer_is_no_missing_history() -> None:
    async def away() -> Client:
        raise TemporalUnavailableError("no server")

    with pytest.raises(TemporalUnavailableError):
        await WorkflowHistories(away).runs("stream/none/none")
