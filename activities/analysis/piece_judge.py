"""Whether a piece is shown to Gemini, and what becomes of it when that fails.

Whatever happens, what the local analyzer has found in it is told: without Gemini's word where
there is none, and with the reason why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.analysis.spending import GeminiSpending
from activities.analysis.watcher import InVain, Watched, Watcher
from domain.circuit import Circuit
from domain.cost_gate import GateLimits, GateState, Grounds, PieceValue, judge
from domain.detection import ANALYZER as LOCAL
from domain.gemini.pieces import Piece, WatchState
from domain.gemini.reading import UnusableAnswerError
from domain.gemini.report import GeminiReport
from domain.gemini.verdicts import Told, told_in_vain, told_with, told_without
from domain.profile import GameProfile
from infra.gemini import (
    GeminiAccessError,
    GeminiBusyError,
    GeminiError,
    GeminiModelError,
    VideoUnusableError,
)

_log = structlog.get_logger(__name__)

RETRY_TYPE: Final = "GeminiUnavailable"
"""The type of the failure by which an analysis asks Temporal to be run again."""

# Of the five attempts of the stream's workflow; in the others Gemini is not asked, whatever the
# earlier ones failed of, a time-out or a killed worker included.
_ATTEMPTS: Final = 3
_LONGEST_DELAY: Final = 20.0
_DELAY: Final = 1.0


class Case(NamedTuple):
    """A piece to decide on, and all that bears on it; `has_time` tells whether a call may begin."""

    tenant_id: UUID
    stream_id: UUID
    piece: Piece
    state: WatchState
    profile: GameProfile
    has_time: Callable[[], bool]


class Outcome(NamedTuple):
    """What is told of a piece, what it cost, and the gate's state after it."""

    told: Told
    report: GeminiReport
    gate: GateState


