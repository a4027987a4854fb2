"""The fields that change in an ingest cursor are fields of the cursor."""

from __future__ import annotations

from domain.ingest.messages import CursorChanges, IngestCursor


def test_every_change_is_a_field_of_the_cursor() -> None:
    """A cursor ignores unknown fields, so a change that is none would be lost without an error."""
    assert CursorChanges.__annotations__.keys() <= IngestCursor.model_fields.keys()
