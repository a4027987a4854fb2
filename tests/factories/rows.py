"""Makers of domain values and rows; what a test does not care about has a default."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from app.services.tenants import tenant_id_of
from domain.analysis.screen import MatchState
from domain.clips.models import ClipSpec, ClipStatus, RenderedClip
from domain.exports.models import (
    ExportRecord,
    ExportSource,
    ExportSpec,
    ExportStatus,
    RenderedRendition,
    RenditionFormat,
    RenditionSpec,
)
from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus, Reason, Tier
from domain.hms.admission import Checks
from domain.ids import batch_export_id, clip_id, highlight_id
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore
from domain.streams.messages import ClipRecord
from domain.text import Language
from domain.webhooks.events import Event, EventType, UsagePayload, event
from infra.db.engine import Database
from infra.db.repositories import (
    api_keys,
    clips,
    connections,
    deliveries,
    endpoints,
    exports,
    highlights,
    streams,
    usage,
)
from infra.db.repositories.highlights import HighlightFilter, Sort
from infra.db.tables import Highlight
from infra.encryption import ConnectionSecrets
from infra.webhooks.sender import EndpointSecrets

PROFILE = GameProfile(id="default", version="1", name="Default")
PICTURE = "0f1e2d3c4b5a6978"
SIGNING_SECRET = b"s" * 32
CONNECTION_SECRETS = ConnectionSecrets(SIGNING_SECRET)
URL = "https://cdn.example.com/master.m3u8"
PEAK_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def new_tenant(database: Database) -> UUID:
    slug = f"tenant-{uuid4().hex}"
    tenant_id = tenant_id_of(slug)
    async with database.session(tenant_id) as session:
        await api_keys.ensure_tenant(session, tenant_id=tenant_id, slug=slug, name=slug)
    return tenant_id


async def new_stream(
    database: Database, tenant_id: UUID, *, game: str = "default", language: Language | None = None
) -> UUID:
    stream_id = uuid4()
    async with database.session(tenant_id) as session:
        await streams.create(
            session,
            tenant_id=tenant_id,
            stream_id=stream_id,
            playlist_url=URL,
            game=game,
            language=language,
            profile_id=PROFILE.id,
            profile_version=PROFILE.version,
        )
    return stream_id


async def new_highlight(
    database: Database,
    tenant_id: UUID,
    stream_id: UUID,
    *,
    peak: float = 60.0,
    status: DecisionStatus = DecisionStatus.CONFIRMED,
    score: float = 0.8,
    tags: tuple[str, ...] = ("goal",),
    title: str = "Crowd roar",
    description: str = "The crowd rises.",
    commentary: str = "",
    peak_wall_clock: datetime = PEAK_AT,
    state: MatchState | None = None,
) -> UUID:
    proposed = candidate(tenant_id, stream_id, peak=peak, tags=tags).model_copy(
        update={
            "title": title,
            "description": description,
            "commentary": commentary,
            "peak_wall_clock": peak_wall_clock,
            "state": state,
        }
    )
    async with database.session(tenant_id) as session:
        await highlights.record_decisions(
            session,
            tenant_id=tenant_id,
            stream_id=stream_id,
            profile=PROFILE,
            candidates=[proposed],
            decisions=[decision(proposed, status=status, score=score)],
        )
    return proposed.id


async def shown_highlights(
    database: Database, tenant_id: UUID, stream_id: UUID | None = None
) -> list[Highlight]:
    """Return a tenant's highlights, or a stream's, whole and in order of media time."""
    async with database.session(tenant_id) as session:
        listed = await highlights.list_page(
            session,
            tenant_id=tenant_id,
            criteria=HighlightFilter(stream_id=stream_id),
            sort=Sort.PEAK,
        )
        whole = await highlights.get_many(
            session, tenant_id=tenant_id, highlight_ids=[row.id for row in listed]
        )
    return [whole[row.id] for row in listed]


async def new_clip(
    database: Database,
    tenant_id: UUID,
    stream_id: UUID,
    highlight: UUID,
    *,
    status: ClipStatus = ClipStatus.READY,
    picture: str | None = PICTURE,
) -> UUID:
    record = clip_record(tenant_id, stream_id, highlight, status=status, picture=picture)
    async with database.session(tenant_id) as session:
        await clips.record_clip(session, record)
    return record.spec.id


async def new_requested_clip(database: Database, tenant_id: UUID, stream_id: UUID) -> UUID:
    """A clip on demand of four seconds, which is not ready yet."""
    spec = ClipSpec(
        id=uuid4(),
        tenant_id=tenant_id,
        stream_id=stream_id,
        highlight_id=None,
        start=10.0,
        end=14.0,
        peak=12.0,
        segments=(),
    )
    async with database.session(tenant_id) as session:
        await clips.create_requested(session, spec, title="")
    return spec.id


async def new_export(
    database: Database,
    tenant_id: UUID,
    stream_id: UUID,
    *,
    status: ExportStatus = ExportStatus.READY,
    highlight: UUID | None = None,
) -> UUID:
    """An export of four seconds as HLS; a ready one names a file and has a playlist."""
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=tenant_id,
        source=ExportSource(stream_id=stream_id, highlight_id=highlight, start=10.0, end=14.0),
        renditions=(RenditionSpec(format=RenditionFormat.HLS),),
    )
    made = RenderedRendition(
        number=1,
        key=spec.key(1),
        index="#EXTM3U\n{file}\n",
        start=10.0,
        duration=4.0,
        size=1000,
        width=320,
        height=180,
        has_audio=True,
        sha256="cd" * 32,
        ready_at=datetime(2026, 5, 2, 19, tzinfo=UTC),
    )
    record = ExportRecord(
        tenant_id=tenant_id,
        export_id=spec.id,
        status=status,
        renditions=(made,) if status is ExportStatus.READY else (),
    )
    async with database.session(tenant_id) as session:
        await exports.create(session, spec)
        await exports.record_export(session, record)
    return spec.id


async def new_export_batch(
    database: Database, tenant_id: UUID, stream_id: UUID, *, exports_in_it: int = 1
) -> UUID:
    """A batch of queued exports, which nothing makes."""
    batch_id = uuid4()
    async with database.session(tenant_id) as session:
        await exports.create_batch(
            session, tenant_id=tenant_id, batch_id=batch_id, request={}, exports=exports_in_it
        )
        for number in range(1, exports_in_it + 1):
            spec = ExportSpec(
                id=batch_export_id(batch=batch_id, number=number),
                tenant_id=tenant_id,
                source=ExportSource(stream_id=stream_id, start=10.0, end=14.0),
                renditions=(RenditionSpec(format=RenditionFormat.MP4),),
            )
            await exports.create(session, spec, batch_id=batch_id, batch_number=number)
    return batch_id


async def new_deletion(database: Database, tenant_id: UUID) -> UUID:
    """The deletion of a stream whose rows are deleted."""
    stream_id = await new_stream(database, tenant_id)
    async with database.session(tenant_id) as session:
        row = await streams.request_deletion(
            session, tenant_id=tenant_id, stream_id=stream_id, reason=""
        )
        await streams.delete_rows(session, tenant_id=tenant_id, stream_id=stream_id)
    return row.id


async def new_connection(
    database: Database, tenant_id: UUID, *, account: str | None = None, app: str | None = None
) -> UUID:
    connection_id = uuid4()
    async with database.session(tenant_id) as session:
        await connections.create(
            session,
            tenant_id=tenant_id,
            id=connection_id,
            name="Cup",
            title="",
            account_id=account,
            app_id=app,
            checks=Checks().model_dump(mode="json"),
            **CONNECTION_SECRETS.stored(CONNECTION_SECRETS.generate(), connection_id=connection_id),
        )
    return connection_id


async def new_endpoint(
    database: Database,
    tenant_id: UUID,
    *,
    url: str = "https://hooks.example.com/",
    event_types: tuple[str, ...] = (),
    secret: str = "whsec_" + "c2VjcmV0" * 4,
    signing_secret: bytes = SIGNING_SECRET,
) -> UUID:
    endpoint_id = uuid4()
    async with database.session(tenant_id) as session:
        await endpoints.create(
            session,
            tenant_id=tenant_id,
            endpoint_id=endpoint_id,
            url=url,
            description="",
            event_types=list(event_types),
            secret=EndpointSecrets(signing_secret).encrypt(
                secret, tenant_id=tenant_id, endpoint_id=endpoint_id
            ),
        )
    return endpoint_id


async def new_delivery(
    database: Database, tenant_id: UUID, endpoint_id: UUID, *, percent: int = 80
) -> UUID:
    told = usage_event(tenant_id, percent=percent)
    async with database.session(tenant_id) as session:
        row = await deliveries.send_to_one(session, told, endpoint_id=endpoint_id)
    return row.id


def usage_event(
    tenant_id: UUID, *, percent: int = 80, subject: str = "usage/clips/2026-11"
) -> Event:
    return event(
        EventType.USAGE_THRESHOLD,
        UsagePayload(kind="clips", period="2026-11", percent=percent, used=80.0, budget=100.0),
        tenant_id=tenant_id,
        subject=subject,
        revision=percent,
        created_at=datetime.now(UTC),
    )


async def used(database: Database, tenant_id: UUID) -> dict[str, float]:
    """What a tenant has used, ever, by kind."""
    async with database.session(tenant_id) as session:
        found = await usage.stats(
            session,
            tenant_id=tenant_id,
            since=datetime(2000, 1, 1, tzinfo=UTC),
            until=datetime(3000, 1, 1, tzinfo=UTC),
        )
    sums: dict[str, float] = {}
    for each in found:
        sums[each.kind] = sums.get(each.kind, 0.0) + float(each.quantity)
    return sums


def candidate(
    tenant_id: UUID, stream_id: UUID, *, peak: float = 60.0, tags: tuple[str, ...] = ("goal",)
) -> HighlightCandidate:
    return HighlightCandidate(
        id=highlight_id(tenant_id=tenant_id, stream_id=stream_id, peak=peak),
        start=peak - 5,
        peak=peak,
        end=peak + 5,
        settled_at=peak + 8,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, 0.8), confidence=0.9),
        analyzer="local",
        title="Crowd roar",
        description="The crowd rises.",
        tags=tags,
        evidence=(Evidence(signal="loudness", strength=4.2, words="the crowd is loud"),),
        peak_wall_clock=PEAK_AT,
    )


def decision(
    about: HighlightCandidate,
    *,
    status: DecisionStatus = DecisionStatus.CONFIRMED,
    score: float = 0.8,
    decided_at: float = 100.0,
) -> Decision:
    return Decision(
        highlight_id=about.id,
        status=status,
        tier=Tier.STANDARD,
        score=score,
        peak=about.peak,
        clip_start=about.start,
        clip_end=about.end,
        decided_at=decided_at,
        reasons=(Reason(code="threshold", words="over 0.7", value=score, limit=0.7),),
    )


def clip_record(
    tenant_id: UUID,
    stream_id: UUID,
    highlight: UUID,
    *,
    status: ClipStatus = ClipStatus.READY,
    picture: str | None = PICTURE,
) -> ClipRecord:
    identity = clip_id(highlight=highlight, start=55.0, end=65.0)
    spec = ClipSpec(
        id=identity,
        tenant_id=tenant_id,
        stream_id=stream_id,
        highlight_id=highlight,
        start=55.0,
        end=65.0,
        peak=60.0,
        segments=(),
    )
    rendered = RenderedClip(
        clip_id=identity,
        key=f"{tenant_id}/{stream_id}/{identity}.mp4",
        thumbnail_key=f"{tenant_id}/{stream_id}/{identity}.jpg",
        start=55.0,
        duration=10.0,
        size=1000,
        width=1280,
        height=720,
        has_audio=True,
        sha256="ab" * 32,
        thumbnail_hash=picture,
        rendered_at=datetime(2026, 1, 2, 3, 4, 20, tzinfo=UTC),
    )
    return ClipRecord(
        spec=spec, status=status, rendered=rendered if status is ClipStatus.READY else None
    )