class PieceJudge:
    """Asks the gate, the budget and the circuit breaker, then the watcher.

    Args:
        watcher: who looks.
        spending: knows what a tenant may still spend.
        limits: of a stream.
    """

    def __init__(self, watcher: Watcher, spending: GeminiSpending, limits: GateLimits) -> None:
        self._watcher = watcher
        self._spending = spending
        self._limits = limits
        # By model, since one may be refused while others answer; and what each failed of last.
        self._circuits: dict[str, Circuit] = {}
        self._causes: dict[str, Grounds] = {}

    def analyzer(self, profile: GameProfile, report: GeminiReport) -> str:
        """Return who has looked where Gemini has: both, with the model that answered."""
        return f"{LOCAL}+{self._watcher.questions(profile).analyzer(report.answered)}"

    async def decide(self, case: Case) -> Outcome:
        """Decide on a piece and tell its moments.

        Raises:
            ApplicationError: Gemini cannot answer just now, and there are attempts left.
        """
        value = self._value(case)
        verdict = judge(
            case.state.gate,
            value,
            self._limits,
            tenant_left=await self._spending.left(case.tenant_id),
        )
        if not verdict.look:
            return _without(case, value, verdict.grounds)
        if not case.piece.segments:
            return _without(case, value, Grounds.FAILED)
        obstacle = self._obstacle(case)
        model = self._watcher.questions(case.profile).model
        if obstacle is None:
            self._circuits[model] = self._circuit(model).tried(_now())
        watched = await self._watcher.watch(
            case.piece,
            case.profile,
            tenant_id=case.tenant_id,
            stream_id=case.stream_id,
            has_time=case.has_time,
            may_buy=obstacle is None,
        )
        if obstacle is not None and isinstance(watched, InVain):
            missing = (model,) if obstacle is Grounds.NO_MODEL else ()
            spent = watched.report.plus(GeminiReport(missing=missing))
            return _without(case, value, obstacle, spent)
        if isinstance(watched, InVain):
            return self._failed(case, value, watched, model)
        if obstacle is None:
            self._succeeded(model)
        return self._told(case, value, verdict.grounds, watched)

    def _obstacle(self, case: Case) -> Grounds | None:
        """Return why nothing may be bought now; None when it may."""
        if not case.has_time():
            return Grounds.LATE
        model = self._watcher.questions(case.profile).model
        if activity.info().attempt > _ATTEMPTS or not self._circuit(model).admits(_now()):
            return self._causes.get(model, Grounds.DOWN)
        return None

    def _circuit(self, model: str) -> Circuit:
        return self._circuits.setdefault(model, Circuit())

    def _succeeded(self, model: str) -> None:
        self._circuits[model] = self._circuit(model).succeeded()
        self._causes.pop(model, None)

    def _told(self, case: Case, value: PieceValue, grounds: Grounds, watched: Watched) -> Outcome:
        told = told_with(
            case.piece,
            watched.look,
            case.state,
            tenant_id=case.tenant_id,
            stream_id=case.stream_id,
            analyzer=self.analyzer(case.profile, watched.report),
        )
        report = watched.report.plus(GeminiReport(pieces={grounds: 1}, counted=told.counted))
        seconds = case.piece.watched_seconds
        gate = case.state.gate.after(value, watched=seconds, spent=report.dollars)
        return Outcome(told, report, gate)

    def _failed(self, case: Case, value: PieceValue, in_vain: InVain, model: str) -> Outcome:
        """Ask to be run again, or go on without Gemini."""
        error, spent = in_vain
        if isinstance(error, UnusableAnswerError):
            self._succeeded(model)
            told = told_in_vain(case.piece, analyzer=self.analyzer(case.profile, spent))
            counted = GeminiReport(counted={error.reason: 1})
            return _without(case, value, Grounds.FAILED, spent.plus(counted))._replace(told=told)
        if not isinstance(error, GeminiBusyError | VideoUnusableError):
            self._circuits[model] = self._circuit(model).failed(_now())
            self._causes[model] = _grounds(error)
        delay = _DELAY if error.retry_after is None else error.retry_after
        attempt = activity.info().attempt
        _log.warning(
            "gemini_failed",
            tenant_id=str(case.tenant_id),
            stream_id=str(case.stream_id),
            error=str(error),
            attempt=attempt,
            retry_after=error.retry_after,
        )
        if error.retryable and attempt < _ATTEMPTS and delay <= _LONGEST_DELAY:
            raise ApplicationError(
                str(error), type=RETRY_TYPE, next_retry_delay=timedelta(seconds=delay)
            ) from error
        return _without(case, value, _grounds(error), spent)

    def _value(self, case: Case) -> PieceValue:
        piece = case.piece
        return PieceValue(
            seconds=piece.seconds,
            watch_seconds=piece.watched_seconds,
            rank=piece.rank,
            has_moment=bool(piece.candidates),
            promising=any(
                each.score.calculate_combined_score(case.profile.weights)
                >= case.profile.thresholds.standard
                for each in piece.candidates
            ),
            dollars=self._watcher.expected_dollars(piece, case.profile),
            chance=piece.chance(case.stream_id),
        )


def _without(
    case: Case, value: PieceValue, grounds: Grounds, spent: GeminiReport | None = None
) -> Outcome:
    """Return the local analyzer's word alone, and what was spent in vain."""
    report = (spent or GeminiReport()).plus(GeminiReport(pieces={grounds: 1}))
    gate = case.state.gate.after(value, spent=report.dollars)
    return Outcome(told_without(case.piece, grounds), report, gate)


def _grounds(error: GeminiError) -> Grounds:
    if isinstance(error, GeminiBusyError):
        return Grounds.BUSY
    if isinstance(error, GeminiModelError):
        return Grounds.NO_MODEL
    if isinstance(error, GeminiAccessError):
        return Grounds.NO_ACCESS
    return Grounds.DOWN if error.retryable else Grounds.FAILED


def _now() -> float:
    return asyncio.get_running_loop().time()
