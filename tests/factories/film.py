"""Film that tells its own time: each picture carries its number, each second begins with a beep."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from demo.ffmpeg import ffmpeg_path
from infra.media.concat import SourceFile
from infra.media.probe import probe

RATE = 25
FRAME = 1 / RATE
_BITS = 10
_BEEP = 0.1
_LOUD = 0.1


class Picture(NamedTuple):
    """A decoded picture: seconds into the clip, and its number in the film."""

    at: float
    number: int


def film(
    path: Path,
    *,
    seconds: float = 10.0,
    size: str = "320x180",
    video: bool = True,
    audio: bool = True,
    first: int = 0,
    options: Sequence[str] = (),
) -> Path:
    """Write a film whose first picture has the number `first`; `options` go before the output."""
    bars = f"if(mod(floor((N+{first})/pow(2,floor(X*{_BITS}/W))),2),235,16)"
    picture = (
        f"color=black:size={size}:rate={RATE}:duration={seconds},geq=lum='{bars}':cb=128:cr=128"
    )
    at = f"(t+{first / RATE})"
    beep = f"aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod({at}\\,1)\\,{_BEEP}):s=48000:d={seconds}"
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-y"]
    if video:
        command += ["-f", "lavfi", "-i", picture]
    if audio:
        command += ["-f", "lavfi", "-i", beep]
    if video:
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "2"]
        command += ["-force_key_frames", "expr:gte(t,n_forced*2)", "-sc_threshold", "0"]
    if audio:
        command += ["-c:a", "aac"]
    subprocess.run([*command, *options, str(path)], check=True, timeout=60)
    return path


def segments(
    source: Path, folder: Path, *, name: str = "part", options: Sequence[str] = ()
) -> list[Path]:
    """Cut a film into MPEG-TS segments of two seconds, as a packager does."""
    folder.mkdir(exist_ok=True)
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(source), "-c", "copy"]
    command += [*options, "-f", "segment", "-segment_time", "2", str(folder / f"{name}%03d.ts")]
    subprocess.run(command, check=True, timeout=60)
    return sorted(folder.glob(f"{name}*.ts"))


def sources(paths: Sequence[Path]) -> tuple[SourceFile, ...]:
    """Place segments one after the other, as ingest does."""
    found = []
    position = 0.0
    for path in paths:
        facts = probe(str(path))
        found.append(SourceFile(path=path, first_timestamp=facts.first_timestamp, start=position))
        position += facts.duration
    return tuple(found)


def pictures(clip: Path) -> list[Picture]:
    """Decode a clip and read the number of each picture."""
    with av.open(str(clip)) as container:
        return [
            Picture(at=float(frame.time or 0.0), number=_number(frame))
            for frame in container.decode(video=0)
        ]


def beeps(clip: Path) -> list[float]:
    """Return when each beep of a clip begins (s), as a player would hear it."""
    begins: list[float] = []
    last_loud = -1.0
    with av.open(str(clip)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()[0])
            for place in np.flatnonzero(samples > _LOUD):
                at = float(frame.time or 0.0) + place / frame.sample_rate
                if at - last_loud > _BEEP:
                    begins.append(at)
                last_loud = at
    return begins


def number_in(row: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    """Read a picture's number off one of its rows of gray."""
    middles = [int((bit + 0.5) * len(row) / _BITS) for bit in range(_BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[x] > 128)


def _number(frame: av.VideoFrame) -> int:
    return number_in(frame.to_ndarray(format="gray").astype(np.uint8)[frame.height // 2])
