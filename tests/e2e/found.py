"""What was found of a scripted match: every moment once, with one clip that plays."""

from __future__ import annotations

from pathlib import Path

from api.highlights.schemas import HighlightModel
from demo.match import Match
from demo.match.script import Truth
from demo.playback import playback_problem
from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from tests.e2e.conftest import Stack
from tests.e2e.tenant import Tenant


def wanted(highlights: list[HighlightModel]) -> list[HighlightModel]:
    hidden = {DecisionStatus.RETRACTED, DecisionStatus.REJECTED, DecisionStatus.HELD}
    return [highlight for highlight in highlights if highlight.status not in hidden]


def assert_each_moment_is_found_once(highlights: list[HighlightModel], match: Match) -> None:
    truth = Truth.model_validate_json(match.truth.read_text())
    assert len(highlights) == len(truth.moments)
    for moment, highlight in zip(truth.moments, highlights, strict=True):
        assert moment.start < highlight.peak < moment.end


def clip_files(stack: Stack, stream_id: str) -> set[str]:
    return {path.stem for path in Path(stack.running.clips).glob(f"*/{stream_id}/*.mp4")}


async def assert_clip_plays(highlight: HighlightModel, tenant: Tenant, directory: Path) -> None:
    clip = highlight.clip
    assert clip is not None
    assert (clip.status, clip.url is None) == (ClipStatus.READY, False)
    path = directory / f"{clip.id}.mp4"
    path.write_bytes(await tenant.download(clip.url or ""))
    assert await playback_problem(path, duration=clip.duration, video=True, audio=True) is None
