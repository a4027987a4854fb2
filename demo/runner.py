"""`make demo`: a live stream in, highlight clips out, compared with the truth."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from rich.console import Console

from demo.display import Display
from demo.errors import DemoError, FilmError, UnusableInputError, UnusableTruthError
from demo.feed import DelayedFeed
from demo.film import GameFilm, find_film
from demo.follow import Follower, clip_name
from demo.match.generate import DURATION as MATCH_DURATION
from demo.match.generate import ensure_match, find_match
from demo.match.sport import SPORTS
from demo.options import DEFAULT_SEED, INPUT_PACE, DemoOptions
from demo.origin import LiveOrigin, OriginOptions
from demo.origin.source import probe
from demo.plan import DemoPlan
from demo.playback import playback_problem
from demo.report import FoundHighlight, Report, SegmentCount, write_report
from demo.stack import Ready, Stack
from demo.truth import Span, Truth, compare, read_truth
from tldrtv_highlights import ApiError, AsyncHighlightsClient, HighlightsError
from tldrtv_highlights.models import Highlight, Stream

__all__ = ["DemoOptions", "run_demo"]

_INTERRUPTIONS: Final = (signal.SIGINT, signal.SIGTERM)
_BAD_REQUEST: Final = 2
_FORBIDDEN: Final = 403
_REQUEST_TIMEOUT: Final = 60.0
_BUSY_INTERVAL: Final = 0.5
_DEFAULT_MATCH: Final = "soccer"
_FILM_MINUTES: Final = 4.0
# Encoding the lower qualities takes 12 % of a core at real time, half a core at four times that.
_LADDER_PACE: Final = 2.0
_SIGN_IN_LIFETIME: Final = timedelta(hours=1)


async def run_demo(options: DemoOptions) -> int:
    """Run the demo and return its exit code.

    0: clips were made and all of them play; 1: none were made, or something failed;
    2: the input, film or truth file cannot be used; 128 + the signal: stopped by SIGINT (Ctrl-C)
    or SIGTERM. Whatever the code, everything is stopped again.
    """
    demo = _Demo(options, Display(Console(highlight=False)))
    interruption = _Interruption()
    try:
        with interruption:
            return await demo.run()
    except asyncio.CancelledError:
        if not interruption.signal:
            raise
        demo.display.say("Stopped.")
        return 128 + interruption.signal
    except (FilmError, UnusableInputError, UnusableTruthError) as error:
        demo.display.say(str(error), style="red")
        return _BAD_REQUEST
    except (DemoError, HighlightsError, OSError) as error:
        demo.display.say(str(error), style="red")
        return 1


class _Interruption:
    """Turns the first SIGINT or SIGTERM into a cancellation, and ignores the impatient rest.

    Set up explicitly since a shell's background jobs inherit SIGINT ignored, and since a second
    Ctrl-C must not break off the stopping of what the first one ended.
    """

    def __init__(self) -> None:
        self.signal = 0

    def __enter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in _INTERRUPTIONS:
            loop.add_signal_handler(number, self._interrupt, number, task)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in _INTERRUPTIONS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _interrupt(self, number: int, task: asyncio.Task[object] | None) -> None:
        if not self.signal and task is not None:
            self.signal = number
            task.cancel()


async def _console_url(api: AsyncHighlightsClient, ready: Ready) -> str:
    """Return the URL of the console, with a sign-in that works once if the key may make keys."""
    url = f"{ready.api_url}/console"
    try:
        key = await api.keys.create(
            "console sign-in",
            ["admin"],
            mode="test",
            expires_at=datetime.now(UTC) + _SIGN_IN_LIFETIME,
        )
    except ApiError as error:
        if error.status != _FORBIDDEN:
            raise
        return url
    return f"{url}#sign-in={key.id}:{key.key} (signs in once)"


async def _run_module(*command: str) -> int:
    """Run a module of the repository as a process, which computes for a while; it is stoppable."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        stdin=asyncio.subprocess.DEVNULL,
        cwd=Path(__file__).parent.parent,
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


class _Source(NamedTuple):
    """What is played; `game` is the name of the game that the API gets."""

    video: Path
    truth: Truth | None
    game: str | None
    scripted: bool = False


