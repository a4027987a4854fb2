"""Exports: create, start, cancel and delete them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.common import (
    Priority,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from app.services.highlights import withheld_reason
from domain import task_queues
from domain.analysis.screen import MatchState
from domain.clips.models import ClipStatus
from domain.exports.cards import Card, EndCard, Territory
from domain.exports.models import (
    FINISHED,
    Branding,
    BrandingChoice,
    CaptionStyle,
    ExportInput,
    ExportRecord,
    ExportSource,
    ExportSpec,
    ExportStatus,
    LowerThird,
    RenditionSpec,
    Watermark,
)
from domain.exports.reels import (
    CUT,
    MOST_CLIPS,
    ReelOrder,
    ReelPart,
    Transition,
    choose_parts,
    starts_of,
)
from domain.highlights.explanation import headline
from domain.highlights.publication import WITHHELD
from domain.ids import SearchAttribute, export_workflow_id
from domain.tenants.audit import Actor, AuditAction
from domain.tenants.usage import PlanName, require_rendition_quota
from domain.text import one_line
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, clips, exports, highlights, streams
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import HighlightFilter
from infra.db.tables import BrandingRow, Clip, Export, Highlight
from infra.storage.clips import ClipStore
from infra.temporal.client import (
    TemporalUnavailableError,
    if_running,
    keyword_attributes,
    temporal_error,
)
from workflows.export import ExportWorkflow

_RPC_TIMEOUT: Final = timedelta(seconds=5)
_TAGS: Final = 3
_CANCELLED: Final = "The export was canceled."
_log = structlog.get_logger(__name__)


class EmptyReelError(Exception):
    """No clips of the wanted highlights fit into a reel; the message is for the tenant."""


class SourceNotReadyError(Exception):
    """The clip to export has no file; the message is for the tenant."""


@dataclass(frozen=True, kw_only=True)
class NewReel:
    """A requested reel of streams: of the highlights that match `criteria`, or of those named.

    It has at most `seconds`.
    """

    stream_ids: tuple[UUID, ...]
    seconds: float
    order: ReelOrder
    criteria: HighlightFilter
    highlight_ids: tuple[UUID, ...] = ()
    transition: Transition = CUT


@dataclass(frozen=True, kw_only=True)
class NewExport:
    """A requested export: of a highlight's clip, a clip, `start`..`end` of a stream, or a reel."""

    tenant_id: UUID
    export_id: UUID
    renditions: tuple[RenditionSpec, ...]
    watermark: Watermark | None = None
    lower_third: LowerThird | None = None
    caption_style: CaptionStyle | None = None
    intro: Card | None = None
    outro: Card | None = None
    end_card: EndCard | None = None
    territory: Territory | None = None
    branding: BrandingChoice = BrandingChoice.DEFAULT
    highlight_id: UUID | None = None
    clip_id: UUID | None = None
    stream_id: UUID | None = None
    start: float = 0.0
    end: float = 0.0
    exact: bool = True
    reel: NewReel | None = None


class Brand(NamedTuple):
    """Branding that an export is made with; `version` of the tenant's default, None for none."""

    branding: Branding
    version: int | None


