"""Reports and titles of streams for operators, shown in the Temporal UI (Markdown)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from domain.highlights.selection import HIDDEN, Decision, DecisionStatus
from domain.media.segments import Gap
from domain.streams.messages import StreamInput
from domain.streams.status import StreamProgress

_SHOWN = 12


_MARKS = {
    DecisionStatus.PENDING: "…",
    DecisionStatus.CONFIRMED: "✓",
    DecisionStatus.RETRACTED: "✗",
    DecisionStatus.HELD: "?",
    DecisionStatus.REJECTED: "-",
}


def clock(seconds: float) -> str:
    """Return media time as H:MM:SS, or M:SS within the first hour."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def match_report(
    *,
    game: str,
    progress: StreamProgress,
    gaps: Sequence[Gap],
    decisions: Sequence[Decision],
    name: str = "",
) -> str:
    """Return the report: status, progress, losses, and the latest highlights."""
    lines = [
        f"## {name or game}: {progress.status}",
        (
            f"**{clock(progress.position)}** stored, **{clock(progress.analyzed)}** analysed, "
            f"{progress.segments} segments, {progress.missed} missed, "
            f"{progress.highlights} highlights, {progress.clips} clips"
        ),
    ]
    if progress.refused_marks:
        lines.append(f"\n{progress.refused_marks} marks of the tenant could not be used.")
    if progress.notice:
        lines.append(f"\n{progress.notice}")
    lines += [f"\n**{problem.code}**: {problem.message}" for problem in progress.problems]
    if progress.end is not None:
        lines.append(f"\nEnded ({progress.end.reason}): {progress.end.message}")
    shown = [item for item in decisions if item.status not in HIDDEN][-_SHOWN:]
    if shown:
        lines += ["", "| at | | score | tier |", "|---|---|---|---|"]
        lines += [
            f"| {clock(item.peak)} | {_MARKS[item.status]} {item.status} | {item.score:.2f} "
            f"| {item.tier} |"
            for item in sorted(shown, key=lambda item: item.peak)
        ]
    if gaps:
        last = gaps[-1]
        lines.append(
            f"\nLast gap: {clock(last.start)}, {last.duration:.1f} s ({last.reason.value})"
        )
    return "\n".join(lines)


_LONGEST: Final = 180
"""Bytes; the server takes 200 for a summary, and some words are put behind the title."""


def stream_title(*, tenant: str, room: str | None, title: str, game: str) -> str:
    """Return a one-line title: tenant, room and title, or the game if there is no title."""
    parts = (" ".join(part.split()) for part in (tenant, room or "", title or game))
    line = " · ".join(part for part in parts if part)
    shown = "".join(each if each.isprintable() else "?" for each in line)
    encoded = shown.encode("utf-8", errors="replace")
    return encoded[:_LONGEST].decode("utf-8", errors="ignore")


def stream_details(request: StreamInput) -> str:
    """Return the details for the Temporal UI, in Markdown; no URL, since it may be a credential."""
    lines = (
        ("Game", request.game),
        ("Profile", f"{request.profile_id} {request.profile_version}"),
        ("Tenant", request.tenant_id),
        ("Stream", request.stream_id),
        ("Correlation", request.correlation_id or ""),
    )
    shown = "\n".join(f"| {name} | `{value}` |" for name, value in lines if value)
    return f"| | |\n|---|---|\n{shown}"
