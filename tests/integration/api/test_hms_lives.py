"""Lives of beams through the real endpoint, streams, backfills and records, in any order.

What `tests/unit/domain/hms/test_delivery.py` shows of the protocol with crashes and outages, this
shows of what tenants see: a workflow for each beam, none that outlives its beam, and each moment of
the broadcast once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from domain.highlights.selection import DecisionStatus
from domain.ids import backfill_workflow_id
from domain.media.segments import GapStatus
from domain.streams.status import EndReason
from infra.db.engine import Database
from infra.settings import Settings
from tests.fakes.hms_sender import Sender, connect
from tests.fakes.hms_worker import Relay, inbound_activities, relay_to
from tests.fakes.scripted_broadcast import DURATION, PEAKS, Broadcast, on_air
from tests.integration.api.conftest import Account

pytestmark = [pytest.mark.stack, pytest.mark.timeout(280)]

LIMIT = 60.0
STARTED, STOPPED = "hls.started.success", "hls.stopped.success"
FAILED, RECORDED = "hls.failure", "hls.recording.success"
KINDS = (STARTED, STARTED, STARTED, STOPPED, FAILED, RECORDED, RECORDED)  # more lives than deaths
SHOWN = {DecisionStatus.PENDING, DecisionStatus.CONFIRMED}
BEAMS = (0, 1, 2)
SESSION_OF = (0, 0, 1)  # the second beam is a restart in the session of the first
CLOSED, PLAYED = "its session closed", "its playlist ended"
ENDS = {STOPPED, FAILED, CLOSED, PLAYED}
Happening = tuple[str, int]
T = TypeVar("T")


class Stage:
    """One tenant's connection, and everything that happens behind it."""

    def __init__(self, sender: Sender, broadcast: Broadcast, client: Client, relay: Relay) -> None:
        self.sender = sender
        self.broadcast = broadcast
        self.relay = relay
        self._client = client

    async def status(self, workflow_id: str) -> WorkflowExecutionStatus | None:
        """Return how a workflow is; None when there never was one."""
        try:
            return (await self._handle(workflow_id).describe()).status
        except RPCError:
            return None

    async def until_closed(self, workflow_id: str) -> None:
        """Wait for the end of a workflow: in good order, or as a stream whose source failed."""
        async with asyncio.timeout(LIMIT):
            try:
                await self._handle(workflow_id).result()
            except WorkflowFailureError as failure:
                cause = failure.cause
                if not isinstance(cause, ApplicationError) or cause.type != EndReason.SOURCE_FAILED:
                    raise AssertionError(f"{workflow_id} failed: {cause!r}") from failure

    async def runs(self, workflow_id: str) -> int:
        """Count how often a workflow was started, once its last run can be found."""
        last = (await self._handle(workflow_id).describe()).run_id
        async with asyncio.timeout(LIMIT):
            while True:
                query = f"WorkflowId = '{workflow_id}'"
                found = {each.run_id async for each in self._client.list_workflows(query)}
                if last in found:
                    return len(found)
                await asyncio.sleep(0.05)

    async def get(self, path: str) -> dict[str, Any] | None:
        """Read a resource; None when there is none."""
        answer = await self.sender.account.http.get(path)
        found: dict[str, Any] | None = None if answer.status_code == 404 else answer.json()
        return found

    def _handle(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id)


@pytest.fixture
async def stage(
    account: Account, temporal_client: Client, database: Database, settings: Settings
) -> AsyncIterator[Stage]:
    relay = relay_to(temporal_client, database, settings)
    inbound = inbound_activities(temporal_client, database, settings)
    async with on_air(temporal_client, database, inbound) as broadcast:
        sender = await connect(account, has_worker=True, game="soccer")
        yield Stage(sender, broadcast, temporal_client, relay)