class ExportService:
    """Creates exports, and starts and cancels their workflows.

    Args:
        database: holds the exports.
        client: gives Temporal's client, or raises TemporalUnavailableError.
        files: store of the finished files.
        default_plan: of tenants without a plan of their own.
    """

    def __init__(
        self,
        database: Database,
        client: Callable[[], Awaitable[Client]],
        *,
        files: ClipStore,
        default_plan: PlanName,
    ) -> None:
        self._database = database
        self._client = client
        self._files = files
        self._default_plan = default_plan

    async def find_or_create(self, session: AsyncSession, new: NewExport) -> Export:
        """Return the export with this id, created if there is none yet. Idempotent.

        Raises:
            RecordMissingError: the tenant has no such highlight, clip or stream.
            SourceNotReadyError: the clip is not ready.
            EmptyReelError: no clip fits into the reel.
            ExportQuotaExceededError: the tenant's plan does not allow it.
        """
        found = await exports.get(session, tenant_id=new.tenant_id, export_id=new.export_id)
        if found is not None:
            return found
        brand = await brand_of(session, new.tenant_id, new.branding)
        end_card = new.end_card or brand.branding.end_card
        lower = new.lower_third or brand.branding.lower_third
        source = await _source(session, new)
        if lower is not None and new.highlight_id is not None:
            about = await highlights.get(
                session, tenant_id=new.tenant_id, highlight_id=new.highlight_id
            )
            lower = lower if about is None else about_highlight(lower, about)
        spec = ExportSpec(
            id=new.export_id,
            tenant_id=new.tenant_id,
            source=source,
            renditions=new.renditions,
            watermark=new.watermark or brand.branding.watermark,
            # Without a highlight there may be nothing to say.
            lower_third=lower if lower is not None and lower.has_text else None,
            caption_style=new.caption_style or brand.branding.caption_style,
            intro=new.intro or brand.branding.intro,
            outro=new.outro or brand.branding.outro,
            end_card=None if end_card is None else end_card.card_in(new.territory),
            territory=new.territory,
            branding_version=brand.version,
            exact=new.exact,
        )
        # Last, since the tenant's other requests wait from here to the end of the transaction.
        plan = await exports.reserve_slot(
            session, tenant_id=new.tenant_id, default_plan=self._default_plan
        )
        require_rendition_quota(plan, len(new.renditions))
        return await exports.create(session, spec)

    async def start_or_withdraw(self, export: Export) -> None:
        """Start the workflow of an export that was created, or delete the export if that fails.

        Raises:
            TemporalUnavailableError: Temporal does not respond. The export is deleted.
        """
        try:
            await self.start(exports.spec_of(export))
        except TemporalUnavailableError:
            async with self._database.session(export.tenant_id) as session:
                await exports.remove(session, tenant_id=export.tenant_id, export_id=export.id)
            raise

    async def start(self, spec: ExportSpec, *, again: bool = False) -> None:
        """Start an export's workflow; one that has been started is left alone.

        With `again`, one that runs no longer is started once more.

        Raises:
            TemporalUnavailableError: Temporal does not answer.
        """
        client = await self._client()
        values = {
            SearchAttribute.TENANT_ID: str(spec.tenant_id),
            SearchAttribute.STREAM_ID: str(spec.source.stream_id),
        }
        try:
            await client.start_workflow(
                ExportWorkflow.run,
                ExportInput(spec=spec),
                id=export_workflow_id(tenant_id=spec.tenant_id, export=spec.id),
                task_queue=task_queues.ORCHESTRATION,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
                if again
                else WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=keyword_attributes(values),
                priority=Priority(fairness_key=str(spec.tenant_id)),
                static_summary=f"export of {spec.source.duration:.1f} s, "
                f"{len(spec.renditions)} renditions",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            _log.info("export workflow had been started", export_id=str(spec.id))
        except RPCError as error:
            raise temporal_error(error) from error

    async def cancel(self, tenant_id: UUID, export_id: UUID) -> Export:
        """Cancel an export and delete its files. Does nothing if it has finished.

        Raises:
            RecordMissingError: the tenant has no such export.
            TemporalUnavailableError: Temporal does not respond.
        """
        row = await self._get(tenant_id, export_id)
        if row.status in FINISHED:
            return row
        await self._cancel_workflow(tenant_id, export_id)
        # It may have finished in the meantime; otherwise its workflow deletes what it stored.
        await self._delete_files(await self._get(tenant_id, export_id))
        record = ExportRecord(
            tenant_id=tenant_id,
            export_id=export_id,
            status=ExportStatus.CANCELLED,
            message=_CANCELLED,
        )
        async with self._database.session(tenant_id) as session:
            await exports.record_export(session, record)
        return await self._get(tenant_id, export_id)

    async def end_lost(self, row: Export, status: ExportStatus, message: str) -> None:
        """End an export whose workflow stopped without doing so, and delete what it stored."""
        spec = exports.spec_of(row)
        for number in range(1, len(spec.renditions) + 1):
            await self._files.delete(spec.key(number))
        record = ExportRecord(
            tenant_id=row.tenant_id, export_id=row.id, status=status, message=message
        )
        async with self._database.session(row.tenant_id) as session:
            await exports.record_export(session, record)

    async def delete(self, tenant_id: UUID, export_id: UUID, *, actor: Actor) -> None:
        """Cancel an export if it is unfinished, and delete its files and row. Usage stays.

        It can be retried after any failure: files are deleted while the row still names them.

        Raises:
            RecordMissingError: the tenant has no such export.
            TemporalUnavailableError: Temporal does not respond.
        """
        row = await self.cancel(tenant_id, export_id)
        await self._delete_files(row)
        async with self._database.session(tenant_id) as session:
            await exports.remove(session, tenant_id=tenant_id, export_id=export_id)
            await audit.record(
                session,
                tenant_id=tenant_id,
                action=AuditAction.EXPORT_DELETED,
                target_id=export_id,
                actor=actor,
                details={"stream_id": str(row.stream_id)},
            )

    async def _delete_files(self, row: Export) -> None:
        for result in exports.results_of(row).values():
            if result.key is not None:
                await self._files.delete(result.key)

    async def _get(self, tenant_id: UUID, export_id: UUID) -> Export:
        async with self._database.session(tenant_id) as session:
            row = await exports.get(session, tenant_id=tenant_id, export_id=export_id)
        if row is None:
            raise RecordMissingError("export", export_id)
        return row

    async def _cancel_workflow(self, tenant_id: UUID, export_id: UUID) -> None:
        client = await self._client()
        handle = client.get_workflow_handle(
            export_workflow_id(tenant_id=tenant_id, export=export_id)
        )
        with if_running():
            await handle.cancel(rpc_timeout=_RPC_TIMEOUT)


async def _source(session: AsyncSession, new: NewExport) -> ExportSource:
    tenant_id = new.tenant_id
    if new.reel is not None:
        return await _reel(session, tenant_id, new.reel)
    if new.highlight_id is not None:
        about = await highlights.get(session, tenant_id=tenant_id, highlight_id=new.highlight_id)
        if about is None:
            raise RecordMissingError("highlight", new.highlight_id)
        latest = await clips.latest_by_highlight(
            session, tenant_id=tenant_id, highlight_ids=[new.highlight_id]
        )
        return clip_source(latest.get(new.highlight_id), about)
    if new.clip_id is not None:
        clip = await clips.get(session, tenant_id=tenant_id, clip_id=new.clip_id)
        if clip is None:
            raise RecordMissingError("clip", new.clip_id)
        about = None
        if clip.highlight_id is not None:
            about = await highlights.get(
                session, tenant_id=tenant_id, highlight_id=clip.highlight_id
            )
        return clip_source(clip, about)
    assert new.stream_id is not None  # noqa: S101 - the request has one of three
    if await streams.get(session, tenant_id=tenant_id, stream_id=new.stream_id) is None:
        raise RecordMissingError("stream", new.stream_id)
    return ExportSource(stream_id=new.stream_id, start=new.start, end=new.end)


async def brand_of(session: AsyncSession, tenant_id: UUID, choice: BrandingChoice) -> Brand:
    """Return the tenant's default branding, if an export uses it and there is one."""
    row = None
    if choice is BrandingChoice.DEFAULT:
        row = await exports.get_branding(session, tenant_id=tenant_id)
    found = exports.branding_of(row)
    return Brand(found, row.version if row is not None and found != Branding() else None)


async def put_branding(
    session: AsyncSession, *, tenant_id: UUID, branding: Branding, actor: Actor
) -> BrandingRow:
    """Replace a tenant's default branding, with an audit entry, in the caller's transaction."""
    row = await exports.put_branding(session, tenant_id=tenant_id, branding=branding)
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.BRANDING_PUT,
        target_id=tenant_id,
        actor=actor,
        details={"version": row.version},
    )
    return row


