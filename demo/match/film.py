"""Encodes a match with ffmpeg: H.264 and AAC in MP4, a keyframe every two seconds."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, cast

from demo.errors import MatchError
from demo.ffmpeg import ffmpeg_path
from demo.match.camera import Camera
from demo.match.crowd import RATE
from demo.match.image import HEIGHT, WIDTH
from demo.match.play import FRAMES_PER_SECOND
from demo.match.script import Script
from demo.match.sound import render_sound

KEYFRAME_INTERVAL: Final = 2.0
"""Seconds, the length of a 100ms HLS segment, so that segments can be cut without encoding."""

SIZE: Final = (1280, 720)
"""Width and height of the video in pixels."""

_PROGRESS_EVERY: Final = 50  # frames


def encode(
    script: Script,
    target: Path,
    *,
    size: tuple[int, int] = SIZE,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Render the script into `target`, telling the finished share in [0, 1].

    Raises:
        MatchError: ffmpeg failed; its last words are in the message.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        sound = Path(folder) / "sound.f32"
        sound.write_bytes(render_sound(script).tobytes())
        with (Path(folder) / "ffmpeg.log").open("w+b") as log:
            _feed(script, _command(sound, target, size), log.fileno(), progress)
            if not target.exists():
                log.seek(0)
                words = log.read().decode(errors="replace").strip()[-600:]
                raise MatchError(f"ffmpeg could not encode the scripted match: {words}")


def _feed(script: Script, command: list[str], log: int, progress: Callable[[float], None]) -> None:
    """Pipe the frames into ffmpeg; a failed run leaves no target behind."""
    target = Path(command[-1])
    total = int(script.truth.duration * FRAMES_PER_SECOND)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        with process:
            for number, frame in enumerate(Camera(script).frames()):
                cast("IO[bytes]", process.stdin).write(frame)
                if number % _PROGRESS_EVERY == 0:
                    progress(number / total)
    except BrokenPipeError:
        pass  # ffmpeg has died: its own words say why
    except BaseException:
        process.kill()
        target.unlink(missing_ok=True)
        raise
    if process.returncode != 0:
        target.unlink(missing_ok=True)
    else:
        progress(1.0)


def _command(sound: Path, target: Path, size: tuple[int, int]) -> list[str]:
    frames = int(KEYFRAME_INTERVAL * FRAMES_PER_SECOND)
    return [
        ffmpeg_path(), "-hide_banner", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}",
        "-r", str(FRAMES_PER_SECOND), "-thread_queue_size", "64", "-i", "pipe:0",
        "-f", "f32le", "-ar", str(RATE), "-ac", "2", "-i", str(sound),
        "-map", "0:v", "-map", "1:a",
        "-vf", f"scale={size[0]}:{size[1]}:flags=fast_bilinear",
        "-c:v", "libx264", "-preset", "ultrafast",
        "-crf", "25", "-maxrate", "1500k", "-bufsize", "3000k",
        "-g", str(frames), "-keyint_min", str(frames), "-sc_threshold", "0",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
        "-c:a", "aac", "-b:a", "128k",
        "-movflags", "+faststart", "-f", "mp4", str(target),
    ]  # fmt: skip
