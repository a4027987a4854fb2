"""Small media files made on the spot, for tests of whatever reads media."""

from __future__ import annotations

import subprocess
from pathlib import Path

from demo.ffmpeg import ffmpeg_path


def make_video(
    path: Path,
    *,
    seconds: float = 6.0,
    size: str = "320x180",
    rate: str = "25",
    keyframe_interval: float = 2.0,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    video: bool = True,
    audio: bool = True,
    options: tuple[str, ...] = (),
) -> Path:
    """Write a test picture with a running clock and a tone; `options` go before the output."""
    command = [ffmpeg_path(), *["-hide_banner", "-nostdin", "-loglevel", "error", "-y"]]
    if video:
        command += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]
    if audio:
        command += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={seconds}"]
    if video:
        command += ["-c:v", video_codec, "-pix_fmt", "yuv420p"]
        command += ["-force_key_frames", f"expr:gte(t,n_forced*{keyframe_interval})"]
        if video_codec == "libx264":
            command += [*["-preset", "ultrafast", "-sc_threshold", "0", "-g", "1000"]]
    if audio:
        command += ["-c:a", audio_codec]
    subprocess.run([*command, *options, str(path)], check=True, timeout=60)
    return path
