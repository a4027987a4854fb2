"""Names under which operators find a stream's workflows in the Temporal UI."""

from __future__ import annotations

from typing import Final

from domain.stream_input import StreamInput

_LONGEST: Final = 180
"""Bytes; the server takes 200 for a summary, and some words are put behind the title."""


def stream_title(*, tenant: str, room: str | None, title: str, game: str) -> str:
    """Return one line that names a stream: tenant, room, title; the game where it has no title."""
    parts = (" ".join(part.split()) for part in (tenant, room or "", title or game))
    line = " · ".join(part for part in parts if part)
    shown = "".join(each if each.isprintable() else "?" for each in line)
    encoded = shown.encode("utf-8", errors="replace")
    return encoded[:_LONGEST].decode("utf-8", errors="ignore")


def stream_details(request: StreamInput) -> str:
    """Return what the UI shows beside the summary, in Markdown; no URL, which may be a key."""
    lines = (
        ("Game", request.game),
        ("Profile", f"{request.profile_id} {request.profile_version}"),
        ("Tenant", request.tenant_id),
        ("Stream", request.stream_id),
        ("Correlation", request.correlation_id or ""),
    )
    shown = "\n".join(f"| {name} | `{value}` |" for name, value in lines if value)
    return f"| | |\n|---|---|\n{shown}"
