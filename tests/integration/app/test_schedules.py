"""Schedules are as the settings say, whoever made them first, and stay paused if paused."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client

from app.schedules import all_rounds, ensure_schedules
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
