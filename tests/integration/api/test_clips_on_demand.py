"""Clips on demand: any part of a stream whose media is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from temporalio.client import Client

from domain.clips.models import ClipSpec, ClipStatus
from domain.ids import clip_workflow_id
from domain.streams.messages import ClipRecord, StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.tenants.usage import PlanName
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, streams, tenants
from infra.db.repositories.events import undispatched
from infra.settings import Settings
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore
from tests.factories.clips import WHEN, rendered_clip
from tests.factories.rows import new_highlight, new_stream, used
from tests.factories.segments import MEDIA, stored_segment
from tests.integration.api.conftest import Account, OpenClient


class Recorded:
    """A live stream of `account` with stored media."""

    def __init__(self, account: Account, database: Database, root: Path, stream: UUID) -> None:
        self.account, self.database, self.stream = account, database, stream
        self.store = LocalSegmentStore(root)

    async def keep(self, *starts: float) -> None:
        """Store segments of two seconds."""
        tenant = self.account.tenant_id
        index = StoredSegments(self.store, tenant_id=tenant, stream_id=self.stream)
        for start in starts:
            found = stored_segment(
                int(start / 2), tenant_id=tenant, stream_id=self.stream, start=start
            )
            clock = WHEN + timedelta(seconds=start)
            ref = found.ref.model_copy(update={"program_date_time": clock})
            await self.store.put(ref.key, MEDIA)
            await index.note(found.model_copy(update={"ref": ref}))
        await index.flush()
        await self.record(StreamProgress(status=StreamStatus.LIVE, position=max(starts) + 2.0))

    async def record(self, progress: StreamProgress) -> None:
        tenant = self.account.tenant_id
        async with self.database.session(tenant) as session:
            record = StreamRecord(tenant_id=tenant, stream_id=self.stream, progress=progress)
            await streams.record_stream(session, record)

    async def end(self) -> None:
        ended = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="over")
        await self.record(StreamProgress(status=ended.status, end=ended, position=10.0))

    async def ask(self, body: Mapping[str, object], *, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        path = f"/v1/streams/{self.stream}/clips"
        return await self.account.http.post(path, json=dict(body), headers=headers)

    async def finish(self, clip: dict[str, Any], status: ClipStatus) -> None:
        """Record the end of rendering, as the clip's workflow does."""
        spec = ClipSpec(
            id=UUID(clip["id"]),
            tenant_id=self.account.tenant_id,
            stream_id=self.stream,
            highlight_id=None,
            start=clip["start"],
            end=clip["end"],
            peak=clip["start"],
            segments=(),
        )
        rendered = rendered_clip(spec, key=f"{spec.tenant_id}/{spec.stream_id}/{spec.id}.mp4")
        async with self.database.session(spec.tenant_id) as session:
            await clips.record_clip(
                session,
                ClipRecord(
                    spec=spec,
                    status=status,
                    rendered=rendered if status is ClipStatus.READY else None,
                ),
            )


@pytest.fixture
async def recorded(account: Account, database: Database, segment_root: Path) -> Recorded:
    stream = await new_stream(database, account.tenant_id)
    recorded = Recorded(account, database, segment_root, stream)
    await recorded.keep(*range(0, 40, 2))
    return recorded


async def test_a_span_becomes_a_clip_that_is_rendered(
    recorded: Recorded, temporal_client: Client
) -> None:
    answer = await recorded.ask({"from": 3.5, "to": 9.25, "title": "The free kick"})
    assert answer.status_code == 201
    (clip,) = answer.json()["data"]
    assert (clip["start"], clip["end"], clip["title"]) == (3.5, 9.25, "The free kick")
    assert (clip["status"], clip["highlight_id"]) == ("rendering", None)
    assert clip["playback"]["ready"] == "instant"
    assert answer.headers["Location"] == f"/v1/clips/{clip['id']}"
    name = clip_workflow_id(tenant_id=recorded.account.tenant_id, clip=UUID(clip["id"]))
    await temporal_client.get_workflow_handle(name).describe()


async def test_the_last_seconds_end_with_what_is_stored(recorded: Recorded) -> None:
    (clip,) = (await recorded.ask({"last": 12.5})).json()["data"]
    assert (clip["start"], clip["end"]) == (27.5, 40.0)


