"""Highlights are shown from any row that the tables may hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.sql.elements import KeyedColumnElement

from api.highlights.schemas import HighlightModel
from api.services import Services
from domain.analysis.screen import MatchState
from domain.clips.models import ClipStatus
from domain.highlights.candidate import Evidence, LocalizedTitle
from domain.highlights.moderation import Moderation
from domain.highlights.publication import PublicationPolicy, Release, ReviewStatus
from domain.highlights.selection import DecisionStatus, Reason, Tier
from domain.model import Model
from domain.score import DIMENSIONS
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import HighlightRow
from infra.db.tables import Clip, Highlight
from infra.storage.signed_urls import ClipLinks, UrlSigner

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


def _stored(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json")


OWN: dict[str, st.SearchStrategy[Any]] = {
    "reasons": st.lists(REASONS, max_size=3),
    "evidence": st.lists(st.builds(Evidence).map(Evidence.model_dump), max_size=3),
    "tags": st.lists(st.text(), max_size=3),
    "corrections": st.just([]),
    "match_state": STATES,
    "titles": st.lists(st.builds(LocalizedTitle).map(_stored), max_size=3),
    "moderation": st.builds(Moderation).map(_stored),
    "policy": st.builds(PublicationPolicy).map(PublicationPolicy.stated),
    "release": st.builds(Release, at=st.datetimes(timezones=st.just(UTC))).map(_stored),
    "review": st.sampled_from([status.value for status in ReviewStatus]),
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


@given(HIGHLIGHTS, st.none() | CLIPS)
def test_any_row_can_be_shown(row: HighlightRow, clip: ClipRow | None) -> None:
    shown = json.loads(HighlightModel.of(row, clip, SERVICES).model_dump_json())
    assert (shown["id"], shown["status"]) == (str(row.id), row.status)
    assert [reason["words"] for reason in shown["reasons"]] == [
        reason["words"] for reason in row.reasons
    ]
    assert shown["dimensions"].keys() == set(DIMENSIONS)
    if clip is not None:
        is_ready = clip.status == ClipStatus.READY and clip.key is not None
        assert (shown["clip"]["url"] is not None) == is_ready
        has_thumbnail = is_ready and clip.thumbnail_key is not None
        assert (shown["clip"]["thumbnail_url"] is not None) == has_thumbnail


@given(HIGHLIGHTS)
def test_a_reason_stored_before_a_field_existed_has_its_default(row: HighlightRow) -> None:
    old = row._replace(reasons=[{"code": "score", "words": "Scored 0.9."}])
    (reason,) = HighlightModel.of(old, None, SERVICES).reasons
    assert reason == Reason(code="score", words="Scored 0.9.")