class Lives(RuleBasedStateMachine):
    """Three beams in two sessions.

    Attributes:
        told: what happened to each beam; what happened at the same moment is one set.
        watched: beams of which all that was broadcast has been fetched live.
    """

    def __init__(self, stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._stage = stage
        self._loop = loop
        self._name = uuid4().hex
        self._sent: list[bytes] = []
        self.told: dict[int, list[set[str]]] = {beam: [] for beam in BEAMS}
        self.watched: set[int] = set()

    @rule(kind=st.sampled_from(KINDS), beam=st.sampled_from(BEAMS))
    def tell(self, kind: str, beam: int) -> None:
        self._do(self._tell((kind, beam)))

    @rule(
        happenings=st.lists(
            st.tuples(st.sampled_from(KINDS), st.sampled_from(BEAMS)), min_size=2, max_size=4
        )
    )
    def tell_at_the_same_moment(self, happenings: list[Happening]) -> None:
        self._do(self._tell(*happenings))

    @precondition(lambda self: self._sent)
    @rule(data=st.data())
    def tell_again(self, data: st.DataObject) -> None:
        raw = data.draw(st.sampled_from(self._sent))
        answer = self._do(self._stage.sender.post(raw))
        assert (answer.status_code, answer.json()["is_new"]) == (200, False)

    @precondition(lambda self: self.on_air())
    @rule(data=st.data())
    def close_the_session(self, data: st.DataObject) -> None:
        session = SESSION_OF[data.draw(st.sampled_from(self.on_air()))]
        self._do(self._close(session))
        self._note({beam: {CLOSED} for beam in BEAMS if SESSION_OF[beam] == session})

    @precondition(lambda self: self.on_air())
    @rule(data=st.data())
    def follow_to_the_edge(self, data: st.DataObject) -> None:
        """All that was broadcast so far has been fetched."""
        beam = data.draw(st.sampled_from(self.on_air()))
        self._do(self._reach_edge(beam))
        self.watched.add(beam)

    @precondition(lambda self: self.on_air())
    @rule(data=st.data())
    def end_by_itself(self, data: st.DataObject) -> None:
        """A playlist that ends ends its stream without 100ms."""
        beam = data.draw(st.sampled_from(self.on_air()))
        self._stage.broadcast.over.add(self._stage.sender.stream_id(self._beam(beam)))
        self._do(self._stage.until_closed(self._stage.sender.workflow_id(self._beam(beam))))
        self.watched.add(beam)
        self._note({beam: {PLAYED}})

    def on_air(self) -> list[int]:
        """Return the beams that were started for certain, and of whose end nobody has told."""
        return [beam for beam in BEAMS if self._was_opened(beam) and not self._was_ended(beam)]

    def teardown(self) -> None:
        self._do(self._stage.relay())
        for beam in BEAMS:
            self._do(self._check(beam))

    async def _check(self, beam: int) -> None:
        stage, name = self._stage, self._beam(beam)
        workflow_id = stage.sender.workflow_id(name)
        status = await stage.status(workflow_id)
        if beam in self.on_air():
            assert status is WorkflowExecutionStatus.RUNNING, "a start was lost"
        if not self._was_ended(beam):
            await self._tell((STOPPED, beam))
        if status is not None:
            await stage.until_closed(workflow_id)  # else it is an orphan
            assert await stage.runs(workflow_id) == 1, "two workflows for a beam"
        if self._was_told(RECORDED, beam):
            backfill = backfill_workflow_id(
                tenant_id=stage.sender.account.tenant_id, stream_id=stage.sender.stream_id(name)
            )
            if await stage.status(backfill) is not None:
                await stage.until_closed(backfill)
        recovered = self._was_told(RECORDED, beam) and status is None
        await self._check_highlights(beam, whole=recovered or beam in self.watched)

    async def _check_highlights(self, beam: int, *, whole: bool) -> None:
        stream_id = self._stage.sender.stream_id(self._beam(beam))
        stream = await self._stage.get(f"/v1/streams/{stream_id}")
        if stream is None:
            assert not self._was_opened(beam), "a stream was lost"
            assert not self._was_told(RECORDED, beam), "a recording was lost"
            return
        if whole:
            assert stream["position"] == DURATION
        open_gaps = [each for each in stream["gaps"] if each["status"] != GapStatus.FILLED]
        if self._was_told(RECORDED, beam):
            assert (open_gaps, stream["position"] > 0) == ([], True), "a recording was lost"
        page = await self._stage.get(f"/v1/highlights/list?stream_id={stream_id}&limit=100")
        assert page is not None
        shown = [each for each in page["data"] if each["status"] in SHOWN]
        assert sorted(each["peak"] for each in shown) == [
            peak
            for peak in PEAKS
            if peak < stream["position"]
            and not any(gap["start"] <= peak < gap["start"] + gap["duration"] for gap in open_gaps)
        ], "a highlight is lost or double"
        assert [each["clip"]["status"] for each in shown] == ["ready"] * len(shown)
        assert stream["clips"] == stream["highlights"] == len(shown)

    def _note(self, happened: dict[int, set[str]]) -> None:
        for beam, kinds in happened.items():
            self.told[beam].append(kinds)

    def _was_told(self, kind: str, beam: int) -> bool:
        return any(kind in moment for moment in self.told[beam])

    def _was_opened(self, beam: int) -> bool:
        """Tell whether its start came before all else for certain."""
        return self.told[beam][:1] == [{STARTED}]

    def _was_ended(self, beam: int) -> bool:
        return any(moment & ENDS for moment in self.told[beam])

    def _beam(self, beam: int) -> str:
        return f"{self._name}-{beam}"

    async def _tell(self, *happenings: Happening) -> None:
        raws = [
            self._stage.sender.event(kind, self._beam(beam), data=self._about(SESSION_OF[beam]))
            for kind, beam in happenings
        ]
        answers = await asyncio.gather(*(self._stage.sender.post(raw) for raw in raws))
        assert {each.status_code for each in answers} == {200}
        await self._stage.sender.processed()
        self._sent += raws
        self._note(
            {
                beam: {kind for kind, about in happenings if about == beam}
                for beam in {about for _, about in happenings}
            }
        )

    async def _close(self, session: int) -> None:
        about = self._about(session)
        answer = await self._stage.sender.send("session.close.success", None, data=about)
        assert answer.status_code == 200

    def _about(self, session: int) -> dict[str, str]:
        return {
            "room_id": self._name,
            "session_id": f"{self._name}-{session}",
            "job_id": f"{self._name}-job",
        }

    async def _reach_edge(self, beam: int) -> None:
        async with asyncio.timeout(LIMIT):
            await self._stage.broadcast.at_edge[
                self._stage.sender.stream_id(self._beam(beam))
            ].wait()

    def _do(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result()


async def test_each_beam_has_one_workflow_none_outlives_it_and_each_moment_is_shown_once(
    stage: Stage,
) -> None:
    loop = asyncio.get_running_loop()

    class StagedLives(Lives):
        def __init__(self) -> None:
            super().__init__(stage, loop)

    await asyncio.to_thread(
        run_state_machine_as_test,
        StagedLives,
        settings=settings(
            max_examples=12,
            stateful_step_count=10,
            phases=[Phase.generate],  # a life takes seconds: too long to look for a shorter one
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