async def test_an_instant_of_the_wall_clock_is_found(recorded: Recorded) -> None:
    at = (WHEN + timedelta(seconds=20.5)).isoformat()
    (clip,) = (await recorded.ask({"at": at, "before": 2, "after": 3})).json()["data"]
    assert (clip["start"], clip["end"]) == (18.5, 23.5)


async def test_a_retry_makes_no_second_clip(recorded: Recorded) -> None:
    first = await recorded.ask({"last": 10}, key="k1")
    again = await recorded.ask({"last": 10}, key="k1")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["data"][0]["id"] == first.json()["data"][0]["id"]
    listed = await recorded.account.http.get(f"/v1/streams/{recorded.stream}/clips")
    assert len(listed.json()["data"]) == 1


@pytest.mark.parametrize(
    ("span", "code", "said"),
    [
        ({"from": 30, "to": 45}, "media_not_ready", "0.000-40.000 s"),
        ({"last": 55}, "media_gone", "0.000-40.000 s"),
        ({"from": 0, "to": 1}, None, ""),
        ({"from": 39, "to": 40}, None, ""),
    ],
)
async def test_the_edges_of_what_is_kept_are_exact(
    recorded: Recorded, span: dict[str, float], code: str | None, said: str
) -> None:
    answer = (await recorded.ask(span)).json()
    assert answer.get("code") == code
    assert said in answer.get("detail", "")


async def test_a_gap_is_refused_or_split_as_asked(recorded: Recorded) -> None:
    await recorded.keep(50.0, 52.0)
    refused = await recorded.ask({"from": 36, "to": 52})
    assert (refused.status_code, refused.json()["code"]) == (409, "media_missing")
    assert "40.000-50.000 s" in refused.json()["detail"]
    split = (await recorded.ask({"from": 36, "to": 52, "on_gap": "split"})).json()
    assert [(each["start"], each["end"]) for each in split["data"]] == [(36, 40), (50, 52)]
    assert split["missing"] == [{"start": 40.0, "end": 50.0}]


async def test_media_that_a_full_store_has_deleted_is_missing(recorded: Recorded) -> None:
    lost = stored_segment(10, tenant_id=recorded.account.tenant_id, stream_id=recorded.stream)
    await recorded.store.delete(lost.ref.key)
    refused = await recorded.ask({"from": 15, "to": 25})
    assert "20.000-22.000 s" in refused.json()["detail"]


