"""Everything measured on a video once, kept outside the checkout, so that it can be judged often.

What is kept is named after the video's content, the code that measured it and the versions of the
tools: a change of any of them repeats the measurement.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

import benchmarks.quality.packaging
import benchmarks.quality.signals
import benchmarks.quality.tools
import demo.origin.packager
import domain.analysis.screen
import domain.analysis.signals
import infra.media.screen.detection
import infra.media.screen.lines
import infra.media.screen.models
import infra.media.screen.reader
import infra.media.screen.recognition
import infra.media.screen.regions
import infra.media.signals
from benchmarks.quality.packaging import package_windows
from benchmarks.quality.signals import Curve, cuts, level
from benchmarks.quality.tools import TOOLS, installed
from demo.origin.source import Source, probe
from domain.analysis.signals import SegmentSignals
from domain.media.segments import Window
from domain.profiles.model import Hud
from infra.media.signals import SegmentFile, measure_segments

_MEASURING: Final = (
    benchmarks.quality.packaging,
    benchmarks.quality.signals,
    benchmarks.quality.tools,
    demo.origin.packager,
    domain.analysis.signals,
    infra.media.signals,
)
_READING: Final = (
    domain.analysis.screen,
    infra.media.screen.detection,
    infra.media.screen.lines,
    infra.media.screen.models,
    infra.media.screen.reader,
    infra.media.screen.recognition,
    infra.media.screen.regions,
)
_CHUNK: Final = 1 << 20


class Measurements(BaseModel):
    """What was measured on one video.

    Attributes:
        duration: seconds.
        windows: as ingest would have stored them.
        signals: of the windows' segments in order, None where nothing could be decoded.
        curves: by simple method, on a grid of a quarter of a second; a method is absent where the
            video lacks what it needs, or the tool is not installed.
        cpu_seconds: CPU time that the product's signals cost, when they were measured.
    """

    model_config = ConfigDict(frozen=True)

    duration: float
    windows: tuple[Window, ...]
    signals: tuple[SegmentSignals | None, ...]
    curves: dict[str, tuple[float, ...]]
    cpu_seconds: float


def measure(
    video: Path, *, home: Path, fresh: bool = False, hud: Hud | None = None
) -> Measurements:
    """Return what was measured on this video, measured now if that is not yet kept in `home`.

    Args:
        video: the file.
        home: the state directory; measurements are kept in its `quality/`.
        fresh: repeat the measurement in any case.
        hud: where to read the screen; None reads nothing. Only its regions and `learn` matter:
            what the text means is decided later.

    Raises:
        UnusableInputError: it is missing, is no media, or has neither picture nor sound.
        PackagingError: ffmpeg could not read it.
    """
    source = probe(video)
    kept = home / "quality" / f"{_digest(video, hud)}.json"
    if not fresh:
        try:
            return Measurements.model_validate_json(kept.read_bytes())
        except (FileNotFoundError, ValidationError):
            pass  # never measured, or written by something else
    measured = _measure(source, hud)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as partial:
        partial.write(measured.model_dump_json().encode())
    Path(partial.name).rename(kept)
    return measured


def _measure(source: Source, hud: Hud | None) -> Measurements:
    with tempfile.TemporaryDirectory(prefix="quality-") as made:
        folder = Path(made)
        stream = package_windows(source.path, folder)
        files = tuple(
            SegmentFile(
                path=folder / segment.key,
                start=segment.start,
                duration=segment.duration,
                first_timestamp=segment.first_timestamp,
            )
            for window in stream
            for segment in window.segments
        )
        began = time.process_time()
        signals = measure_segments(files, hud)
        spent = time.process_time() - began
    return Measurements(
        duration=stream[-1].end,
        windows=tuple(stream),
        signals=signals,
        curves={name: tuple(map(float, curve(source.path))) for name, curve in _curves(source)},
        cpu_seconds=spent,
    )


def _curves(source: Source) -> list[tuple[str, Callable[[Path], Curve]]]:
    tools = installed()
    heard: list[tuple[str, Callable[[Path], Curve]]] = [("loudness peaks", level)]
    seen: list[tuple[str, Callable[[Path], Curve]]] = [("scene-cut density", cuts)]
    for kind, name in ((heard, "librosa onsets"), (seen, "scenedetect")):
        needed, curve = TOOLS[name]
        if needed in tools:
            kind.append((name, curve))
    return [*(heard if source.audio else ()), *(seen if source.video else ())]


def _digest(video: Path, hud: Hud | None) -> str:
    """Name the video's content, the code that measures it and the tools that do."""
    digest = hashlib.sha256(repr(sorted(installed().items())).encode())
    if hud is not None:
        digest.update(hud.model_dump_json(include={"regions", "learn"}).encode())
        for module in _READING:
            digest.update(Path(module.__file__ or "").read_bytes())
    for module in _MEASURING:
        digest.update(Path(module.__file__ or "").read_bytes())
    with video.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:32]
