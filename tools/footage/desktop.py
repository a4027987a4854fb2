"""Films programs that draw into a window: games of Debian, on a display without a screen.

The game runs on a virtual X server with software rendering. `faketime` slows its clock, so that a
slow machine renders more pictures for each second of the game instead of dropping them. Pictures
are read from the memory of the X server. Sound comes from a file that SDL writes in place of a
sound card. Lines of the game's log become events at the picture during which they were written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.footage.game import FootageError, Step, SteppedGame
from tools.footage.recorder import Format, Picture, Sound
from tools.footage.truth import Event

WIDTH: Final = 1280
HEIGHT: Final = 720
_FPS: Final = 30
_CHANNELS: Final = 2
_GAMES: Final = ("/usr/games", "/usr/lib/hedgewars/bin")
"""Where Debian puts games; they are not on the PATH of root."""
_SOUND_BLOCK: Final = 5
"""Seconds of film whose sound is stretched to its exact length together."""
_DISPLAY_SECONDS: Final = 30.0
_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2
_MOST_LATE: Final = 1.0
"""Seconds of the game's clock that filming may be late; later, pictures show another second."""
_STOP_SECONDS: Final = 10.0


class Launch(NamedTuple):
    """How to run a game in a separate folder.

    Attributes:
        command: program and arguments.
        log: the file in which the game writes what happens; it need not exist yet.
        environment: variables besides those of every desktop game.
    """

    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = {}


class Key(NamedTuple):
    """A key to press, by its X name, after waiting in seconds of the game's clock."""

    after: float
    name: str


