"""Why a stored highlight was decided so, in words."""

from __future__ import annotations

from domain.highlights.explanation import explain
from domain.profiles.catalog import PinnedProfile
from infra.db.repositories.highlights import candidate_of, decision_of
from infra.db.tables import Highlight


def explanation_of(row: Highlight, pinned: PinnedProfile) -> tuple[str, ...]:
    """Return sentences and rows of a table, the verdict first.

    Args:
        row: the highlight.
        pinned: the profile that it was decided by; when it is another one, the last line says so.
    """
    lines = explain(candidate_of(row), decision_of(row), pinned.profile)
    if not pinned.note:
        return lines
    return (*lines, f"The weights above may not be those it was decided by: {pinned.note}.")