async def delete_branding(session: AsyncSession, *, tenant_id: UUID, actor: Actor) -> None:
    """Leave a tenant without default branding, with an audit entry. Idempotent."""
    before = await exports.get_branding(session, tenant_id=tenant_id)
    if exports.branding_of(before) == Branding():
        return
    row = await exports.put_branding(session, tenant_id=tenant_id, branding=Branding())
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.BRANDING_DELETED,
        target_id=tenant_id,
        actor=actor,
        details={"version": row.version},
    )


def about_highlight(lower: LowerThird, about: Highlight) -> LowerThird:
    """Return a lower third; what it leaves open is that of the highlight."""
    state = MatchState.model_validate(about.match_state) if about.match_state else MatchState()
    score = "-".join(map(str, state.score_after)) or None
    texts = highlights.title_in(about, lower.language)
    title, tags = (about.title, about.tags) if texts is None else (texts.title, texts.tags)
    return LowerThird(
        start=lower.start,
        seconds=lower.seconds,
        title=lower.title or _line(title, 100) or None,
        language=lower.language,
        score=lower.score or score,
        tags=lower.tags
        if lower.tags is not None
        else tuple(line for tag in tags[:_TAGS] if (line := _line(tag, 40))),
    )


def _line(text: str, length: int) -> str:
    """Return text as one line of bounded length."""
    return one_line(text)[:length].rstrip()