async def test_an_ended_stream_gives_clips_while_its_media_is_kept(recorded: Recorded) -> None:
    await recorded.end()
    assert (await recorded.ask({"last": 10})).status_code == 201
    beyond = await recorded.ask({"from": 35, "to": 45})
    assert beyond.json()["code"] == "media_missing"
    await recorded.store.delete_prefix(f"{recorded.account.tenant_id}/")
    gone = await recorded.ask({"last": 10})
    assert (gone.status_code, gone.json()["code"]) == (410, "media_gone")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": 1},
        {"last": 5, "from": 1, "to": 3},
        {"from": 5, "to": 5.5},
        {"from": 9, "to": 3},
        {"last": 5, "before": 3},
        {"at": "2026-01-01T00:00:00Z", "before": 0, "after": 0},
        {"last": 5, "on_gap": "ignore"},
    ],
)
async def test_exactly_one_span_of_a_second_or_more_is_asked_for(
    recorded: Recorded, body: dict[str, Any]
) -> None:
    answer = await recorded.ask(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_the_plan_limits_length_and_number(recorded: Recorded) -> None:
    tenant = recorded.account.tenant_id
    async with recorded.database.session(tenant) as session:
        await tenants.set_plan(session, tenant_id=tenant, plan=PlanName.FREE)
    too_long = await recorded.ask({"last": 61})
    assert (too_long.status_code, too_long.json()["code"]) == (422, "clip_too_long")
    async with recorded.database.session(tenant) as session:
        for _ in range(20):
            spec = ClipSpec(
                id=uuid4(),
                tenant_id=tenant,
                stream_id=recorded.stream,
                highlight_id=None,
                start=0.0,
                end=2.0,
                peak=1.0,
                segments=(),
            )
            await clips.create_requested(session, spec, title="")
    refused = await recorded.ask({"last": 5})
    assert (refused.status_code, refused.json()["code"]) == (409, "clip_quota_exceeded")


async def test_a_ready_clip_is_announced_and_metered(recorded: Recorded) -> None:
    (clip,) = (await recorded.ask({"last": 10, "title": "Goal"})).json()["data"]
    await recorded.finish(clip, ClipStatus.READY)
    tenant = recorded.account.tenant_id
    async with recorded.database.session(tenant) as session:
        waiting = await undispatched(session, tenant_id=tenant)
    (event,) = [each for each in waiting if each.type == "clip.ready"]
    assert (event.data["clip_id"], event.data["title"]) == (clip["id"], "Goal")
    assert (event.data["highlight_id"], event.data["score"]) == (None, None)
    assert (await used(recorded.database, tenant))["clip_rendered"] == 1.0
    found = (await recorded.account.http.get(f"/v1/clips/{clip['id']}")).json()
    assert found["playback"] == {"ready": "exact", "hls_url": None, "mp4_url": found["url"]}


async def test_a_deleted_clip_is_gone_and_rendering_finds_it_unwanted(recorded: Recorded) -> None:
    (clip,) = (await recorded.ask({"last": 10})).json()["data"]
    http = recorded.account.http
    assert (await http.delete(f"/v1/clips/{clip['id']}")).status_code == 204
    assert (await http.get(f"/v1/clips/{clip['id']}")).json()["status"] == "deleted"
    assert (await http.get(f"/v1/streams/{recorded.stream}/clips")).json()["data"] == []
    with pytest.raises(RecordMissingError):
        await recorded.finish(clip, ClipStatus.READY)


async def test_the_files_of_a_deleted_clip_are_deleted(recorded: Recorded, clip_root: Path) -> None:
    (clip,) = (await recorded.ask({"last": 10})).json()["data"]
    await recorded.finish(clip, ClipStatus.READY)
    file = clip_root / str(recorded.account.tenant_id) / str(recorded.stream) / f"{clip['id']}.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"clip")
    await recorded.account.http.delete(f"/v1/clips/{clip['id']}")
    assert not file.exists()


async def test_a_highlights_clip_is_not_deleted(recorded: Recorded) -> None:
    tenant = recorded.account.tenant_id
    highlight = await new_highlight(recorded.database, tenant, recorded.stream)
    spec = ClipSpec(
        id=uuid4(),
        tenant_id=tenant,
        stream_id=recorded.stream,
        highlight_id=highlight,
        start=0.0,
        end=2.0,
        peak=1.0,
        segments=(),
    )
    async with recorded.database.session(tenant) as session:
        await clips.record_clip(session, ClipRecord(spec=spec, status=ClipStatus.RENDERING))
    answer = await recorded.account.http.delete(f"/v1/clips/{spec.id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "clip_of_highlight")


async def test_another_tenant_finds_no_stream_to_cut(
    recorded: Recorded, other_account: Account
) -> None:
    path = f"/v1/streams/{recorded.stream}/clips"
    assert (await other_account.http.post(path, json={"last": 10})).status_code == 404
    assert (await other_account.http.get(path)).status_code == 404
    (clip,) = (await recorded.ask({"last": 10})).json()["data"]
    assert (await other_account.http.delete(f"/v1/clips/{clip['id']}")).status_code == 404
    async with recorded.database.session(recorded.account.tenant_id) as session:
        row = await clips.get(
            session, tenant_id=recorded.account.tenant_id, clip_id=UUID(clip["id"])
        )
    assert row is not None
    assert row.status == "rendering"


async def test_without_temporal_a_clip_is_left_to_reconciliation(
    recorded: Recorded, open_client: OpenClient, settings_without_temporal: Settings
) -> None:
    headers = {"Authorization": f"Bearer {recorded.account.key}"}
    async with open_client(settings_without_temporal) as client:
        answer = await client.post(
            f"/v1/streams/{recorded.stream}/clips", json={"last": 10}, headers=headers
        )
    assert answer.status_code == 201