class DesktopGame(SteppedGame):
    """A game with a window; a subclass says how to start it and what its log means.

    Attributes:
        packages: Debian packages that the game needs.
        programs: programs that show whether they are installed.
        speed: seconds of the game's clock per second of real time.
        rate: samples per second that the game asks its sound card for.
        chunk: samples that the game hands over at a time.
        keys: what is pressed to get from the start of the program into a match.
        begins: what the log says when a match has begun.
    """

    packages: ClassVar[tuple[str, ...]]
    programs: ClassVar[tuple[str, ...]]
    speed: float = 0.4
    rate: ClassVar[int]
    chunk: ClassVar[int]
    keys: ClassVar[tuple[Key, ...]] = ()
    begins: ClassVar[bytes]

    @abstractmethod
    def launch(self, folder: Path, seed: int) -> Launch:
        """Write the game's settings into an empty folder and return how to start it."""

    @abstractmethod
    def read(self, line: str) -> Sequence[Event]:
        """Return the events of one line of the log; their time is set by the caller."""

    def format(self) -> Format:
        return Format(width=WIDTH, height=HEIGHT, fps=_FPS, rate=self.rate, channels=_CHANNELS)

    def missing(self) -> str:
        wanted = (*self.programs, "Xvfb", "faketime", "xdotool")
        if all(_program(program) for program in wanted):
            return ""
        return f"apt-get install {' '.join((*self.packages, 'xvfb', 'faketime', 'xdotool'))}"

    def play(self, seed: int) -> Iterator[Step]:
        if install := self.missing():
            raise FootageError(f"Programs of this game are not installed. Run `{install}`.")
        with ExitStack() as exits:
            folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="footage-")))
            display = exits.enter_context(_display(folder))
            (folder / "home").mkdir()
            launch = self.launch(folder / "home", seed)
            game = exits.enter_context(self._running(launch, folder, display))
            for key in self.keys:
                time.sleep(key.after / self.speed)
                _press(display, key.name)
            self._wait_for_match(game, launch.log, folder)
            yield from self._frames(game, launch.log, folder)

    def _wait_for_match(self, game: subprocess.Popen[bytes], log: Path, folder: Path) -> None:
        until = time.monotonic() + _START_SECONDS / self.speed
        while not (log.exists() and self.begins in log.read_bytes()):
            _check_running(game, folder)
            if time.monotonic() > until:
                raise FootageError(f"No match began within {_START_SECONDS:.0f} s of the game.")
            time.sleep(_POLL_SECONDS)

    def _frames(self, game: subprocess.Popen[bytes], log: Path, folder: Path) -> Iterator[Step]:
        screen, sound, lines = _Screen(folder), _Tail(folder / "sound"), _Tail(log)
        sound.read()
        lines.read()
        began, number, fresh, rest = time.monotonic(), 0, 0, b""
        last: Picture | None = None
        heard: list[bytes] = []
        while True:
            at = number / _FPS
            early = began + at / self.speed - time.monotonic()
            if early * self.speed < -_MOST_LATE:
                raise FootageError(
                    f"This machine is too busy to film at {self.speed:g} of the game's speed. "
                    f"Try --speed {self.speed / 2:g}, or film when it is idle."
                )
            time.sleep(max(0.0, early))
            _check_running(game, folder)
            picture = screen.picture()
            fresh += last is None or not np.array_equal(picture, last)
            last = picture
            *whole, rest = (rest + lines.read()).split(b"\n")
            events = [
                event.model_copy(update={"at": at})
                for line in whole
                for event in self.read(line.decode(errors="replace").strip())
            ]
            heard.append(sound.read())
            number += 1
            block = number % (_SOUND_BLOCK * _FPS) == 0
            yield Step(picture, self._stretched(heard) if block else _SILENT, tuple(events))
            heard = [] if block else heard
            self.clock = (
                f"the game's clock ran at {self.speed:g} of real time; "
                f"{fresh / number * _FPS:.1f} new pictures per second of the film"
            )

    def _stretched(self, heard: list[bytes]) -> Sound:
        """Return the sound of a block in its exact length; SDL's file is a few percent off."""
        samples = np.frombuffer(b"".join(heard), dtype="<i2")
        frames = samples[: len(samples) // _CHANNELS * _CHANNELS].reshape(-1, _CHANNELS)
        wanted = _SOUND_BLOCK * self.rate
        if len(frames) < 2:
            return np.zeros((wanted, _CHANNELS), np.int16)
        places = np.linspace(0, len(frames) - 1, wanted)
        channels = [np.interp(places, np.arange(len(frames)), channel) for channel in frames.T]
        return np.stack(channels, axis=1).astype(np.int16)

    @contextmanager
    def _running(
        self, launch: Launch, folder: Path, display: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ,
            "HOME": str(folder / "home"),
            "DISPLAY": display,
            "PATH": _path(),
            "SDL_AUDIODRIVER": "disk",
            "SDL_DISKAUDIOFILE": str(folder / "sound"),
            "SDL_DISKAUDIODELAY": str(round(1000 * self.chunk / self.rate)),
            **launch.environment,
        }
        with (folder / "output").open("wb") as output:
            game = subprocess.Popen(
                [_program("faketime"), "-f", f"+0 x{self.speed:g}", *launch.command],
                cwd=folder / "home",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield game
            finally:
                _stop(game)


_SILENT: Final = np.zeros((0, _CHANNELS), np.int16)


class _Screen:
    """The pictures of the X server, in the file that it keeps its memory in."""

    def __init__(self, folder: Path) -> None:
        path = folder / "Xvfb_screen0"
        size = WIDTH * HEIGHT * 4
        self._memory: NDArray[np.uint8] = np.memmap(
            path, np.uint8, "r", offset=path.stat().st_size - size, shape=(HEIGHT, WIDTH, 4)
        )

    def picture(self) -> Picture:
        """Return a copy of what is shown now."""
        return np.ascontiguousarray(self._memory[:, :, 2::-1])


class _Tail:
    """What is appended to a file that may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def read(self) -> bytes:
        """Return what is new since the last call."""
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        return new


@contextmanager
def _display(folder: Path) -> Iterator[str]:
    """Run an X server whose memory is a file in `folder`, and yield its name."""
    reading, writing = os.pipe()
    size = f"{WIDTH}x{HEIGHT}x24"
    with (folder / "xvfb").open("wb") as output:
        server = subprocess.Popen(
            [
                *(_program("Xvfb"), "-displayfd", str(writing), "-screen", "0", size),
                *("-fbdir", str(folder), "-nolisten", "tcp", "-noreset"),
            ],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as number:
            name = number.readline().strip().decode()
        if not name:
            said = (folder / "xvfb").read_text(errors="replace").strip()[-400:]
            raise FootageError(f"The X server did not start: {said}")
        yield f":{name}"
    finally:
        _stop(server)


def _check_running(game: subprocess.Popen[bytes], folder: Path) -> None:
    """Raise FootageError, with the last that the game said, if it has ended."""
    if game.poll() is not None:
        said = (folder / "output").read_text(errors="replace").strip()[-400:]
        raise FootageError(f"The game has ended, with status {game.returncode}: {said}")


def _press(display: str, key: str) -> None:
    """Press a key, with the pointer out of the picture.

    Raises:
        FootageError: the X server does not answer.
    """
    corner = ("mousemove", str(WIDTH), str(HEIGHT))
    done = subprocess.run(
        [_program("xdotool"), *corner, "key", "--delay", "120", key],
        env={**os.environ, "DISPLAY": display},
        check=False,
        capture_output=True,
        timeout=_DISPLAY_SECONDS,
    )
    if done.returncode:
        raise FootageError(f"The key {key} could not be pressed: {done.stderr.decode()[-200:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, which share its group."""
    if process.poll() is None:
        os.killpg(process.pid, 15)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _program(name: str) -> str:
    """Return the path of a program, or nothing if it is not installed."""
    return shutil.which(name, path=_path()) or ""


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *_GAMES))
