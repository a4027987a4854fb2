"""Making a stream's row, whoever asks for it: its profile matched and pinned, all in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.language import Language
from domain.plans import PlanName
from domain.records import StreamRecord
from domain.stream import EndReason, StreamEnd, StreamProgress
from infra.database import Database
from infra.repositories import profiles, stream_quota, streams
from infra.schema import Stream
from infra.tenant_profiles import TenantProfileStore

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class NewStream:
    """A stream that is asked for; `options` are those of `api.stream_models.AnalyzeOptions`."""

    tenant_id: UUID
    stream_id: UUID
    playlist_url: str
    game: str | None = None
    title: str = ""
    language: Language | None = None
    external_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None


class StreamCreation:
    """Makes streams: every way to a new one leads through here.

    Args:
        profiles: the tenants' game profiles.
        default_plan: of tenants without a plan of their own.
    """

    def __init__(self, profiles: TenantProfileStore, *, default_plan: PlanName) -> None:
        self._profiles = profiles
        self._default_plan = default_plan

    async def create(self, session: AsyncSession, new: NewStream) -> Stream:
        """Insert a stream that is about to start, in the caller's transaction.

        Raises:
            StreamQuotaExceededError: the tenant's plan allows no stream more.
        """
        tenants = await self._profiles.read(session, new.tenant_id)
        match = tenants.match(new.game or new.title)
        profile = tenants.catalog.get(match.profile_id)
        _log.info(
            "profile matched",
            profile=profile.id,
            version=profile.version,
            score=match.score,
            reason=match.reason,
            notes=match.notes,
        )
        await profiles.pin(session, tenant_id=new.tenant_id, profile=profile)
        # Last, since the tenant's other requests wait from here to the end of the transaction.
        await stream_quota.reserve(
            session, tenant_id=new.tenant_id, default_plan=self._default_plan
        )
        return await streams.create(
            session,
            tenant_id=new.tenant_id,
            stream_id=new.stream_id,
            playlist_url=new.playlist_url,
            game=profile.id,
            profile_id=profile.id,
            profile_version=profile.version,
            profile_match=match.model_dump(mode="json"),
            title=new.title,
            language=new.language,
            external_id=new.external_id,
            options=new.options,
            correlation_id=new.correlation_id,
        )


async def close_orphan(database: Database, stream: Stream) -> Stream:
    """Close a stream that no workflow follows, so that it does not stay open for ever."""
    end = StreamEnd(reason=EndReason.CANCELLED, message="stopped; its analysis was not running")
    progress = StreamProgress(status=end.status, end=end)
    async with database.session(stream.tenant_id) as session:
        await streams.record_stream(
            session,
            StreamRecord(tenant_id=stream.tenant_id, stream_id=stream.id, progress=progress),
        )
    async with database.session(stream.tenant_id) as session:
        found = await streams.get(session, tenant_id=stream.tenant_id, stream_id=stream.id)
    return found or stream
