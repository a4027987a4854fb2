"""Temporal runs an analysis again when Gemini said so, and the window comes through."""

from __future__ import annotations

from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from infra.gemini import GeminiClient
from infra.media.pool import MediaPool
from tests.factories.scenes import Scene
from tests.fakes.gemini import FakeGemini, Fault
from tests.integration.gemini.stage import Stage, request_of

with workflow.unsafe.imports_passed_through():
    from app.worker import workflow_runner
    from domain import task_queues
    from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
    from domain.streams.messages import StreamTiming
    from workflows import steps

DELAY = 0.7


@workflow.defn(sandboxed=False)
class AnalyzeOnce:
    """Asks for an analysis exactly as a stream's workflow does."""

    @workflow.run
    async def run(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        return await steps.analyze(request, StreamTiming(retry_interval=0.01))


async def analyzed(client: Client, stage: Stage) -> AnalyzeWindowResult:
    queue = f"gemini-{uuid4()}"
    request = request_of(stage.scene.windows(), last=True)
    async with (
        Worker(
            client, task_queue=queue, workflows=[AnalyzeOnce], workflow_runner=workflow_runner()
        ),
        Worker(
            client,
            task_queue=task_queues.ANALYSIS,
            activities=[stage.analysis.analyze_window],
        ),
    ):
        return await client.execute_workflow(AnalyzeOnce.run, request, id=queue, task_queue=queue)


@pytest.fixture
def stage(scene: Scene, pool: MediaPool, client: GeminiClient) -> Stage:
    return Stage(scene, pool, client)


async def test_the_servers_delay_is_kept(
    temporal_client: Client, stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(status="RESOURCE_EXHAUSTED", delay=DELAY))
    result = await analyzed(temporal_client, stage)
    first, second, *_ = fake_gemini.asked(":generateContent")
    assert second.at - first.at >= DELAY
    assert "gemini" in result.candidates[0].analyzer


async def test_a_window_is_not_given_up_for_gemini(
    temporal_client: Client, stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(*[Fault(status="RESOURCE_EXHAUSTED", delay=0.01)] * 20)
    result = await analyzed(temporal_client, stage)
    assert len(result.candidates) == 1
    assert result.gemini is not None
    assert "quota" in (result.gemini.status_message or "")
    assert len(fake_gemini.asked(":generateContent")) == 3