async def _reel(session: AsyncSession, tenant_id: UUID, reel: NewReel) -> ExportSource:
    for stream_id in reel.stream_ids:
        if await streams.get(session, tenant_id=tenant_id, stream_id=stream_id) is None:
            raise RecordMissingError("stream", stream_id)
    if reel.highlight_ids:
        ids = list(dict.fromkeys(reel.highlight_ids))
        named = await highlights.get_many(session, tenant_id=tenant_id, highlight_ids=ids)
        of_streams = [row for row in named.values() if row.stream_id in reel.stream_ids]
        if len(of_streams) < len(ids):
            missing = set(ids) - {row.id for row in of_streams}
            raise RecordMissingError("highlight", min(missing))
        for row in of_streams:
            require_released(row)
        rows: Sequence[Highlight] = of_streams
    else:
        released = replace(reel.criteria, is_released=True)
        rows = await highlights.best(
            session, tenant_id=tenant_id, criteria=released, limit=MOST_CLIPS
        )
        rows = [row for row in rows if withheld_reason(row) is None]
    latest = await clips.latest_by_highlight(
        session, tenant_id=tenant_id, highlight_ids=[row.id for row in rows]
    )
    candidates = [
        ReelPart(
            stream_id=row.stream_id,
            highlight_id=row.id,
            clip_id=clip.id,
            clip_key=clip.key,
            title=headline(row.title, game=row.game, tags=row.tags, peak=row.peak),
            score=row.score,
            start=clip.start,
            duration=clip.duration,
        )
        for row in rows
        if (clip := latest.get(row.id)) is not None
        and clip.status == ClipStatus.READY
        and clip.key is not None
    ]
    parts = choose_parts(
        candidates,
        seconds=reel.seconds,
        order=reel.order,
        transition=reel.transition,
        streams=reel.stream_ids,
    )
    if not parts:
        raise EmptyReelError(
            f"Of {len(rows)} highlights, {len(candidates)} have a clip that is ready, and none of "
            f"them fits into {reel.seconds:g} s"
            + (
                f" and is longer than its transitions, {reel.transition.shortest_clip:g} s."
                if reel.transition.overlap
                else "."
            )
        )
    return ExportSource(
        stream_id=parts[0].stream_id or reel.stream_ids[0],
        start=0.0,
        end=starts_of(parts, reel.transition)[-1],
        parts=parts,
        transition=reel.transition,
    )


def require_released(about: Highlight) -> None:
    """Check that a highlight is delivered.

    Raises:
        SourceNotReadyError: it is withheld.
    """
    if (reason := withheld_reason(about)) is not None:
        raise SourceNotReadyError(WITHHELD[reason].format(highlight_id=about.id))


def clip_source(clip: Clip | ClipRow | None, about: Highlight | None) -> ExportSource:
    """Return a clip's file as a source; `about` is its highlight, if it has one.

    Raises:
        SourceNotReadyError: it is not ready, there is no clip, or its highlight is withheld.
    """
    if about is not None:
        require_released(about)
    if clip is None or clip.status != ClipStatus.READY or clip.key is None:
        state = "has no clip" if clip is None else f"has a clip that is {clip.status}"
        raise SourceNotReadyError(f"The source {state}. Wait for the event `clip.ready`.")
    return ExportSource(
        stream_id=clip.stream_id,
        highlight_id=clip.highlight_id,
        clip_id=clip.id,
        clip_key=clip.key,
        start=clip.start,
        end=clip.start + clip.duration,
    )
