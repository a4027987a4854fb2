"""Streams: create the row, and start, signal and query the workflows of a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import (
    Priority,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from app.services.profiles import TenantProfileStore
from app.services.tenants import TenantNames
from domain import task_queues
from domain.clips.models import ClipInput, ClipOutcome, ClipSpec
from domain.feed.messages import FeedEventsStored
from domain.highlights.publication import PublicationPolicy
from domain.ids import SearchAttribute, backfill_workflow_id, clip_workflow_id, stream_workflow_id
from domain.ingest.messages import IngestLimits
from domain.media.segments import VariantPolicy
from domain.model import Model
from domain.profiles.criteria import understand
from domain.profiles.documents import versioned
from domain.profiles.model import GameProfile
from domain.streams.backfill.messages import BackfillInput
from domain.streams.messages import (
    ClipCorrection,
    FollowProgress,
    RecordingReady,
    SourceFailure,
    StopRequest,
    StreamInput,
    StreamRecord,
    StreamTiming,
    StreamWorkflowResult,
)
from domain.streams.report import clock, stream_details, stream_title
from domain.streams.status import TERMINAL, EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.tenants.usage import PlanName
from domain.text import Language
from infra.db.engine import Database
from infra.db.repositories import profiles, streams
from infra.db.repositories.publication import policies
from infra.db.tables import Stream
from infra.profiles.phrasebooks import shipped_phrasebooks
from infra.temporal.client import (
    TemporalUnavailableError,
    if_running,
    keyword_attributes,
    temporal_error,
)
from workflows.backfill import BackfillWorkflow
from workflows.clip import ClipWorkflow
from workflows.steps import FOLLOW_STREAM
from workflows.stream import StreamWorkflow

M = TypeVar("M", bound=Model)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class NewStream:
    """A requested stream; `options` are those of `api.streams.schemas.AnalyzeOptions`.

    `languages` are those of titles; None for those of the game's profile. `criteria` is a sentence.
    `policy` is the stream's own; what it leaves out is the tenant's.
    """

    tenant_id: UUID
    stream_id: UUID
    playlist_url: str
    game: str | None = None
    title: str = ""
    language: Language | None = None
    languages: tuple[str, ...] | None = None
    criteria: str | None = None
    external_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    is_recording: bool = False
    policy: PublicationPolicy | None = None


class StreamCreation:
    """Creates streams. The API, the broker's jobs and 100ms events all use it.

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
            StreamQuotaExceededError: the tenant's plan allows no further stream.
        """
        tenants = await self._profiles.read(session, new.tenant_id)
        match = tenants.match(new.game or new.title)
        profile = _with_wishes(tenants.catalog.get(match.profile_id), new)
        _log.info(
            "profile matched",
            profile=profile.id,
            version=profile.version,
            score=match.score,
            reason=match.reason,
            notes=match.notes,
        )
        await profiles.pin(session, tenant_id=new.tenant_id, profile=profile)
        inherited = await policies.of_tenant(session, tenant_id=new.tenant_id)
        # Last, since the tenant's other requests wait from here to the end of the transaction.
        await streams.reserve_slot(
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
            languages=profile.languages,
            criteria=None if profile.criteria is None else profile.criteria.model_dump(mode="json"),
            external_id=new.external_id,
            options=new.options,
            correlation_id=new.correlation_id,
            is_recording=new.is_recording,
            policy=inherited if new.policy is None else new.policy.over(inherited),
        )


def _with_wishes(profile: GameProfile, new: NewStream) -> GameProfile:
    """Return the profile with the stream's own languages and criteria, as it is pinned.

    Analysis and selection read both from the pinned profile.
    """
    if new.languages is None and new.criteria is None:
        return profile
    phrasebooks = shipped_phrasebooks()
    criteria = None
    if new.criteria is not None:
        criteria = understand(
            new.criteria,
            profile,
            names=phrasebooks.names,
            sentence_words=phrasebooks.sentence_words,
        )
    return versioned(profile.with_wishes(languages=new.languages, criteria=criteria))


async def close_orphan(database: Database, stream: Stream) -> Stream:
    """Mark a stream without a workflow as ended, so that it does not stay open."""
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


def workflow_id_of(stream: Stream) -> str:
    """Return the id of the workflow that analyzes a stream or recording."""
    name = backfill_workflow_id if stream.is_recording else stream_workflow_id
    return name(tenant_id=stream.tenant_id, stream_id=stream.id)


_RPC_TIMEOUT: Final = timedelta(seconds=5)


_QUERY_TIMEOUT: Final = timedelta(seconds=1)


_QUERIED: Final = 10_000


# A worker killed between two fetches is noticed by this alone, and a playlist holds ten seconds.
_TASK_TIMEOUT: Final = timedelta(seconds=5)


class StreamStarter:
    """Starts, signals and queries the workflows of streams.

    Args:
        client: gives Temporal's client, or raises TemporalUnavailableError.
        limits: how streams are followed unless they say otherwise.
        names: short names of tenants, shown to operators; without it their ids are.
    """

    def __init__(
        self,
        client: Callable[[], Awaitable[Client]],
        *,
        limits: IngestLimits,
        names: TenantNames | None = None,
    ) -> None:
        self._client = client
        self._limits = limits
        self._names = names
        self._takes_titles = True
        self._queried: LRUCache[str, tuple[tuple[str, int], StreamProgress]] = LRUCache(_QUERIED)

    async def start(self, stream: Stream) -> None:
        """Start the workflow of a stream or recording; one that has been started is left alone.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        if stream.is_recording:
            await self.backfill(stream, RecordingReady(url=stream.playlist_url))
            return
        client = await self._client()
        request = await self._workflow_input(stream)

        async def start(attributes: TypedSearchAttributes) -> None:
            await client.start_workflow(
                StreamWorkflow.run,
                request,
                id=stream_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id),
                task_queue=task_queues.ORCHESTRATION,
                task_timeout=_TASK_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={
                    "correlation_id": stream.correlation_id or "",
                    "room": stream.external_id or "",
                    "title": stream.title,
                },
                search_attributes=attributes,
                priority=Priority(fairness_key=str(stream.tenant_id)),
                static_summary=request.name,
                static_details=stream_details(request),
                rpc_timeout=_RPC_TIMEOUT,
            )

        # Where a stream came from: the request, the job, or the beam of 100ms.
        correlation = {"correlation_id": stream.correlation_id} if stream.correlation_id else {}
        try:
            with structlog.contextvars.bound_contextvars(**correlation):
                await self._listed(stream, request.name, start)
        except WorkflowAlreadyStartedError:
            _log.info("stream workflow had been started", stream_id=str(stream.id))
        except RPCError as error:
            raise temporal_error(error) from error

    async def stop(self, stream: Stream, *, message: str) -> bool:
        """Ask a stream's workflow to stop gracefully. Return False if none is running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        return await self._signal(stream, StreamWorkflow.stop, StopRequest(message=message))

    async def cancel(self, stream: Stream) -> None:
        """Cancel the workflow of a stream or recording, if it runs.

        Its clips in the making and its stored media go with it.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        handle = client.get_workflow_handle(workflow_id_of(stream))
        with if_running():
            await handle.cancel(rpc_timeout=_RPC_TIMEOUT)

    async def fail(self, stream: Stream, *, error_type: str, message: str) -> bool:
        """Signal a stream's workflow that its source failed. Return False if none is running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        failure = SourceFailure(error_type=error_type, message=message)
        return await self._signal(stream, StreamWorkflow.source_failed, failure)

    async def correct_clip(self, stream: Stream, request: ClipCorrection) -> bool:
        """Request another cut of a highlight's clip. Return False if its stream is not running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        return await self._signal(stream, StreamWorkflow.correct_clip, request)

    async def feed_events_stored(self, stream: Stream, signal: FeedEventsStored) -> bool:
        """Signal a stream's workflow that events were stored. Return False if none is running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        return await self._signal(stream, StreamWorkflow.feed_events_stored, signal)

    async def offer_recording(self, stream: Stream, recording: RecordingReady) -> bool:
        """Signal a stream's workflow that a recording exists. Return False if none is running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        return await self._signal(stream, StreamWorkflow.recording_ready, recording)

    async def backfill(
        self, stream: Stream, recording: RecordingReady, *, again: bool = False
    ) -> bool:
        """Start a backfill of a finished stream from its recording, unless one is running.

        Returns False if `again` is set and another backfill has not ended.

        Args:
            stream: the stream, which has ended.
            recording: its recording.
            again: analyze all of it again, not only the gaps.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        live = await self._workflow_input(stream)

        async def start(attributes: TypedSearchAttributes) -> None:
            await client.start_workflow(
                BackfillWorkflow.run,
                BackfillInput(
                    tenant_id=stream.tenant_id,
                    stream_id=stream.id,
                    name=live.name,
                    recording=recording,
                    again=again,
                    limits=live.limits,
                    variant=live.variant,
                ),
                id=backfill_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id),
                task_queue=task_queues.ORCHESTRATION,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL
                if again
                else WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=attributes,
                priority=Priority(fairness_key=str(stream.tenant_id)),
                static_summary=f"{live.name} backfill",
                rpc_timeout=_RPC_TIMEOUT,
            )

        try:
            await self._listed(stream, live.name, start)
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise temporal_error(error) from error
        return True

    async def render_clip(self, spec: ClipSpec) -> None:
        """Start the workflow of a clip, unless it is running; its stream may be over.

        It reports to the workflow of its stream, unless the clip is on demand.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        try:
            await client.start_workflow(
                ClipWorkflow.run,
                ClipInput(
                    spec=spec,
                    stream_workflow=None
                    if spec.is_on_demand
                    else stream_workflow_id(tenant_id=spec.tenant_id, stream_id=spec.stream_id),
                ),
                id=clip_workflow_id(tenant_id=spec.tenant_id, clip=spec.id),
                task_queue=task_queues.ORCHESTRATION,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                execution_timeout=timedelta(seconds=StreamTiming().clip_timeout),
                priority=Priority(fairness_key=str(spec.tenant_id)),
                static_summary=f"clip at {clock(spec.start)}, on demand"
                if spec.is_on_demand
                else f"clip at {clock(spec.peak)}, started again",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except RPCError as error:
            raise temporal_error(error) from error

    async def clip_finished(
        self, *, tenant_id: UUID, stream_id: UUID, outcome: ClipOutcome
    ) -> bool:
        """Signal a stream's workflow how a clip ended. Return False if none is running.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        name = stream_workflow_id(tenant_id=tenant_id, stream_id=stream_id)
        return await self._send(name, StreamWorkflow.clip_finished, outcome)

    async def live_progress(self, stream: Stream) -> StreamProgress | None:
        """Return the running workflow's progress; None if it does not answer within a second.

        The workflow learns what `follow_stream` did when that returns; until then the activity's
        last heartbeat has it. The row of a recording is written with each minute of media, so that
        it is never asked for.
        """
        if stream.is_recording:
            return None
        try:
            client = await self._client()
            handle = client.get_workflow_handle(
                stream_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id)
            )
            described = await handle.describe(rpc_timeout=_QUERY_TIMEOUT)
            progress = await self._progress_of(handle, described)
            following = await _following(client, described)
        except (
            TemporalUnavailableError,
            RPCError,
            WorkflowQueryFailedError,
            WorkflowQueryRejectedError,
        ) as error:
            _log.info("no live progress", stream_id=str(stream.id), error=str(error))
            return None
        return progress if following is None else following.added_to(progress)

    async def _progress_of(
        self,
        handle: WorkflowHandle[StreamWorkflow, StreamWorkflowResult],
        described: WorkflowExecutionDescription,
    ) -> StreamProgress:
        """Return the workflow's progress, which is the same while its history is.

        A query costs a workflow task, which an overloaded worker needs for the stream.
        """
        state = (described.run_id, described.history_length)
        known = self._queried.get(handle.id)
        if known is not None and known[0] == state:
            return known[1]
        progress = await handle.query(StreamWorkflow.status, rpc_timeout=_QUERY_TIMEOUT)
        self._queried[handle.id] = (state, progress)
        return progress

    async def _signal(
        self, stream: Stream, signal: Callable[[StreamWorkflow, M], None], argument: M
    ) -> bool:
        workflow_id = stream_workflow_id(tenant_id=stream.tenant_id, stream_id=stream.id)
        return await self._send(workflow_id, signal, argument)

    async def _send(
        self, workflow_id: str, signal: Callable[[StreamWorkflow, M], None], argument: M
    ) -> bool:
        handle = (await self._client()).get_workflow_handle(workflow_id)
        try:
            await handle.signal(signal, argument, rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise temporal_error(error) from error
        return True

    async def _listed(
        self, stream: Stream, name: str, start: Callable[[TypedSearchAttributes], Awaitable[object]]
    ) -> None:
        """Start a workflow with a title to list it by, where the server takes one.

        Raises:
            RPCError: it could not be started.
        """
        if self._takes_titles:
            try:
                await start(_attributes(stream, title=name))
            except RPCError as error:
                is_unknown = SearchAttribute.STREAM_TITLE in error.message
                if error.status is not RPCStatusCode.INVALID_ARGUMENT or not is_unknown:
                    raise
                _log.warning("no_stream_titles", missing=SearchAttribute.STREAM_TITLE)
                self._takes_titles = False
            else:
                return
        await start(_attributes(stream, title=None))

    async def _workflow_input(self, stream: Stream) -> StreamInput:
        options: dict[str, Any] = dict(stream.options)
        variant = VariantPolicy.model_validate(
            {"max_height": options.pop("max_height")} if "max_height" in options else {}
        )
        return StreamInput(
            tenant_id=stream.tenant_id,
            stream_id=stream.id,
            name=stream_title(
                tenant=str(stream.tenant_id)
                if self._names is None
                else await self._names.of(stream.tenant_id),
                room=stream.external_id,
                title=stream.title,
                game=stream.game,
            ),
            playlist_url=stream.playlist_url,
            game=stream.game,
            profile_id=stream.profile_id,
            profile_version=stream.profile_version,
            limits=self._limits.model_copy(update=options),
            variant=variant,
            correlation_id=stream.correlation_id,
        )


def _attributes(stream: Stream, *, title: str | None) -> TypedSearchAttributes:
    values = {
        SearchAttribute.TENANT_ID: str(stream.tenant_id),
        SearchAttribute.STREAM_ID: str(stream.id),
        SearchAttribute.GAME: stream.game,
        SearchAttribute.STREAM_STATUS: stream.status,
        **({} if title is None else {SearchAttribute.STREAM_TITLE: title}),
    }
    return keyword_attributes(values)


async def find_or_create(session: AsyncSession, creation: StreamCreation, new: NewStream) -> Stream:
    """Return the stream with this id, created if there is none yet. Idempotent.

    Raises:
        StreamQuotaExceededError: the tenant's plan allows no more streams.
    """
    found = await streams.get(session, tenant_id=new.tenant_id, stream_id=new.stream_id)
    return found or await creation.create(session, new)


async def start_or_withdraw(database: Database, starter: StreamStarter, stream: Stream) -> None:
    """Start the workflow of a stream that was created, or delete the stream if that fails.

    Raises:
        TemporalUnavailableError: Temporal does not respond. The stream is deleted.
    """
    try:
        await starter.start(stream)
    except TemporalUnavailableError:
        await withdraw(database, stream)
        raise


async def withdraw(database: Database, stream: Stream) -> None:
    """Delete a stream whose analysis could not be started; one that has begun stays."""
    async with database.session(stream.tenant_id) as session:
        await streams.delete_unstarted(session, tenant_id=stream.tenant_id, stream_id=stream.id)


async def stop(
    database: Database, starter: StreamStarter, stream: Stream
) -> tuple[Stream, StreamStatus]:
    """Ask a stream to end in good order. Does nothing if it has ended.

    Returns:
        The stream and its status, which is `ending` once its workflow has accepted the request,
        even if that is not stored yet.

    Raises:
        TemporalUnavailableError: Temporal does not respond.
    """
    if stream.status in TERMINAL:
        return stream, StreamStatus(stream.status)
    if stream.is_recording:
        await starter.cancel(stream)
    elif await starter.stop(stream, message="stopped by the tenant"):
        return stream, StreamStatus.ENDING
    closed = await close_orphan(database, stream)
    return closed, StreamStatus(closed.status)


async def _following(
    client: Client, described: WorkflowExecutionDescription
) -> FollowProgress | None:
    """Return the last heartbeat of the stream's `follow_stream`; None if there is none."""
    for pending in described.raw_description.pending_activities:
        payloads = pending.heartbeat_details.payloads
        if pending.activity_type.name == FOLLOW_STREAM and payloads:
            (progress,) = await client.data_converter.decode(payloads, [FollowProgress])
            return FollowProgress.model_validate(progress)
    return None
