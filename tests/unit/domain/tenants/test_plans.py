"""Plans grow, and no stream starts beyond one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.feed.models import MOST_EVENTS
from domain.tenants.usage import (
    PLANS,
    ExportQuotaExceededError,
    Plan,
    PlanName,
    StreamQuotaExceededError,
    require_export_quota,
    require_rendition_quota,
    require_stream_quota,
)

PAGE = Path(__file__).parents[4] / "docs" / "limits.md"


def test_every_name_has_its_plan() -> None:
    assert {name: plan.name for name, plan in PLANS.items()} == {name: name for name in PlanName}


def test_the_page_of_limits_lists_them() -> None:
    page = PAGE.read_text("utf-8")
    for plan in PLANS.values():
        row = (
            *(plan.requests_per_minute, plan.key_requests_per_minute, plan.concurrent_streams),
            *(plan.clips_per_day, plan.clip_seconds),
            *(plan.concurrent_exports, plan.renditions_per_export, plan.exports_per_batch),
            plan.feed_events_per_minute,
        )
        assert f"| `{plan.name}` | {' | '.join(map(str, row))} |" in page


def test_a_larger_plan_allows_more_of_everything() -> None:
    for smaller, larger in pairwise(PLANS[name] for name in PlanName):
        assert smaller.requests_per_minute < larger.requests_per_minute
        assert smaller.key_requests_per_minute < larger.key_requests_per_minute
        assert smaller.concurrent_streams < larger.concurrent_streams
        assert smaller.concurrent_exports < larger.concurrent_exports
        assert smaller.feed_events_per_minute < larger.feed_events_per_minute
        assert smaller.renditions_per_export <= larger.renditions_per_export


def test_a_key_never_has_more_than_its_tenant() -> None:
    for plan in PLANS.values():
        assert plan.key_requests_per_minute <= plan.requests_per_minute


def test_every_plan_takes_a_whole_batch_of_feed_events() -> None:
    assert all(plan.feed_events_per_minute >= MOST_EVENTS for plan in PLANS.values())


@given(plan=st.sampled_from(list(PLANS.values())), count=st.integers(0, 1_200))
def test_there_is_room_exactly_below_the_quota(plan: Plan, count: int) -> None:
    running = [UUID(int=number) for number in range(count)]
    if count < plan.concurrent_streams:
        require_stream_quota(plan, running)
    else:
        with pytest.raises(StreamQuotaExceededError) as raised:
            require_stream_quota(plan, running)
        assert (raised.value.plan, raised.value.running) == (plan, tuple(running))


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_exports_and_their_renditions_are_refused_above_the_plan_only(plan: Plan) -> None:
    require_export_quota(plan, plan.concurrent_exports - 1)
    require_rendition_quota(plan, plan.renditions_per_export)
    with pytest.raises(ExportQuotaExceededError, match="exports at a time"):
        require_export_quota(plan, plan.concurrent_exports)
    with pytest.raises(ExportQuotaExceededError, match="renditions in one export"):
        require_rendition_quota(plan, plan.renditions_per_export + 1)
