"""Where everyone is: the ball, the players and the camera, frame by frame."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo.match.script import Script, strongest
from demo.match.sport import SPORTS

FRAMES_PER_SECOND: Final = 25

Track = NDArray[np.float64]


class Play:
    """Positions in [0, 1] of the field's length (x) and width (y), by frame."""

    def __init__(self, script: Script) -> None:
        rng = np.random.default_rng([script.truth.seed, 4])
        frames = int(script.truth.duration * FRAMES_PER_SECOND) + 1
        times = np.arange(frames) / FRAMES_PER_SECOND
        self.activity = np.where((active := strongest(script.activity, times)) > 0, active, 1.0)
        self.crowd = strongest(script.crowd, times)
        when, x, y = (np.array(column) for column in zip(*script.ball, strict=True))
        self.ball = np.stack(
            [_smooth(np.interp(times, when, x), 9), _smooth(np.interp(times, when, y), 9)], 1
        )
        self.camera = _smooth(self.ball[:, 0], 19)
        self.players = self._run(script, rng, times)
        self.strides = np.cumsum(self.activity) * (3.2 / FRAMES_PER_SECOND)

    def _run(self, script: Script, rng: np.random.Generator, times: Track) -> Track:
        """Return (frames, players, 2): a formation that follows the ball, each on his own way."""
        each = SPORTS[script.truth.kind].players
        count = 2 * each
        home = np.stack([rng.uniform(0.08, 0.92, count), rng.uniform(0.08, 0.95, count)], 1)
        progress = np.cumsum(self.activity) / FRAMES_PER_SECOND
        roam = rng.uniform(0.25, 0.7, (1, count, 2))
        wander = np.sin(progress[:, None, None] * roam * 2 + rng.uniform(0, 6.3, (1, count, 2)))
        drawn = _smooth(self.ball[:, 0], 51)[:, None] - 0.5
        places = np.empty((len(times), count, 2))
        # The players near the ball follow it; the others keep their line.
        eager = rng.uniform(0.25, 0.75, count)
        places[..., 0] = home[:, 0] + drawn * eager + 0.035 * wander[..., 0]
        places[..., 1] = home[:, 1] + 0.05 * wander[..., 1]
        return np.clip(places, 0.02, 0.98)


def _smooth(track: Track, width: int) -> Track:
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(track, width // 2, mode="edge")
    return np.asarray(np.convolve(padded, window / window.sum(), mode="valid"))
