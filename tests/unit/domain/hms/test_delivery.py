"""Lives of beams under every misfortune: orders, repetitions, crashes, outages, concurrency.

The real protocol (`domain.hms.beam`) runs against a database and a workflow service that keep their
promises and no more. It is stepped one call at a time, so that any two attempts meet at any point;
a crash drops one between two calls, and its event stays pending, as it does for real.

Normally the workflow of a session lets one attempt run at a time, in the order of the rows. What
leads there (store, signal, process, retry, relay) is gone through as well, step by step.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from types import coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.hms.beam import (
    SESSION_CLOSED,
    Beam,
    BeamEnd,
    BeamRecording,
    BeamTransition,
    Command,
    Outcome,
    advance,
    apply_effect,
)
from domain.hms.effects import (
    BeamRef,
    Effect,
    EndKind,
    EndSession,
    EndStream,
    OfferRecording,
    StartStream,
)

BEAMS = [
    # The second beam of a session is a restart of the same room: other beam, same URL.
    BeamRef(key="beam:1", room_id="room", session_id="one"),
    BeamRef(key="beam:2", room_id="room", session_id="one"),
    BeamRef(key="beam:3", room_id="room", session_id="two"),
]
URL = "https://cdn.example.com/room/master.m3u8"


def effects() -> list[Effect]:
    found: list[Effect] = []
    for ref in BEAMS:
        found += [
            StartStream(beam=ref, url=URL),
            EndStream(beam=ref, how=EndKind.STOPPED, message="stopped"),
            EndStream(beam=ref, how=EndKind.FAILED, message="failed", error_type="UPLOAD_ERROR"),
            OfferRecording(beam=ref, url=f"{URL}?vod"),
        ]
    found += [EndSession(session_id="one", room_id="room", message="closed")]
    return found


EFFECTS = effects()


class AwayError(Exception):
    """The workflow service does not answer."""


@coroutine
def between_calls() -> Generator[None, None, None]:
    yield


@dataclass
class World:
    """What survives a crash: rows, workflows, and whether the workflow service answers."""

    beams: dict[str, Beam] = field(default_factory=dict)
    closed: set[str | None] = field(default_factory=set)
    open_rows: set[str] = field(default_factory=set)
    closed_rows: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    offered: set[str] = field(default_factory=set)
    recovered: set[str] = field(default_factory=set)
    away: bool = False

    def start_workflow(self, key: str) -> None:
        self.answer()
        if key not in self.running | self.finished:
            self.running.add(key)
            self.started.append(key)

    def answer(self) -> None:
        if self.away:
            raise AwayError

    def close_row(self, key: str) -> None:
        if key in self.open_rows:
            self.open_rows.discard(key)
            self.closed_rows.add(key)

    def finish(self, key: str) -> None:
        self.running.discard(key)
        self.finished.add(key)
        self.close_row(key)


class Beams:
    """The beams as PostgreSQL keeps them: each call is a transaction."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def advance(self, effect: StartStream | EndStream | OfferRecording) -> BeamTransition:
        await between_calls()
        ref, world = effect.beam, self._world
        step = advance(
            world.beams.get(ref.key, Beam()),
            effect,
            session_closed=ref.session_id in world.closed,
        )
        world.beams[ref.key] = step.beam
        makes_row = step.command is Command.START or step.outcome is Outcome.RECOVERED
        if makes_row and ref.key not in world.closed_rows:
            world.open_rows.add(ref.key)
        return step

    async def reload(self, ref: BeamRef) -> Beam:
        await between_calls()
        beam = self._world.beams.get(ref.key, Beam())
        if beam.end is None and ref.session_id in self._world.closed:
            beam = beam.close(SESSION_CLOSED)
            self._world.beams[ref.key] = beam
        return beam

    async def close_session(self, effect: EndSession) -> tuple[BeamRef, ...]:
        await between_calls()
        self._world.closed.add(effect.session_id)
        await between_calls()
        return tuple(
            ref
            for ref in BEAMS
            if ref.session_id == effect.session_id
            and ref.key in self._world.open_rows
            and self._world.beams[ref.key].opened
        )