class _Demo:
    """One run and its directory."""

    def __init__(self, options: DemoOptions, display: Display) -> None:
        self.display = display
        self._options = options.model_copy(
            update={
                "home": options.home.expanduser().resolve(),
                "input": options.input.expanduser().resolve() if options.input else None,
            }
        )
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self._directory = self._options.home / "demo" / name
        self._clips = self._directory / "clips"
        self._state = self._directory / "stack"

    async def run(self) -> int:
        options = self._options
        truth = read_truth(options.truth) if options.truth else None
        if options.input is not None and options.film is not None:
            raise UnusableInputError("Either a video or a film is played: leave out one of them.")
        plan = await self._plan(truth)
        self._clips.mkdir(parents=True)
        self.display.say("What will happen:")
        for line in plan.lines():
            self.display.say(line)
        if options.against is not None:
            return await self._run_against(options.against.rstrip("/"), truth)
        began = time.monotonic()
        async with Stack(
            state_dir=self._state, home=options.home, log=self._directory / "stack.log"
        ) as stack:
            source = await self._source()
            ready = await self._until_ready(stack)
            self.display.say(f"Ready after {time.monotonic() - began:.1f} s.")
            code = await self._play(source, truth or source.truth, stack.check, ready)
            self._say_where(ready)
            if options.keep:
                await self._linger(ready)
        if code == 0 and not options.keep:
            shutil.rmtree(self._state, ignore_errors=True)
        return code

    async def _run_against(self, url: str, truth: Truth | None) -> int:
        """Play to an API that runs already, and leave it running."""
        if not self._options.key:
            raise DemoError(
                f"{url} needs an API key: set HIGHLIGHTS_KEY, or pass --key. `highlights dev` "
                "prints one when it starts."
            )
        ready = Ready(api_url=url, docs_url=f"{url}/docs", api_key=self._options.key)
        source = await self._source()
        try:
            code = await self._play(source, truth or source.truth, lambda: None, ready)
        except ApiError as error:
            if error.code != "url_forbidden":
                raise
            raise DemoError(
                f"{url} does not read streams from this machine. Restart it with "
                "HIGHLIGHTS_ALLOW_PRIVATE_URLS=true, which is meant for development only."
            ) from error
        self._say_where(ready)
        return code

    async def _plan(self, truth: Truth | None) -> DemoPlan:
        """Return what will happen.

        Raises:
            UnusableInputError: the input cannot be played.
            FilmError: there is no such film.
        """
        options = self._options
        missing = None
        if options.input is not None:
            probed = await asyncio.to_thread(probe, options.input)
            source, seconds = options.input.name, probed.duration
        elif options.film is not None:
            film = find_film(options.home, options.film, seed=self._seed)
            source, seconds = f"the film of {film.name}", 60 * _FILM_MINUTES
            if not film.is_made:
                missing = f"film {_FILM_MINUTES:g} minutes of {film.name}"
        else:
            source, seconds = f"a scripted match ({self._kind})", MATCH_DURATION
            if not find_match(options.home, seed=self._seed, kind=self._kind).is_made:
                missing = f"make {source}"
        return DemoPlan(
            source=source,
            seconds=seconds,
            pace=options.effective_pace,
            missing=missing,
            starts_stack=options.against is None,
            has_truth=truth is not None or options.input is None,
            keep=options.keep,
        )

    @property
    def _seed(self) -> int:
        return DEFAULT_SEED if self._options.seed is None else self._options.seed

    @property
    def _kind(self) -> str:
        """The sport of the scripted match."""
        return self._options.game if self._options.game in SPORTS else _DEFAULT_MATCH

    async def _source(self) -> _Source:
        """Return what to play; a film or the scripted match is made first if need be."""
        options = self._options
        if options.input is not None:
            return _Source(options.input, None, options.game)
        seed, kind = self._seed, self._kind
        if options.film is not None:
            film = find_film(options.home, options.film, seed=seed)
            if not film.is_made:
                await self._make_film(film)
            return _Source(film.video, read_truth(film.truth), options.game or film.game)
        command = ("demo.match", "--seed", str(seed), "--kind", kind, "--out", str(options.home))
        if await _run_module(*command):
            raise DemoError("The scripted match could not be made; the reason stands above.")
        match = ensure_match(options.home, seed=seed, kind=kind)
        return _Source(match.video, read_truth(match.truth), options.game or kind, scripted=True)

    async def _make_film(self, film: GameFilm) -> None:
        minutes, folder = f"{_FILM_MINUTES:g}", str(film.video.parent)
        self.display.say(f"Filming {minutes} minutes of {film.name}, once; it is kept in {folder}")
        command = ("tools.footage", "film", film.name, "--seed", str(film.seed))
        if await _run_module(*command, "--minutes", minutes, "--out", folder):
            raise FilmError(
                f"The film of {film.name} could not be made; the reason stands above. "
                f"`make demo FILM={film.name}` installs games that come from PyPI."
            )

    async def _until_ready(self, stack: Stack) -> Ready:
        waiting = asyncio.create_task(stack.ready())
        try:
            with self.display:
                while not waiting.done():
                    self.display.busy(stack.last_line())
                    await asyncio.wait([waiting], timeout=_BUSY_INTERVAL)
            return waiting.result()
        finally:
            waiting.cancel()

    async def _play(
        self, source: _Source, truth: Truth | None, check: Callable[[], None], ready: Ready
    ) -> int:
        pace = self._options.effective_pace
        playing = OriginOptions(
            pace=pace,
            ladder=source.scripted and pace <= _LADDER_PACE,
            autostart=False,
        )
        async with contextlib.AsyncExitStack() as exits:
            api = await exits.enter_async_context(
                AsyncHighlightsClient(ready.api_url, ready.api_key)
            )
            origin = await exits.enter_async_context(LiveOrigin(source.video, playing))
            feed = self._feed(truth, origin)
            self.display.say(
                f"Playing {source.video} at {pace:g}x, which takes {origin.duration / pace:.0f} s: "
                f"{origin.master_url}"
            )
            started = await api.streams.analyze(
                origin.master_url, game=source.game, title=source.video.stem
            )
            self.display.say(f"Console:      {await _console_url(api, ready)}")
            # Only now does the event begin, so that its first second is media time 0.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REQUEST_TIMEOUT):
                    await origin.wait_requested()
            origin.begin()
            feeding = None
            if feed is not None:
                feeding = asyncio.create_task(feed.send(api, started.id))
                exits.callback(feeding.cancel)
            follower = Follower(api, origin, self.display, check)
            exits.enter_context(self.display)
            stream, highlights = await follower.until_settled(started.id)
            found, problems = await self._collect(api, origin, follower, highlights)
            if feed is not None and feeding is not None:
                await feeding
                self.display.say(feed.verdict(await api.feed.clock(started.id)))
                self.display.say(await feed.linked(api, started.id))
            report = Report(
                duration=origin.duration,
                highlights=tuple(found),
                segments=SegmentCount(published=origin.published, missed=stream.missed),
            )
        return self._conclude(stream, report, problems, truth)

    def _feed(self, truth: Truth | None, origin: LiveOrigin) -> DelayedFeed | None:
        delay = self._options.feed
        if delay is None:
            return None
        if truth is None:
            raise UnusableInputError("A feed reports the true moments: name their file in TRUTH.")
        if self._options.effective_pace != INPUT_PACE:
            raise UnusableInputError("A feed is played in real time: leave out PACE.")
        return DelayedFeed(truth.moments, delay=delay, live_at=origin.live_at)

    async def _collect(
        self,
        api: AsyncHighlightsClient,
        origin: LiveOrigin,
        follower: Follower,
        highlights: list[Highlight],
    ) -> tuple[list[FoundHighlight], list[str]]:
        """Download the clips that stand and play each; return them, and what is wrong."""
        found: list[FoundHighlight] = []
        problems: list[str] = []
        for highlight in highlights:
            clip = highlight.clip
            if not highlight.stands or clip is None:
                continue
            path = self._free_path(clip_name(highlight))
            if not clip.is_ready:
                problems.append(f"{path.name} was not made: its clip is {clip.status}")
                continue
            try:
                await api.clips.download(clip, path)
            except HighlightsError as error:
                problems.append(f"{path.name} could not be downloaded: {error}")
                continue
            problem = await playback_problem(
                path,
                duration=clip.end - clip.start,
                video=origin.source.video is not None,
                audio=origin.source.audio is not None,
            )
            if problem is not None:
                problems.append(f"{path.name} does not play: {problem}")
            found.append(
                FoundHighlight(
                    start=clip.start,
                    end=clip.end,
                    peak=highlight.peak,
                    score=highlight.score,
                    dimensions=highlight.dimensions,
                    clip=path,
                    latency=follower.latency(highlight),
                )
            )
        return found, problems

    def _free_path(self, name: str) -> Path:
        path = self._clips / name
        number = 2
        while path.exists():
            path = self._clips / f"{Path(name).stem}-{number}.mp4"
            number += 1
        return path

    def _conclude(
        self, stream: Stream, report: Report, problems: list[str], truth: Truth | None
    ) -> int:
        display = self.display
        if stream.status != "completed":
            reason = f": {stream.end.message}" if stream.end else ""
            problems = [f"The stream {stream.status}{reason}", *problems]
        if truth is not None:
            found = [Span(start=h.start, end=h.end, peak=h.peak) for h in report.highlights]
            display.comparison(truth, found, compare(truth.moments, found))
        for path in filter(None, (self._directory / "report.json", self._options.report)):
            write_report(report, path.expanduser())
        latencies = sorted(h.latency for h in report.highlights)
        counts = f"{report.segments.published} segments published, {report.segments.missed} missed"
        if latencies:
            middle = latencies[len(latencies) // 2]
            display.say(
                f"{len(latencies)} clips; from moment to clip {middle:.1f} s (median), "
                f"{latencies[-1]:.1f} s (worst); {counts}"
            )
        elif not problems:
            display.say(f"No highlight was found in this video, so no clip was made; {counts}.")
        for problem in problems:
            display.say(problem, style="red")
        return 0 if latencies and not problems else 1

    def _say_where(self, ready: Ready) -> None:
        say = self.display.say
        say(f"Clips:        {self._clips}")
        if self._options.report is not None:
            say(f"Report:       {self._options.report}")
        stays = self._options.keep or self._options.against
        running = "" if stays else "  (while it runs; KEEP=1 leaves it running)"
        say(f"API docs:     {ready.docs_url}{running}")
        if ready.temporal_ui_url:
            say(f"Temporal UI:  {ready.temporal_ui_url}{running}")
        if self._options.keep:
            say(f"API key:      {ready.api_key}")

    async def _linger(self, ready: Ready) -> None:
        async with AsyncHighlightsClient(ready.api_url, ready.api_key) as api:
            self.display.say(f"Console:      {await _console_url(api, ready)}")
        self.display.say("Everything is still running. Ctrl-C stops it.", style="bold")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # This is how it is meant to end, so it is no failure.
            if task := asyncio.current_task():
                task.uncancel()
