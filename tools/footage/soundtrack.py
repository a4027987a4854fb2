"""Lays a crowd and a commentator over a dressed copy.

The crowd is from recordings of people in Debian's `etw-data` and `freetennis-common`; we did not
make them. The commentator is synthetic speech by `espeak-ng`; there are no recordings of any.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.footage.game import FootageError
from tools.footage.recorder import read_samples
from tools.footage.truth import Truth

RATE: Final = 48_000
_WHISTLE: Final = Path("/usr/share/games/etw")
_TENNIS: Final = Path("/usr/share/sounds/freetennis-common/sfx")
_BED: Final = _WHISTLE / "snd/fondo.wav"
_CHEERS: Final = (_WHISTLE / "snd/crowd.wav", _TENNIS / "pubblico.wav")
_CHANTS: Final = tuple(_WHISTLE / f"crowd/crowd{number:02}.wav" for number in (1, 3, 5, 8, 13))
_BED_VOLUME: Final = 0.25
_CALM_SPEED: Final = 150
_EXCITED_SPEED: Final = 230
"""Words per minute."""


class Cue(NamedTuple):
    """A recording, or a line to speak, at a second of the copy, with a volume in (0, 1]."""

    at: float
    sound: Path | str
    volume: float
    excited: bool = False


def plan_crowd(truth: Truth, duration: float, seed: int) -> Iterator[Cue]:
    """Yield what the crowd does in a copy whose truth this is.

    Most moments are cheered, a little late; so are some seconds in which nothing happens.
    """
    chance = random.Random(f"crowd {seed}")  # noqa: S311
    for moment in truth.moments:
        if chance.random() < 0.85:
            late, loud = chance.uniform(0.3, 1.2), 0.5 + 0.5 * moment.weight
            yield Cue(moment.peak + late, chance.choice(_CHEERS), loud)
    for _ in range(round(duration / 120)):
        yield Cue(chance.uniform(0, duration), chance.choice(_CHEERS), chance.uniform(0.3, 0.9))
    for _ in range(round(duration / 60)):
        yield Cue(chance.uniform(0, duration), chance.choice(_CHANTS), chance.uniform(0.05, 0.2))


class Commentator(NamedTuple):
    """Who speaks: a voice of espeak-ng, and lines for calm and exciting seconds."""

    voice: str
    calm: tuple[str, ...]
    excited: tuple[str, ...]


def plan_commentary(
    truth: Truth, duration: float, commentator: Commentator, seed: int
) -> Iterator[Cue]:
    """Yield what the commentator says: calm lines throughout, and most moments with excitement."""
    chance = random.Random(f"voice {seed}")  # noqa: S311
    spoken = [moment.peak + chance.uniform(0.5, 2) for moment in truth.moments]
    for at in spoken:
        if chance.random() < 0.85:
            yield Cue(at, chance.choice(commentator.excited), 0.9, excited=True)
    at = chance.uniform(2, 10)
    while at < duration:
        if not any(abs(at - other) < 4 for other in spoken):
            yield Cue(at, chance.choice(commentator.calm), 0.6)
        at += chance.uniform(8, 25)


def missing(*, crowd: bool, voice: bool) -> str:
    """Return what to install before these can be laid over a film, or nothing."""
    recordings = (_BED, *_CHEERS, *_CHANTS)
    needed = []
    if crowd and not all(path.exists() for path in recordings):
        needed += ["etw-data", "freetennis-common"]
    if voice and not shutil.which("espeak-ng"):
        needed.append("espeak-ng")
    return f"apt-get install {' '.join(needed)}" if needed else ""


def mix(
    cues: Sequence[Cue],
    duration: float,
    *,
    bed: bool,
    voice: str,
    silent: Sequence[tuple[float, float]],
) -> NDArray[np.int16]:
    """Return one channel of `duration` seconds at `RATE`; `silent` stretches have no sound.

    Raises:
        FootageError: the speech program failed.
        RecordingError: ffmpeg could not read a recording.
    """
    track = np.zeros(round(duration * RATE), np.float32)
    sounds: dict[tuple[Path | str, bool], NDArray[np.float32]] = {}
    if bed:
        track += np.resize(_BED_VOLUME * read_samples(_BED, RATE), track.shape)
    for cue in cues:
        key = (cue.sound, cue.excited)
        if key not in sounds:
            sound: Path | str | bytes = cue.sound
            if isinstance(sound, str):
                sound = _speak(sound, voice, excited=cue.excited)
            sounds[key] = read_samples(sound, RATE)
        first = round(cue.at * RATE)
        heard = sounds[key][: max(0, len(track) - first)]
        track[first : first + len(heard)] += cue.volume * heard
    for start, end in silent:
        track[round(start * RATE) : round(end * RATE)] = 0
    return (np.clip(track, -1, 1) * 32_767).astype(np.int16)


def _speak(line: str, voice: str, *, excited: bool) -> bytes:
    """Return a spoken line as a WAV file."""
    speed, pitch = (_EXCITED_SPEED, 75) if excited else (_CALM_SPEED, 45)
    program = shutil.which("espeak-ng") or "espeak-ng"
    spoken = subprocess.run(
        [program, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", line],
        check=False,
        capture_output=True,
    )
    if spoken.returncode:
        raise FootageError(f"espeak-ng failed: {spoken.stderr.decode(errors='replace')[-200:]}")
    return spoken.stdout