class Streams:
    """The streams as Temporal runs them."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def start(self, ref: BeamRef) -> None:
        await between_calls()
        if ref.key in self._world.open_rows:
            await between_calls()
            self._world.start_workflow(ref.key)

    async def end(self, ref: BeamRef, end: BeamEnd) -> None:
        assert end.message
        await between_calls()
        self._world.answer()
        if ref.key in self._world.running:
            self._world.finish(ref.key)
            return
        await between_calls()
        self._world.close_row(ref.key)

    async def offer(self, ref: BeamRef, recording: BeamRecording) -> None:
        assert recording.url
        await between_calls()
        self._world.answer()
        if ref.key in self._world.running:
            self._world.offered.add(ref.key)
            return
        await between_calls()
        self._world.answer()
        self._world.recovered.add(ref.key)
        self._world.close_row(ref.key)  # as the backfill does when it is done


class Processes:
    """Deliveries under way, stepped one call at a time, and the events that are still pending."""

    def __init__(self) -> None:
        self.world = World()
        self.arrived: set[int] = set()
        self.pending: set[int] = set()
        self.under_way: list[tuple[int, Coroutine[Any, Any, object]]] = []

    def arrive(self, event: int) -> None:
        """An event that arrives again is a duplicate, and changes nothing."""
        if event not in self.arrived:
            self.arrived.add(event)
            self.pending.add(event)

    def begin(self, event: int) -> None:
        beams, streams = Beams(self.world), Streams(self.world)
        delivery = apply_effect(EFFECTS[event], beams=beams, streams=streams)
        self.under_way.append((event, delivery))

    def step(self, index: int) -> bool:
        """Let a delivery make its next call; answer whether it goes on after that."""
        event, delivery = self.under_way[index]
        try:
            delivery.send(None)
        except StopIteration:
            self.pending.discard(event)
        except AwayError:
            pass
        else:
            return True
        del self.under_way[index]
        return False

    def crash(self, index: int) -> None:
        _, delivery = self.under_way.pop(index)
        delivery.close()

    def settle(self) -> None:
        """Let all deliveries end, and the relay deliver what is still pending."""
        self.world.away = False
        while self.under_way:
            self.step(0)
        for event in sorted(self.pending):
            self.begin(event)
            while self.under_way:
                self.step(0)

    def check(self) -> None:
        """Nothing runs that has ended, and nothing was lost."""
        told = [EFFECTS[event] for event in sorted(self.arrived)]
        assert len(self.world.started) == len(set(self.world.started)), "two workflows for a beam"
        for ref in BEAMS:
            self.check_beam(ref, [each for each in told if getattr(each, "beam", None) == ref])

    def check_beam(self, ref: BeamRef, told: list[Effect]) -> None:
        world = self.world
        started = any(isinstance(each, StartStream) for each in told)
        ended = any(isinstance(each, EndStream) for each in told) or (
            started and ref.session_id in world.closed
        )
        if ended:
            assert ref.key not in world.running, "an orphan runs after its end"
            assert ref.key not in world.open_rows, "a stream stays open after its end"
        elif started:
            seen = world.running | world.finished | world.recovered
            assert ref.key in seen, "a start was lost"
        else:
            assert ref.key not in world.started, "a stream that nobody started"
        if any(isinstance(each, OfferRecording) for each in told):
            assert ref.key in world.offered | world.recovered, "a recording was lost"


class LifeOfBeams(RuleBasedStateMachine):
    """Events in any order, any number of times, delivered by any number of processes that die."""

    def __init__(self) -> None:
        super().__init__()
        self.processes = Processes()

    @rule(event=st.integers(0, len(EFFECTS) - 1))
    def arrive(self, event: int) -> None:
        self.processes.arrive(event)

    @precondition(lambda self: self.processes.pending)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.processes.begin(data.draw(st.sampled_from(sorted(self.processes.pending))))

    @precondition(lambda self: self.processes.under_way)
    @rule(data=st.data(), steps=st.integers(1, 4))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        index = data.draw(st.integers(0, len(self.processes.under_way) - 1))
        for _ in range(steps):
            if not self.processes.step(index):
                return

    @precondition(lambda self: self.processes.under_way)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.processes.crash(data.draw(st.integers(0, len(self.processes.under_way) - 1)))

    @rule(away=st.booleans())
    def lose_or_find_the_workflow_service(self, away: bool) -> None:
        self.processes.world.away = away

    @precondition(lambda self: self.processes.world.running)
    @rule(data=st.data())
    def end_by_itself(self, data: st.DataObject) -> None:
        """A playlist that ends or stalls ends its stream without 100ms."""
        world = self.processes.world
        world.finish(data.draw(st.sampled_from(sorted(world.running))))

    @invariant()
    def one_workflow_for_each_beam(self) -> None:
        started = self.processes.world.started
        assert len(started) == len(set(started))

    def teardown(self) -> None:
        self.processes.settle()
        self.processes.check()


LifeOfBeams.TestCase.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, database=None
)
TestLifeOfBeams = LifeOfBeams.TestCase

ABOUT_THE_FIRST = [
    index
    for index, effect in enumerate(EFFECTS)
    if isinstance(effect, EndSession) or getattr(effect, "beam", None) == BEAMS[0]
]


@pytest.mark.parametrize(
    ("first", "second"), list(combinations_with_replacement(ABOUT_THE_FIRST, 2))
)
def test_two_deliveries_may_meet_and_crash_at_any_call(first: int, second: int) -> None:
    """Every interleaving of the calls of two deliveries, with a crash of either anywhere."""
    paths: list[tuple[str, ...]] = [()]
    while paths:
        path = paths.pop()
        processes = Processes()
        for event in (first, second):
            processes.arrive(event)
            processes.begin(event)
        alive = follow(processes, path)
        paths += [(*path, move) for move in moves(path, alive)]
        processes.settle()
        processes.check()


def follow(processes: Processes, path: tuple[str, ...]) -> list[int]:
    """Make the moves of a path; return which of the two deliveries are still under way."""
    alive = [0, 1]
    for move in path:
        name, which = move[:-1], int(move[-1])
        index = alive.index(which)
        if name == "crash":
            processes.crash(index)
            alive.remove(which)
        elif not processes.step(index):
            alive.remove(which)
    return alive


def moves(path: tuple[str, ...], alive: list[int]) -> list[str]:
    crashed = any(move.startswith("crash") for move in path)
    return [f"step{each}" for each in alive] + [f"crash{each}" for each in alive if not crashed]


class OneSession:
    """Two events of one session: the processes that store them, and the session's workflow."""

    def __init__(self, *events: int) -> None:
        self.events = events
        self.world = World()
        self.rows: list[int] = []  # stored, in the order of their positions
        self.done: list[int] = []
        self.has_events = False  # as `SessionWorkflow` knows
        self.attempt: Coroutine[Any, Any, None] | None = None
        self.steps = 0  # of the attempt
        self.storing = {which: self._store(which) for which in range(len(events))}
        self.stored = dict.fromkeys(self.storing, 0)  # steps made
        self.crashes = 0

    async def _store(self, which: int) -> None:
        await between_calls()
        self.rows.append(which)
        await between_calls()
        self.has_events = True  # signal with start

    async def _process(self) -> None:
        await between_calls()
        for which in [each for each in self.rows if each not in self.done]:
            effect = EFFECTS[self.events[which]]
            await apply_effect(effect, beams=Beams(self.world), streams=Streams(self.world))
            await between_calls()
            self.done.append(which)

    def moves(self) -> list[str]:
        found = [f"store{which}" for which in self.storing]
        if self.attempt is not None or self.has_events:
            found.append("work")
        if not self.crashes:
            found += [f"crash{which}" for which in self.storing]
            found += ["lose"] if self.attempt is not None else []
        return found

    def move(self, name: str) -> None:
        if name == "work":
            self._work()
        elif name == "lose":
            self.crashes += 1
            self._begin()
        elif name.startswith("crash"):
            self.crashes += 1
            self.storing.pop(int(name[-1])).close()
        else:
            which = int(name[-1])
            self.stored[which] += 1
            if not self._step(self.storing[which]):
                del self.storing[which]

    def _work(self) -> None:
        if self.attempt is None:
            self.has_events = False
            self._begin()
            return
        self.steps += 1
        if not self._step(self.attempt):
            self.attempt = None

    def _begin(self) -> None:
        """Begin an attempt; one that was under way has died."""
        if self.attempt is not None:
            self.attempt.close()
        self.attempt, self.steps = self._process(), 0

    @staticmethod
    def _step(coroutine: Coroutine[Any, Any, None]) -> bool:
        try:
            coroutine.send(None)
        except StopIteration:
            return False
        return True

    def state(self) -> str:
        """Everything that what follows depends on."""
        at = (self.stored, sorted(self.storing), self.rows, self.done, self.has_events)
        return repr((at, self.attempt is None, self.steps, self.crashes, self.world))

    def settle(self) -> None:
        """Let everything end; then the relay signals the session if an event is pending."""
        while moves := [each for each in self.moves() if each.startswith(("store", "work"))]:
            self.move(moves[0])
        if len(self.done) < len(self.rows):
            self.has_events = True
            while self.has_events or self.attempt is not None:
                self.move("work")

    def close(self) -> None:
        for each in (*self.storing.values(), *([self.attempt] if self.attempt else [])):
            each.close()

    def check(self) -> None:
        assert self.done == self.rows, "each event is processed once, in the order of its row"
        processes = Processes()
        processes.world = self.world
        processes.arrived = {self.events[which] for which in self.rows}
        processes.check()


def reached(events: tuple[int, int], path: tuple[str, ...]) -> OneSession:
    session = OneSession(*events)
    for each in path:
        session.move(each)
    return session


@pytest.mark.parametrize(
    ("first", "second"), list(combinations_with_replacement(ABOUT_THE_FIRST, 2))
)
def test_a_session_processes_every_stored_event_in_order_whatever_crashes(
    first: int, second: int
) -> None:
    """Every interleaving of storing, signaling and processing, with a crash anywhere."""
    paths: list[tuple[str, ...]] = [()]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        session = reached((first, second), path)
        state = session.state()
        if state not in seen:
            seen.add(state)
            paths += [(*path, each) for each in session.moves()]
            session.settle()
            session.check()
        session.close()
    assert len(seen) > 100
