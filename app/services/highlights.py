"""Highlights: explanation, similar highlights, feedback and review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.services import tastes
from app.services.profiles import PinnedProfiles
from app.services.streams import StreamStarter
from domain.highlights.explanation import explain
from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection, check_correction
from domain.highlights.publication import (
    Release,
    ReviewStatus,
    WithheldReason,
    decide_review,
    withheld,
)
from domain.highlights.selection import HIDDEN, DecisionStatus, Reason
from domain.highlights.similarity import Impression, Resemblance, describe, resemblance
from domain.profiles.catalog import PinnedProfile
from domain.streams.messages import ClipCorrection
from domain.streams.status import TERMINAL
from domain.tenants.audit import SYSTEM, Actor, AuditAction
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, clips, highlights, search, streams
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import (
    REVIEW_REJECTED,
    HighlightRow,
    candidate_of,
    decision_of,
)
from infra.db.repositories.publication import corrections, policies, reviews
from infra.db.repositories.publication.policies import policy_of
from infra.db.tables import Clip, Highlight, HighlightFeedbackRow


def explanation_of(row: Highlight, pinned: PinnedProfile) -> tuple[str, ...]:
    """Return sentences and rows of a table, the verdict first.

    Args:
        row: the highlight.
        pinned: the profile that it was decided by; the last line names a substitute.
    """
    lines = explain(candidate_of(row), decision_of(row), pinned.profile)
    if not pinned.note:
        return lines
    return (*lines, f"The weights above may not be those it was decided by: {pinned.note}.")


@dataclass(frozen=True, kw_only=True)
class SimilarMatch:
    """A highlight with its newest clip, and how it resembles the given one."""

    highlight: Highlight
    clip: ClipRow | None
    how: Resemblance


async def find_similar(
    database: Database, pinned: PinnedProfiles, *, tenant_id: UUID, highlight_id: UUID, limit: int
) -> list[SimilarMatch]:
    """Return the highlights that are most similar to one, most similar first.

    Candidates share words of its title or have a similar thumbnail.

    Raises:
        RecordMissingError: the tenant has no such highlight.
    """
    async with database.session(tenant_id) as session:
        about = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
        if about is None:
            raise RecordMissingError("highlight", highlight_id)
        own = await clips.latest_by_highlight(
            session, tenant_id=tenant_id, highlight_ids=[highlight_id]
        )
        impression = _impression(about, own.get(highlight_id))
        titled = await search.by_title(
            session, tenant_id=tenant_id, highlight_id=highlight_id, title=about.title
        )
        pictured = await search.by_picture(
            session,
            tenant_id=tenant_id,
            highlight_id=highlight_id,
            thumbnail_hash=impression.thumbnail_hash,
        )
        ids = sorted(titled | pictured)
        rows = await highlights.get_many(session, tenant_id=tenant_id, highlight_ids=ids)
        newest = await clips.latest_by_highlight(session, tenant_id=tenant_id, highlight_ids=ids)
    profile = (await pinned.find(tenant_id, about.profile_id, about.profile_version)).profile
    found = []
    for row in rows.values():
        clip = newest.get(row.id)
        how = resemblance(impression, _impression(row, clip), profile.similarity)
        if row.status not in HIDDEN and (row.id in titled or how.looks_alike):
            found.append(SimilarMatch(highlight=row, clip=clip, how=how))
    found.sort(key=lambda each: (-each.how.similarity, each.highlight.id))
    return found[:limit]


def _impression(row: Highlight, clip: ClipRow | None) -> Impression:
    return Impression(
        start=row.start,
        end=row.end,
        text=describe(row.title, row.description),
        tags=tuple(row.tags),
        thumbnail_hash=None if clip is None else clip.thumbnail_hash,
    )


async def give_feedback(
    database: Database,
    starter: StreamStarter,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    author: str,
    verdict: FeedbackVerdict | None,
    correction: HighlightCorrection | None,
    note: str,
) -> HighlightFeedbackRow:
    """Store an author's feedback in place of their previous one.

    The tenant's taste learns from it in the same transaction. A correction is also sent to the
    stream's workflow if that runs, which then renders a new clip.

    Args:
        database: holds highlights and feedback.
        starter: reaches the stream's workflow.
        tenant_id: the tenant.
        highlight_id: the highlight.
        author: the user or key who gives the feedback.
        verdict: like or dislike, if any.
        correction: the correct bounds, if any.
        note: free text, may be empty.

    Raises:
        RecordMissingError: the tenant has no such highlight.
        CorrectionError: the highlight cannot have these bounds.
        TemporalUnavailableError: Temporal does not respond. The feedback is stored; a retry sends
            the correction.
    """
    stream = None
    async with database.session(tenant_id) as session:
        row = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
        if row is None:
            raise RecordMissingError("highlight", highlight_id)
        if correction is not None:
            stream = await streams.get(session, tenant_id=tenant_id, stream_id=row.stream_id)
            media_end = max(row.end, row.clip_end, stream.position if stream is not None else 0.0)
            if stream is not None and stream.status not in TERMINAL and correction.end > media_end:
                # The row of a running stream may be minutes behind.
                live = await starter.live_progress(stream)
                media_end = media_end if live is None else max(media_end, live.position)
            check_correction(correction, start=row.start, end=row.end, media_end=media_end)
        given = await highlights.put_feedback(
            session,
            tenant_id=tenant_id,
            highlight_id=highlight_id,
            author=author,
            verdict=verdict,
            correction=correction,
            note=note,
        )
        await tastes.learn(session, tenant_id=tenant_id, profile_id=row.profile_id)
    if correction is not None and stream is not None and stream.status not in TERMINAL:
        request = ClipCorrection(highlight_id=highlight_id, correction=correction)
        await starter.correct_clip(stream, request)
    return given


def withheld_reason(row: Highlight | HighlightRow) -> WithheldReason | None:
    """Return why nothing of a highlight is delivered now; None if it is."""
    policy = policy_of(row)
    valid_until = None if policy is None else policy.valid_until
    return withheld(row.review, valid_until, now=datetime.now(UTC))


async def withheld_highlights(
    session: AsyncSession, rows: Sequence[Clip]
) -> frozenset[UUID | None]:
    """Return those highlights of some clips of one tenant that are withheld."""
    ids = {row.highlight_id for row in rows if row.highlight_id is not None}
    if not ids:
        return frozenset()
    found = await highlights.get_many(
        session, tenant_id=rows[0].tenant_id, highlight_ids=sorted(ids)
    )
    return frozenset(row.id for row in found.values() if withheld_reason(row) is not None)


async def change_stream_policy(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    fields: Mapping[str, Any],
    actor: Actor,
) -> None:
    """Change some fields of the policy of a stream and its highlights, in the caller's transaction.

    Reviews of highlights that exist do not change. A change that changes nothing is not audited.

    Raises:
        RecordMissingError: the tenant has no such stream.
    """
    before = await policies.lock_of_stream(session, tenant_id=tenant_id, stream_id=stream_id)
    after = before.changed(fields)
    if after == before:
        return
    await policies.put_of_stream(session, tenant_id=tenant_id, stream_id=stream_id, policy=after)
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.STREAM_UPDATED,
        target_id=stream_id,
        actor=actor,
        details={"before": before.stated(), "after": after.stated()},
    )


async def review_highlight(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    status: ReviewStatus,
    author: str,
    note: str,
    actor: Actor,
) -> Highlight:
    """Approve or reject a highlight, in the caller's transaction. Idempotent.

    Approval publishes what was withheld. Rejection retracts the highlight for good, also one that
    was approved before.

    Raises:
        RecordMissingError: the tenant has no such highlight.
        ReviewClosedError: it needs no review, or it is too late.
    """
    row = await reviews.lock(session, tenant_id=tenant_id, highlight_id=highlight_id)
    if row is None:
        raise RecordMissingError("highlight", highlight_id)
    now = datetime.now(UTC)
    if not decide_review(row.review, row.review_until, wanted=status, now=now):
        return row
    if status is ReviewStatus.REJECTED:
        words = f"{author} rejected it in review." if not note else f"{author} rejected it: {note}"
        reason = Reason(code=REVIEW_REJECTED, words=words)
        # First, so that tenants who were notified of the highlight are notified of its end.
        await corrections.withdraw(
            session, tenant_id=tenant_id, highlight_id=highlight_id, reason=reason
        )
    release = Release(by=author, at=now, note=note)
    await reviews.decide(session, row, status=status, release=release)
    is_approved = status is ReviewStatus.APPROVED
    if is_approved and row.status not in {*HIDDEN, DecisionStatus.RETRACTED}:
        await reviews.publish(session, row)
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.HIGHLIGHT_APPROVED if is_approved else AuditAction.HIGHLIGHT_REJECTED,
        target_id=highlight_id,
        actor=actor,
        details={"stream_id": str(row.stream_id), "by": author, "note": note},
    )
    return row


async def expire_reviews(database: Database, *, tenant_id: UUID, batch: int) -> int:
    """End the reviews whose time is over, each with an audit entry. Return their number."""
    total = 0
    while True:
        async with database.session(tenant_id) as session:
            ended = await reviews.expire(session, tenant_id=tenant_id, limit=batch)
            for highlight_id in ended:
                await audit.record(
                    session,
                    tenant_id=tenant_id,
                    action=AuditAction.HIGHLIGHT_REVIEW_EXPIRED,
                    target_id=highlight_id,
                    actor=SYSTEM,
                )
        total += len(ended)
        if len(ended) < batch:
            return total
