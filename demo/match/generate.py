"""The scripted match on disk: made once for each seed and generator, then kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from demo.match.direct import MEAN_SPACING, write_script
from demo.match.film import encode
from demo.model import Model

GENERATOR_VERSION: Final = 3
"""To be raised with every change that alters a match, since finished ones are kept."""
DURATION: Final = 300.0
"""Seconds of a match, unless another length is asked for."""


class Match(Model):
    """A finished match: the video (MP4) and its ground truth (JSON, `Truth`)."""

    video: Path
    truth: Path
    seed: int

    @property
    def is_made(self) -> bool:
        """True if it is on disk."""
        return self.video.parent.is_dir()


def find_match(
    home: Path,
    *,
    seed: int,
    duration: float = DURATION,
    kind: str = "soccer",
    spacing: float = MEAN_SPACING,
) -> Match:
    """Return where the match of this seed lies in `home/match`, made or not."""
    density = "" if spacing == MEAN_SPACING else f"-every{spacing:g}"
    folder = home / "match" / f"{kind}-{seed}-{duration:g}{density}-v{GENERATOR_VERSION}"
    return Match(video=folder / "match.mp4", truth=folder / "truth.json", seed=seed)


def ensure_match(
    home: Path,
    *,
    seed: int,
    duration: float = DURATION,
    kind: str = "soccer",
    spacing: float = MEAN_SPACING,
    progress: Callable[[float], None] = lambda _: None,
) -> Match:
    """Return the match of this seed, made now if it is not yet in `home/match`.

    Args:
        home: the state directory.
        seed: chooses the match.
        duration: seconds of video.
        kind: soccer, basketball or esports.
        spacing: seconds from one true moment to the next, on average.
        progress: told the finished share in [0, 1].

    Raises:
        ValueError: the kind is unknown, the duration too short or the spacing too small.
        MatchError: ffmpeg failed.
    """
    match = find_match(home, seed=seed, duration=duration, kind=kind, spacing=spacing)
    folder = match.video.parent
    if match.is_made:
        return match
    script = write_script(seed=seed, duration=duration, kind=kind, spacing=spacing)
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        encode(script, making / match.video.name, progress=progress)
        text = script.truth.model_dump_json(indent=2)
        (making / match.truth.name).write_text(text + "\n", encoding="utf-8")
        making.chmod(0o755)
        try:
            making.rename(folder)
        except OSError:
            # Someone else has finished the same match meanwhile: it is the same, so use theirs.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return match
