"""Events arrive: signed, in order, until they have arrived or their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import ActivityEnvironment

from activities.records import RecordActivities
from domain import task_queues
from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from domain.ids import delivery_workflow_id
from domain.webhooks.delivery import DeliveryInput, DeliveryTiming
from domain.webhooks.events import Event
from infra.db.repositories import deliveries, endpoints, highlights
from infra.db.tables import Delivery
from infra.webhooks.sender import EndpointSecrets, new_secret
from tests.factories.rows import (
    PROFILE,
    SIGNING_SECRET,
    candidate,
    clip_record,
    decision,
    new_endpoint,
    new_highlight,
    new_stream,
    usage_event,
)
from tests.fakes.webhook_receiver import SECRET, Received, answering, receiver
from tests.integration.webhooks.conftest import PATIENT, QUICK, MakePost, Post
from workflows.delivery import DeliveryWorkflow

KEY = "usage/clips/2026-11"


def told(post: Post, *percents: int) -> list[Event]:
    return [usage_event(post.tenant_id, percent=each, subject=KEY) for each in percents]


def workflow_of(
    client: Client, post: Post, endpoint: UUID, key: str = KEY
) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(
        delivery_workflow_id(tenant_id=post.tenant_id, endpoint_id=endpoint, ordering_key=key)
    )


async def test_a_clip_is_delivered_as_soon_as_it_is_recorded(post: Post) -> None:
    async with receiver() as hook:
        await post.endpoint(hook.url, "clip.ready")
        stream = await new_stream(post.database, post.tenant_id)
        highlight = await new_highlight(post.database, post.tenant_id, stream)
        record = clip_record(post.tenant_id, stream, highlight, status=ClipStatus.READY)
        records = RecordActivities(post.database, post.dispatcher)
        await ActivityEnvironment().run(records.record_clip, record)
        (request,) = await hook.until(1)
    document = request.verify()
    assert document["type"] == "clip.ready"
    assert document["id"] == request.headers["webhook-id"]
    assert document["data"]["clip_id"] == str(record.spec.id)
    link = urlsplit(document["data"]["url"])
    assert (link.hostname, link.path) == ("api.test", f"/v1/clips/{record.spec.id}/download")
    assert {"signature", "expires"} <= set(parse_qs(link.query))


def measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_attempts_and_the_lag_of_what_arrives_are_measured(
    post: Post, temporal_client: Client
) -> None:
    names = "highlights_delivery_attempts_total", "highlights_delivery_lag_seconds_count"

    def seen() -> tuple[float, ...]:
        by_outcome = (measured(names[0], outcome=each) for each in ("failed", "succeeded"))
        return (*by_outcome, measured(names[1]))

    before = seen()
    async with receiver(answering(500, 200)) as hook:
        endpoint = await post.endpoint(hook.url)
        await post.tell(*told(post, 50))
        await workflow_of(temporal_client, post, endpoint).result()
    assert seen() == tuple(each + 1 for each in before)


async def test_an_endpoint_receives_only_subscribed_events(
    post: Post, temporal_client: Client
) -> None:
    async with receiver() as all_of_it, receiver() as clips_only:
        every = await post.endpoint(all_of_it.url)
        some = await post.endpoint(clips_only.url, "clip.ready")
        await post.tell(*told(post, 50))
        await workflow_of(temporal_client, post, every).result()
        assert len(all_of_it.received) == 1
        assert await post.sent(some) == []


async def test_events_of_one_highlight_arrive_in_order_whatever_is_retried(
    post: Post, temporal_client: Client
) -> None:
    async with receiver(answering(500, 503, 200)) as hook:
        endpoint = await post.endpoint(hook.url)
        stream = await new_stream(post.database, post.tenant_id)
        about = candidate(post.tenant_id, stream)
        for status, at in ((DecisionStatus.PENDING, 90.0), (DecisionStatus.CONFIRMED, 100.0)):
            async with post.database.session(post.tenant_id) as session:
                await highlights.record_decisions(
                    session,
                    tenant_id=post.tenant_id,
                    stream_id=stream,
                    profile=PROFILE,
                    candidates=[about],
                    decisions=[decision(about, status=status, decided_at=at)],
                )
            await post.dispatcher.dispatch(post.tenant_id)
        await hook.until(4)
        await workflow_of(temporal_client, post, endpoint, f"highlight/{about.id}").result()
    assert hook.types == ["highlight.pending"] * 3 + ["highlight.confirmed"]
    assert len({each.headers["webhook-id"] for each in hook.received}) == 2
    first, second = await post.sent(endpoint)
    assert (first.status, first.attempts, second.status) == ("succeeded", 3, "succeeded")


async def test_an_older_event_that_was_left_behind_goes_first(post: Post) -> None:
    async with receiver() as hook:
        await post.endpoint(hook.url)
        await post.commit(*told(post, 50))
        await post.tell(*told(post, 80))
        found = await hook.until(2)
    assert [each.data["percent"] for each in found] == [50, 80]


async def test_a_slow_endpoint_delays_no_other(open_post: MakePost) -> None:
    """With three places, a hanging endpoint that has twelve messages takes one of them."""
    released = asyncio.Event()

    async def hang(_: Received) -> int:
        await released.wait()
        return 200

    async with (
        open_post(slots=3, endpoint_concurrency=1, busy_delay=0.3) as post,
        receiver(hang) as slow,
        receiver() as quick,
    ):
        await post.endpoint(slow.url)
        many = [usage_event(post.tenant_id, subject=f"usage/{number}") for number in range(12)]
        await post.tell(*many)
        await slow.until(1)
        await post.endpoint(quick.url)
        more = [usage_event(post.tenant_id, subject=f"usage/more-{number}") for number in range(12)]
        await post.tell(*more)
        await quick.until(12)
        assert len(slow.received) == 1
        released.set()
        await slow.until(24)


@pytest.mark.parametrize(("overlap", "signatures"), [(3600, 2), (-1, 1)])
async def test_the_former_secret_signs_too_until_its_time_is_over(
    post: Post, overlap: int, signatures: int
) -> None:
    fresh = new_secret()
    async with receiver() as hook:
        endpoint = await post.endpoint(hook.url)
        await rotate(post, endpoint, fresh, overlap=overlap)
        await post.tell(*told(post, 50))
        (request,) = await hook.until(1)
    request.verify(fresh)
    assert len(request.headers["webhook-signature"].split()) == signatures
    if signatures == 2:
        request.verify(SECRET)


async def test_a_gone_endpoint_is_disabled_and_other_endpoints_are_notified(
    post: Post, temporal_client: Client
) -> None:
    async with receiver(answering(410)) as gone, receiver() as other:
        endpoint = await post.endpoint(gone.url)
        await post.endpoint(other.url, "endpoint.disabled")
        await post.tell(*told(post, 50, 80))
        (notice,) = await other.until(1)
        await workflow_of(temporal_client, post, endpoint).result()
        assert len(gone.received) == 1
    assert notice.verify()["type"] == "endpoint.disabled"
    assert (notice.data["endpoint_id"], notice.data["reason"]) == (str(endpoint), "gone")
    state = await post.state(endpoint)
    assert (state.status, state.disabled_reason) == ("disabled", "gone")
    assert sorted(each.status for each in await post.sent(endpoint)) == ["cancelled", "failed"]


async def test_a_delivery_that_failed_for_its_whole_time_disables_its_endpoint(
    post: Post, temporal_client: Client
) -> None:
    async with receiver(answering(500)) as broken:
        endpoint = await post.endpoint(broken.url)
        await post.tell(*told(post, 50))
        await workflow_of(temporal_client, post, endpoint).result()
        assert len(broken.received) == len(QUICK.offsets)
    (delivery,) = await post.sent(endpoint)
    assert (delivery.status, delivery.last_status_code) == ("failed", 500)
    assert delivery.next_attempt_at is None
    assert (await post.state(endpoint)).disabled_reason == "failing"


async def test_a_disabled_endpoint_is_sent_nothing_new(post: Post, temporal_client: Client) -> None:
    async with receiver(answering(410)) as gone:
        endpoint = await post.endpoint(gone.url)
        await post.tell(*told(post, 50))
        await workflow_of(temporal_client, post, endpoint).result()
        await post.tell(*told(post, 80))
        assert len(await post.sent(endpoint)) == 1


async def test_a_failed_delivery_waits_and_is_attempted_at_once_when_asked_for(
    open_post: MakePost, temporal_client: Client
) -> None:
    async with open_post(timing=PATIENT) as post, receiver(answering(500, 200)) as hook:
        endpoint = await post.endpoint(hook.url)
        await post.tell(*told(post, 50))
        await hook.until(1)
        delivery = await attempted(post, endpoint)
        assert delivery.next_attempt_at is not None
        async with post.database.session(post.tenant_id) as session:
            await deliveries.redeliver(session, tenant_id=post.tenant_id, delivery_id=delivery.id)
        await post.dispatcher.dispatch(post.tenant_id, at_once=[delivery.id])
        await hook.until(2)
        await workflow_of(temporal_client, post, endpoint).result()
    assert (await post.sent(endpoint))[0].status == "succeeded"


async def test_after_an_outage_one_success_brings_all_that_waits(
    open_post: MakePost, temporal_client: Client
) -> None:
    up = asyncio.Event()

    async def answer(_: Received) -> int:
        return 204 if up.is_set() else 503

    async with open_post(timing=PATIENT) as post, receiver(answer) as hook:
        endpoint = await post.endpoint(hook.url)
        subjects = [f"usage/{number}" for number in range(6)]
        for subject in subjects:  # each has a workflow of its own
            await post.tell(*[usage_event(post.tenant_id, percent=50, subject=subject)])
        await hook.until(len(subjects))
        await until_sent(post, endpoint, lambda sent: all(each.attempts for each in sent))
        up.set()
        await post.tell(usage_event(post.tenant_id, percent=80, subject="usage/new"))
        await hook.until(2 * len(subjects) + 1)
        await until_sent(
            post, endpoint, lambda sent: {each.status for each in sent} == {"succeeded"}
        )
    assert len(hook.received) == 2 * len(subjects) + 1


async def test_an_extra_attempt_that_fails_keeps_the_delivery_on_its_schedule(
    open_post: MakePost, temporal_client: Client
) -> None:
    async with open_post(timing=PATIENT) as post, receiver(answering(500, 500)) as hook:
        endpoint = await post.endpoint(hook.url)
        await post.tell(*told(post, 50))
        await hook.until(1)
        first = await attempted(post, endpoint)
        async with post.database.session(post.tenant_id) as session:
            released = await deliveries.release_waiting(
                session, tenant_id=post.tenant_id, endpoint_id=endpoint
            )
        await post.dispatcher.dispatch(post.tenant_id, at_once=released)
        await hook.until(2)
        (second,) = await until_sent(post, endpoint, lambda sent: sent[0].attempts == 2)
    assert released == {first.id}
    assert second.status == "pending"
    assert second.next_attempt_at == first.next_attempt_at


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (429, "1800", 1800),
        (503, "1800", 1800),
        (503, "Fri, 01 Jan 2100 00:00:00 GMT", 24 * 3600),
        (503, "99999999999999", 24 * 3600),
        (503, "soon", None),
        (503, "-5", None),
        (500, "1800", None),
    ],
)
async def test_a_pause_that_an_endpoint_asks_for_is_kept(
    open_post: MakePost, temporal_client: Client, status: int, value: str, seconds: int | None
) -> None:
    timing = DeliveryTiming(offsets=(0.0, 900.0), jitter=0.0)
    headers = f"Retry-After: {value}\r\n"
    async with (
        open_post(timing=timing) as post,
        receiver(answering(status), headers=headers) as hook,
    ):
        endpoint = await post.endpoint(hook.url)
        await post.tell(*told(post, 50))
        await hook.until(1)
        delivery = await attempted(post, endpoint)
        await workflow_of(temporal_client, post, endpoint).terminate("seen enough")
    assert delivery.next_attempt_at is not None
    assert delivery.last_attempt_at is not None
    wait = (delivery.next_attempt_at - delivery.last_attempt_at).total_seconds()
    assert wait == pytest.approx(900 if seconds is None else seconds, abs=60)


async def test_a_short_pause_is_over_before_the_next_attempt(
    open_post: MakePost, temporal_client: Client
) -> None:
    timing = DeliveryTiming(offsets=(0.0, 0.01), jitter=0.0)
    async with (
        open_post(timing=timing) as post,
        receiver(answering(503, 200), headers="Retry-After: 1\r\n") as hook,
    ):
        endpoint = await post.endpoint(hook.url)
        await post.tell(*told(post, 50))
        await hook.until(2)
        await workflow_of(temporal_client, post, endpoint).result()
        async with post.database.session(post.tenant_id) as session:
            (delivery,) = await post.sent(endpoint)
            last, first = await deliveries.attempts(
                session, tenant_id=post.tenant_id, delivery_id=delivery.id
            )
    assert (last.at - first.at).total_seconds() >= 1.0


async def test_what_arrived_is_sent_again_when_asked_for(
    post: Post, temporal_client: Client
) -> None:
    async with receiver() as hook:
        endpoint = await post.endpoint(hook.url)
        await post.tell(*told(post, 50))
        await workflow_of(temporal_client, post, endpoint).result()
        (delivery,) = await post.sent(endpoint)
        async with post.database.session(post.tenant_id) as session:
            await deliveries.redeliver(session, tenant_id=post.tenant_id, delivery_id=delivery.id)
        await post.dispatcher.dispatch(post.tenant_id)
        first, second = await hook.until(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_a_long_queue_goes_on_in_a_new_run(post: Post, temporal_client: Client) -> None:
    percents = list(range(1, 11))
    async with receiver() as hook:
        endpoint = await post.endpoint(hook.url)
        started = await temporal_client.start_workflow(
            DeliveryWorkflow.run,
            DeliveryInput(
                tenant_id=post.tenant_id,
                endpoint_id=endpoint,
                ordering_key=KEY,
                timing=QUICK,
                history_limit=30,
            ),
            id=workflow_of(temporal_client, post, endpoint).id,
            task_queue=task_queues.ORCHESTRATION,
        )
        await post.tell(*told(post, *percents))
        result = await started.result()
        first = temporal_client.get_workflow_handle(
            started.id, run_id=started.first_execution_run_id
        )
        described = await first.describe()
    assert described.status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    assert result.succeeded == len(percents)
    assert [each.data["percent"] for each in hook.received] == percents


async def test_a_secret_that_cannot_be_opened_is_a_failure_that_says_what_to_do(
    post: Post, temporal_client: Client
) -> None:
    async with receiver() as hook:
        endpoint = await new_endpoint(
            post.database, post.tenant_id, url=hook.url, signing_secret=b"x" * 32
        )
        await post.tell(*told(post, 50))
        await workflow_of(temporal_client, post, endpoint).result()
        assert hook.received == []
    (delivery,) = await post.sent(endpoint)
    assert delivery.last_error == "the endpoint's secret cannot be read; rotate it"


async def rotate(post: Post, endpoint: UUID, secret: str, *, overlap: int) -> None:
    sealed = EndpointSecrets(SIGNING_SECRET).encrypt(
        secret, tenant_id=post.tenant_id, endpoint_id=endpoint
    )
    async with post.database.session(post.tenant_id) as session:
        row = await endpoints.lock(session, tenant_id=post.tenant_id, endpoint_id=endpoint)
        assert row is not None
        until = datetime.now(UTC) + timedelta(seconds=overlap)
        await endpoints.rotate(session, row, secret=sealed, previous_until=until)


async def until_sent(
    post: Post, endpoint: UUID, true: Callable[[list[Delivery]], bool]
) -> list[Delivery]:
    """Wait until something is true of the deliveries to an endpoint."""
    async with asyncio.timeout(60):
        while True:
            sent = await post.sent(endpoint)
            if true(sent):
                return sent
            await asyncio.sleep(0.02)


async def attempted(post: Post, endpoint: UUID) -> Delivery:
    """Wait until the first delivery's first attempt is written down."""
    async with asyncio.timeout(60):
        while True:
            (delivery,) = await post.sent(endpoint)
            if delivery.attempts:
                return delivery
            await asyncio.sleep(0.02)
