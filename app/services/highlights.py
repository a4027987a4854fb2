"""Highlights: explanation, similar highlights and feedback."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.services import tastes
from app.services.profiles import PinnedProfiles
from app.services.streams import StreamStarter
from domain.highlights.explanation import explain
from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection, check_correction
from domain.highlights.selection import HIDDEN
from domain.highlights.similarity import Impression, Resemblance, describe, resemblance
from domain.profiles.catalog import PinnedProfile
from domain.streams.messages import ClipCorrection
from domain.streams.status import TERMINAL
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import clips, highlights, search, streams
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import candidate_of, decision_of
from infra.db.tables import Highlight, HighlightFeedbackRow


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
