"""Analyzer state from window to window, in the segment store."""

from __future__ import annotations

import re
from typing import Final, Generic, TypeVar
from uuid import UUID

import structlog
from pydantic import ValidationError

from domain.analysis.messages import AnalyzeWindowInput
from domain.model import Model
from infra.storage.segments import SegmentStore, UnknownKeyError

_log = structlog.get_logger(__name__)

State = TypeVar("State", bound=Model)

# A retry reads the state before its own windows; a few more are kept for a workflow that resets.
_STATES_KEPT: Final = 4
_NAME: Final = re.compile(r"\d{8}\.json")


class AnalyzerStateStore(Generic[State]):
    """Loads and saves the state of one analyzer: one file per window of a stream.

    Any worker can continue a stream from its file, and a retry starts from the same state.

    Args:
        segments: the store.
        analyzer: name and version of the analyzer; a new version starts from the initial state.
        initial: the state before the first window.
        reset_event: log event for a state that is missing or cannot be parsed.
    """

    def __init__(
        self, segments: SegmentStore, *, analyzer: str, initial: State, reset_event: str
    ) -> None:
        self._segments = segments
        self._analyzer = analyzer
        self._initial = initial
        self._reset_event = reset_event

    async def load(self, request: AnalyzeWindowInput) -> State:
        """Return the state after the window before the request, else the initial state."""
        if request.previous_window is None:
            return self._initial
        key = self._key(request, request.previous_window)
        try:
            return type(self._initial).model_validate_json(await self._segments.read(key))
        except (UnknownKeyError, ValidationError) as error:
            _log.warning(self._reset_event, key=key, error=type(error).__name__)
            return self._initial

    async def save(self, request: AnalyzeWindowInput, state: State) -> None:
        """Save the state after the request's last window and delete states no retry can need."""
        if not request.windows:
            return
        old = [each.index - _STATES_KEPT for each in request.windows if each.index >= _STATES_KEPT]
        if old:
            await self._segments.delete(*(self._key(request, index) for index in old))
        data = state.model_dump_json(exclude_defaults=True, by_alias=True).encode()
        await self._segments.put(self._key(request, request.windows[-1].index), data)

    def _key(self, request: AnalyzeWindowInput, window: int) -> str:
        prefix = _prefix(request.tenant_id, request.stream_id)
        return f"{prefix}{self._analyzer}/{window:08d}.json"


async def delete_analyzer_states(
    segments: SegmentStore, *, tenant_id: UUID, stream_id: UUID
) -> None:
    """Delete all analyzer states of a finished stream; stored Gemini answers are kept."""
    prefix = _prefix(tenant_id, stream_id)
    for key in await segments.list(prefix):
        analyzer, _, name = key.removeprefix(prefix).partition("/")
        if analyzer and _NAME.fullmatch(name):
            await segments.delete(key)


def _prefix(tenant_id: UUID, stream_id: UUID) -> str:
    return f"{tenant_id}/{stream_id}/analysis/"
