"""Small media files made on the spot, for tests of whatever reads media."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from demo.ffmpeg import ffmpeg_path

FRAGMENTED: Final = ("-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
_TS_PACKET: Final = 188


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


def restamp(data: bytes, change: Callable[[int, int], int]) -> bytes:
    """Return a transport stream whose pictures have other timestamps.

    `change` gets a picture's number in the order of decoding and one of its timestamps (PTS, or
    DTS where it has one, in ticks of 90 kHz), and returns the new one.
    """
    changed, number = bytearray(data), -1
    for at in range(0, len(changed) - _TS_PACKET + 1, _TS_PACKET):
        if not changed[at + 1] & 0x40:  # no start of a PES packet
            continue
        payload = at + 4
        if changed[at + 3] & 0x20:
            payload += 1 + changed[payload]
        if changed[payload : payload + 3] != b"\x00\x00\x01" or changed[payload + 3] & 0xF0 != 0xE0:
            continue
        number += 1
        flags = changed[payload + 7] >> 6
        for index in range({0b10: 1, 0b11: 2}.get(flags, 0)):
            place = payload + 9 + 5 * index
            field = int.from_bytes(changed[place : place + 5], "big")
            ticks = (field >> 3 & 0x7 << 30) | (field >> 2 & 0x7FFF << 15) | (field >> 1 & 0x7FFF)
            ticks = change(number, ticks) % (1 << 33)
            packed = (ticks >> 30) << 33 | (ticks >> 15 & 0x7FFF) << 17 | (ticks & 0x7FFF) << 1
            packed |= field & 0xF0_0001_0001 | 1
            changed[place : place + 5] = packed.to_bytes(5, "big")
    return bytes(changed)


def damage(data: bytes, dice: random.Random) -> bytes:
    """Return media as bad transport leaves it: bits flipped, parts missing, the end cut off."""
    damaged = bytearray(data)
    for _ in range(dice.choice([1, 5, 30, 200, 2000])):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    match dice.randrange(3):
        case 0:
            del damaged[dice.randrange(1, len(damaged)) :]
        case 1:
            start = dice.randrange(len(damaged))
            del damaged[start : start + dice.randrange(1, 4000)]
    return bytes(damaged)
