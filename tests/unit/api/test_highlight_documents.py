"""Pages are written from rows without a model, and say what the model would, to the byte."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.sql.elements import KeyedColumnElement

from api.clips.schemas import ClipModel
from api.highlights.schemas import Dimensions, HighlightModel, document_of
from api.pagination import Page, page_response
from api.services import Services
from api.streams.schemas import ProfileRef
from domain.analysis.screen import MatchState
from domain.clips.models import ClipStatus
from domain.highlights.candidate import Evidence
from domain.highlights.explanation import headline
from domain.highlights.selection import DecisionStatus, Reason, Tier
from domain.score import DIMENSIONS
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import HighlightRow
from infra.db.tables import Clip, Highlight
from infra.storage.signed_urls import ClipLinks, UrlSigner, clip_path

SERVICES = cast(
    "Services",
    SimpleNamespace(
        links=ClipLinks(UrlSigner(b"s" * 32), base_url="https://api.test", lifetime=3600.0),
    ),
)
RowT = TypeVar("RowT", HighlightRow, ClipRow)
NOW = 1_800_000_000.0

VALUES: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    float: st.floats(),
    int: st.integers(min_value=0, max_value=2**63 - 1),
    str: st.text(),
}
# As they lie in the database: a reason written before a field existed does not have it.
REASONS = st.builds(Reason).flatmap(
    lambda reason: st.booleans().map(lambda old: reason.model_dump(mode="json", exclude_none=old))
)
STATES = st.builds(MatchState).flatmap(
    lambda state: st.booleans().map(lambda old: state.model_dump(mode="json", exclude_unset=old))
)
OWN: dict[str, st.SearchStrategy[Any]] = {
    "reasons": st.lists(REASONS, max_size=3),
    "evidence": st.lists(st.builds(Evidence).map(Evidence.model_dump), max_size=3),
    "tags": st.lists(st.text(), max_size=3),
    "corrections": st.just([]),
    "match_state": st.none() | STATES,
}


def values(
    column: KeyedColumnElement[Any], **own: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Return what a column may hold."""
    known = OWN | own
    if column.key in known:
        strategy = known[column.key]
    else:
        strategy = VALUES.get(column.type.python_type, st.uuids())
    return st.none() | strategy if column.nullable else strategy


def rows(
    row: type[RowT], table: type[Highlight | Clip], **own: st.SearchStrategy[Any]
) -> st.SearchStrategy[RowT]:
    """Return rows with any values that the columns may hold."""
    columns = {
        column.key: values(column, **own)
        for column in table.__table__.columns
        if column.key in row._fields
    }
    return st.fixed_dictionaries(columns).map(lambda values: row(**values))


HIGHLIGHTS = rows(
    HighlightRow,
    Highlight,
    status=st.sampled_from([status.value for status in DecisionStatus]),
    tier=st.sampled_from([tier.value for tier in Tier]),
)
CLIPS = rows(ClipRow, Clip, status=st.sampled_from([status.value for status in ClipStatus]))


def clip_model(row: ClipRow) -> ClipModel:
    ready = row.status == "ready" and row.key is not None

    def url(file: Any, *, exists: bool) -> str | None:  # noqa: ANN401
        if not exists:
            return None
        return SERVICES.links.sign(clip_path(row.id, file), tenant_id=row.tenant_id)

    return ClipModel(
        id=row.id,
        status=ClipStatus(row.status),
        start=row.start,
        end=row.start + row.duration,
        duration=row.duration,
        url=url("download", exists=ready),
        thumbnail_url=url("thumbnail", exists=ready and row.thumbnail_key is not None),
        ready_at=row.ready_at,
        width=row.width,
        height=row.height,
        size=row.size,
    )


def model(row: HighlightRow, clip: ClipRow | None) -> HighlightModel:
    """Return the model of a row, made field by field and validated."""
    return HighlightModel(
        id=row.id,
        stream_id=row.stream_id,
        status=DecisionStatus(row.status),
        tier=Tier(row.tier),
        start=row.start,
        peak=row.peak,
        end=row.end,
        score=row.score,
        dimensions=Dimensions(**{name: getattr(row, name) for name in DIMENSIONS}),
        confidence=row.confidence,
        title=headline(row.title, game=row.game, tags=row.tags, peak=row.peak),
        description=row.description,
        tags=row.tags,
        reasons=[Reason.model_validate(reason) for reason in row.reasons],
        evidence=[Evidence.model_validate(evidence) for evidence in row.evidence],
        state=None if row.match_state is None else MatchState.model_validate(row.match_state),
        game=row.game,
        profile=ProfileRef(id=row.profile_id, version=row.profile_version),
        peak_wall_clock=row.peak_wall_clock,
        clip=None if clip is None else clip_model(clip),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@given(st.lists(st.tuples(HIGHLIGHTS, st.none() | CLIPS), max_size=2), st.none() | st.text())
def test_a_page_is_what_its_model_would_write(
    shown: list[tuple[HighlightRow, ClipRow | None]], cursor: str | None
) -> None:
    with patch("time.time", return_value=NOW):
        documents = [document_of(row, clip, SERVICES) for row, clip in shown]
        models = [model(row, clip) for row, clip in shown]
    written = bytes(page_response(documents, next_cursor=cursor).body)
    assert written == Page(data=models, next_cursor=cursor).model_dump_json().encode()


@given(HIGHLIGHTS, st.none() | CLIPS)
def test_one_highlight_is_what_its_row_says(row: HighlightRow, clip: ClipRow | None) -> None:
    with patch("time.time", return_value=NOW):
        made, expected = HighlightModel.of(row, clip, SERVICES), model(row, clip)
    assert made.model_dump_json() == expected.model_dump_json()
