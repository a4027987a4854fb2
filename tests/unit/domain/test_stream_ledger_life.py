"""A stream's ledger over whole lives, with continue-as-new at any point."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clips.models import ClipSpec, ClipStatus
from domain.clips.tracker import ClipPhase
from domain.highlights.selection import Decision, DecisionStatus
from domain.media.segments import Gap
from tests.factories.clips import decision, outcome, window
from tests.factories.ledgers import (
    OVER,
    analyze,
    decide,
    fetch,
    follow,
    new_ledger,
    reloaded,
)


class Life:
    """A stream that lives by a script, as its workflow would lead it."""

    def __init__(self, *, reload: bool) -> None:
        self.ledger = new_ledger()
        self._reload = reload
        self._next_window = 0
        self._shown: dict[int, Decision] = {}
        self.started: dict[UUID, ClipSpec] = {}
        self.unfinished: dict[UUID, ClipSpec] = {}
        self.discarded: Counter[UUID] = Counter()
        self.recorded: list[Gap] = []
        self.windows: list[int] = []
        self.released = 0.0

    def step(self, kind: str, number: int) -> None:
        getattr(self, f"_{kind}")(number)
        self._check_media_in_need()

    def _fetch(self, number: int) -> None:
        if self.ledger.end is None:
            fetch(self.ledger, window(self._next_window, lost=[number] if number < 3 else []))
            self._next_window += 1

    def _follow(self, number: int) -> None:
        """Two windows more, and an analysis of some of those that wait."""
        if self.ledger.end is None:
            request = self.ledger.follow_request(analyze=number != 1)
            found = [
                window(self._next_window + n, lost=[number] if n and number < 3 else [])
                for n in range(2)
            ]
            self._next_window += len(found)
            waiting = len(request.backlog) + (0 if request.behind else len(found))
            follow(self.ledger, *found, analyzed=min(number, waiting) if request.analyze else 0)

    def _stall(self, _number: int) -> None:
        if self.ledger.end is None:
            fetch(self.ledger, None, stalled=True)

    def _analyze(self, number: int) -> None:
        if number == 0:
            self.ledger.record_analysis_failure(self.ledger.analysis_request())
        else:
            analyze(self.ledger)

    def _decide(self, number: int) -> None:
        peak = max(0.0, self.ledger.progress.analyzed - 5.0)
        if number not in self._shown:
            wanted = decision(number + 1, peak=peak, status=DecisionStatus.PENDING)
        else:
            wanted = self._shown[number].model_copy(update={"status": DecisionStatus.CONFIRMED})
        if number in self._shown and self._shown[number].status is DecisionStatus.RETRACTED:
            return
        self._shown[number] = wanted
        self._discard(decide(self.ledger, wanted))

    def _retract(self, number: int) -> None:
        if number in self._shown:
            gone = self._shown[number].model_copy(update={"status": DecisionStatus.RETRACTED})
            self._shown[number] = gone
            self._discard(decide(self.ledger, gone))

    def _cut(self, _number: int) -> None:
        for spec in self.ledger.pop_ready_to_render():
            assert spec.id not in self.started, "a highlight gets one clip"
            self.started[spec.id] = self.unfinished[spec.id] = spec

    def _finish(self, number: int) -> None:
        if self.unfinished:
            key = sorted(self.unfinished)[number % len(self.unfinished)]
            status = ClipStatus.FAILED if number == 0 else ClipStatus.READY
            doomed = self.ledger.record_clip_outcome(outcome(self.unfinished.pop(key), status))
            self._discard((doomed,) if doomed else ())

    def _release(self, _number: int) -> None:
        release = self.ledger.due_release()
        if release is not None and release.before is not None:
            assert release.before > self.released
            self.released = release.before

    def _rotate(self, number: int) -> None:
        self._record(number)  # the workflow rotates when nothing is left to write
        if self._reload:
            self.ledger = reloaded(self.ledger)

    def _record(self, _number: int) -> None:
        if self.ledger.record_is_due:
            record = self.ledger.record()
            self.recorded += record.gaps
            self.windows += [each.index for each in record.windows]
            self.ledger.mark_recorded(record)

    def _end(self, number: int) -> None:
        if number == 0:
            self.ledger.record_media_end(OVER)

    def finish(self) -> None:
        """Do what is left to do, as the workflow does at the end."""
        self.ledger.record_media_end(OVER)
        while self.ledger.has_backlog:
            analyze(self.ledger)
        self._cut(0)
        while self.unfinished:
            self._finish(1)
        self.ledger.close()
        self._record(0)

    def _discard(self, specs: tuple[ClipSpec, ...]) -> None:
        self.discarded.update(spec.id for spec in specs)

    def _check_media_in_need(self) -> None:
        backlog = self.ledger.analysis_request().windows
        assert all(self.released <= each.start for each in backlog)
        in_need = {ClipPhase.WAITING, ClipPhase.RENDERING}
        for entry in self.ledger.state().clips:
            assert entry.phase not in in_need or self.released <= entry.decision.clip_start


KINDS = (
    *(
        "fetch",
        "fetch",
        "follow",
        "follow",
        "stall",
        "analyze",
        "analyze",
        "decide",
        "decide",
        "retract",
    ),
    *("cut", "cut", "finish", "finish", "release", "rotate", "rotate", "record", "end"),
)
scripts = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 7)), max_size=80)


@given(scripts)
@settings(max_examples=150, deadline=None)
def test_any_life_ends_the_same_however_often_it_continues_as_new(
    script: list[tuple[str, int]],
) -> None:
    plain, rotated = Life(reload=False), Life(reload=True)
    for life in (plain, rotated):
        for kind, number in script:
            life.step(kind, number)
        life.finish()
    assert rotated.ledger.progress == plain.ledger.progress
    assert rotated.started == plain.started
    assert rotated.discarded == plain.discarded
    assert rotated.recorded == plain.recorded
    assert rotated.windows == plain.windows == list(range(plain.ledger.progress.windows))
    assert rotated.released == plain.released
    assert rotated.ledger.timeline() == plain.ledger.timeline()


@given(scripts)
@settings(max_examples=150, deadline=None)
def test_in_any_life_the_books_agree_with_the_clips_that_are_there(
    script: list[tuple[str, int]],
) -> None:
    life = Life(reload=True)
    for kind, number in script:
        life.step(kind, number)
    life.finish()
    highlights = [spec.highlight_id for spec in life.started.values()]
    assert len(highlights) == len(set(highlights))
    assert max(life.discarded.values(), default=1) == 1
    assert set(life.discarded) <= set(life.started)
    assert len(life.recorded) == life.ledger.progress.missed
    assert life.ledger.rendering == ()
