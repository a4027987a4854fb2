"""Schedules are as the settings say, whoever made them first, and stay paused if paused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app import schedules
from app.schedules import IntervalSchedule, all_rounds, ensure_schedules
from infra.settings import Settings


async def test_schedules_are_made_once_and_follow_the_settings(temporal_client: Client) -> None:
    handle = temporal_client.get_schedule_handle("maintenance")
    await ensure_schedules(temporal_client, Settings(maintenance_interval=7200.0))
    await handle.pause(note="by an operator")
    await ensure_schedules(temporal_client, Settings(maintenance_interval=3600.0))
    schedule = (await handle.describe()).schedule
    for each in all_rounds(Settings()):
        await temporal_client.get_schedule_handle(each.id).delete()
    assert [each.every for each in schedule.spec.intervals] == [timedelta(hours=1)]
    assert schedule.state.paused


@pytest.mark.parametrize(
    ("status", "is_made"),
    [(RPCStatusCode.UNAVAILABLE, True), (RPCStatusCode.PERMISSION_DENIED, False)],
)
async def test_a_schedule_is_made_once_temporal_responds_unless_it_is_forbidden(
    temporal_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    status: RPCStatusCode,
    *,
    is_made: bool,
) -> None:
    failures = [status]
    made: list[str] = []

    async def ensure(_client: Client, rounds: IntervalSchedule) -> None:
        if failures:
            raise RPCError("", failures.pop(), b"")
        made.append(rounds.id)

    monkeypatch.setattr(schedules, "ensure_schedule", ensure)
    monkeypatch.setattr(schedules, "_RETRY_INTERVAL", 0.0)
    await ensure_schedules(temporal_client, Settings())
    first, *others = [each.id for each in all_rounds(Settings())]
    assert made == ([first] if is_made else []) + others
