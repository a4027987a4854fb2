"""The table of costs names real routes, and every plan can afford each."""

from __future__ import annotations

from api.middleware.rate_limits import cost_of, highest_cost, is_limited
from domain.tenants.usage import PLANS


def test_what_is_not_in_the_table_costs_one() -> None:
    assert cost_of("list_streams") == 1


def test_starting_an_analysis_is_the_dearest() -> None:
    assert cost_of("analyze_stream") == highest_cost() == 10


def test_every_key_of_every_plan_can_afford_the_dearest_request_several_times() -> None:
    assert all(plan.key_requests_per_minute >= 5 * highest_cost() for plan in PLANS.values())


def test_health_and_documentation_and_the_events_of_100ms_are_not_limited() -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json", "/errors"):
        assert not is_limited(path)
    assert not is_limited("/v1/webhooks/100ms/0190-connection")
    assert is_limited("/v1/webhooks/subscribe")
