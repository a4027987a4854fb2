"""The analyzer's state between two windows of a stream: in the store, and in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from activities.analysis.state_store import AnalyzerStateStore
from domain.analysis.messages import AnalyzeWindowInput
from domain.media.segments import Window
from domain.model import Model
from infra.storage.segments import LocalSegmentStore

TENANT = uuid4()


class Counted(Model):
    count: int = 0


def state_store(root: Path, *, remembered: int) -> AnalyzerStateStore[Counted]:
    return AnalyzerStateStore(
        LocalSegmentStore(root),
        analyzer="counter-1",
        initial=Counted(),
        reset_event="counting_starts_over",
        remembered=remembered,
    )


def request_of(stream: UUID, window: int) -> AnalyzeWindowInput:
    return AnalyzeWindowInput(
        tenant_id=TENANT,
        stream_id=stream,
        windows=(Window(index=window, variant="360p", start=4.0 * window, end=4.0 * window + 4.0),),
        previous_window=window - 1 if window else None,
        profile_id="soccer",
        profile_version="1",
    )


@pytest.mark.parametrize("remembered", [0, 1])
async def test_the_next_window_starts_from_the_saved_state(tmp_path: Path, remembered: int) -> None:
    states, stream = state_store(tmp_path, remembered=remembered), uuid4()
    await states.save(request_of(stream, 0), Counted(count=7))
    assert await states.load(request_of(stream, 1)) == Counted(count=7)


async def test_a_remembered_state_is_not_read_again(tmp_path: Path) -> None:
    states, stream = state_store(tmp_path, remembered=1), uuid4()
    await states.save(request_of(stream, 0), Counted(count=7))
    shutil.rmtree(tmp_path / str(TENANT))
    assert await states.load(request_of(stream, 1)) == Counted(count=7)


async def test_another_window_than_the_remembered_one_is_read_from_the_store(
    tmp_path: Path,
) -> None:
    states, stream = state_store(tmp_path, remembered=1), uuid4()
    await states.save(request_of(stream, 0), Counted(count=7))
    await states.save(request_of(stream, 1), Counted(count=8))
    assert await states.load(request_of(stream, 1)) == Counted(count=7)


async def test_the_stream_analyzed_longest_ago_is_forgotten_first(tmp_path: Path) -> None:
    states, first, second = state_store(tmp_path, remembered=1), uuid4(), uuid4()
    await states.save(request_of(first, 0), Counted(count=1))
    await states.save(request_of(second, 0), Counted(count=2))
    shutil.rmtree(tmp_path / str(TENANT))
    assert await states.load(request_of(first, 1)) == Counted()
    assert await states.load(request_of(second, 1)) == Counted(count=2)
