"""Does a clip play? Found out by decoding all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av

from demo.ffmpeg import ffmpeg_path

#: Clips may differ from their announced length by a few frames of picture and of sound.
DURATION_TOLERANCE = 0.5

_DECODE_TIMEOUT = 120.0


async def playback_problem(clip: Path, *, duration: float, video: bool, audio: bool) -> str | None:
    """Decode a clip and return what is wrong with it, or None when it plays.

    Args:
        clip: the file.
        duration: seconds that it should last.
        video: whether its source has pictures.
        audio: whether its source has sound.
    """
    try:
        problem = await asyncio.to_thread(_describe_problem, clip, duration, video, audio)
    except (av.FFmpegError, OSError) as error:
        return f"it cannot be opened ({error})"
    return problem or await _decoding_problem(clip)


def _describe_problem(clip: Path, duration: float, video: bool, audio: bool) -> str | None:  # noqa: FBT001
    with av.open(str(clip)) as container:
        seconds = (container.duration or 0) / av.time_base
        has_video, has_audio = bool(container.streams.video), bool(container.streams.audio)
    if abs(seconds - duration) > DURATION_TOLERANCE:
        return f"it lasts {seconds:.2f} s instead of {duration:.2f} s"
    if has_video != video:
        return "it has no picture" if video else "it has a picture that its source has not"
    if has_audio != audio:
        return "it has no sound" if audio else "it has sound that its source has not"
    return None


async def _decoding_problem(clip: Path) -> str | None:
    process = await asyncio.create_subprocess_exec(
        ffmpeg_path(),
        *("-nostdin", "-v", "error", "-xerror", "-i", str(clip)),
        # In ticks of a frame's length, two frames that lie between two ticks become one time.
        *("-enc_time_base", "demux", "-f", "null", "-"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_DECODE_TIMEOUT):
            _, errors = await process.communicate()
    except TimeoutError:
        return f"decoding it took longer than {_DECODE_TIMEOUT:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or errors.strip():
        return errors.decode(errors="replace").strip() or f"ffmpeg exited with {process.returncode}"
    return None
