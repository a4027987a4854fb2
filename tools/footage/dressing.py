"""Makes a copy of a film that looks like a broadcast, and moves its truth accordingly.

What is laid over it, where, in which font, color and language, follows from a seed. Cards, camera
and music of the adverts are drawn here. A crowd and a commentator are added if asked for.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tools.footage.game import FootageError
from tools.footage.recorder import SOUND, encoding, run_ffmpeg
from tools.footage.soundtrack import (
    RATE,
    Commentator,
    Cue,
    missing,
    mix,
    plan_commentary,
    plan_crowd,
)
from tools.footage.truth import Distractor, Event, Moment, Truth, read

_FPS: Final = 30
_SIZE: Final = (1280, 720)
_FONTS: Final = Path("/usr/share/fonts")
_FONT_NAMES: Final = (
    *("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSans", "DejaVuSansMono"),
    *("NotoSans-Bold", "NotoSerif-Regular", "LiberationSans-Bold"),
)
_REPLAY_SPEED: Final = 0.5
_REPLAY: Final = (3.0, 1.0)
"""Seconds before and after a moment's peak that a replay shows."""
_GAP: Final = 0.5
"""Seconds between a moment and what is put in after it."""


class Language(NamedTuple):
    """Words on screen, and who comments, in one language."""

    home: str
    away: str
    replay: str
    advert: str
    odds: str
    commentator: Commentator


LANGUAGES: Final = (
    Language(
        *("HOME", "AWAY", "REPLAY", "We will be right back", "Odds"),
        Commentator(
            "en-gb",
            calm=("They take their time.", "Let us see what comes next.", "Nothing in it so far."),
            excited=("What a moment!", "Oh, look at that! Incredible!", "Yes! There it is!"),
        ),
    ),
    Language(
        *("HEIM", "GAST", "WIEDERHOLUNG", "Gleich geht es weiter", "Quoten"),
        Commentator(
            "de",
            calm=("Sie lassen sich Zeit.", "Mal sehen, was jetzt kommt."),
            excited=("Was für ein Moment!", "Unglaublich! Sehen Sie sich das an!"),
        ),
    ),
    Language(
        *("LOCAL", "VISITA", "REPETICIÓN", "Volvemos enseguida", "Cuotas"),
        Commentator(
            "es",
            calm=("Se lo toman con calma.", "Veamos qué pasa ahora."),
            excited=("¡Qué momento!", "¡Increíble! ¡Miren eso!"),
        ),
    ),
    Language(
        *("ДОМА", "ГОСТИ", "ПОВТОР", "Скоро продолжим", "Ставки"),
        Commentator(
            "ru",
            calm=("Пока всё спокойно.", "Посмотрим, что будет дальше."),
            excited=("Вот это момент!", "Невероятно! Вы только посмотрите!"),
        ),
    ),
    Language(
        *("EV", "KONUK", "TEKRAR", "Birazdan devam", "Oranlar"),
        Commentator(
            "tr",
            calm=("Acele etmiyorlar.", "Bakalım şimdi ne olacak."),  # noqa: RUF001
            excited=("Ne an ama!", "İnanılmaz! Şuna bakın!"),  # noqa: RUF001
        ),
    ),
)


class Part(NamedTuple):
    """A stretch of the copy: live film, a replay of it, an advert or a view of the studio.

    `start` and `end` are in seconds of the film for live parts and replays; `length` is in seconds
    of the copy.
    """

    kind: str
    start: float
    end: float
    length: float


class Plan(NamedTuple):
    """What the copy consists of; `muted` is a stretch of the film without sound, in seconds."""

    parts: tuple[Part, ...]
    muted: tuple[float, float] | None

    def position(self, at: float) -> float:
        """Return where an instant of the film is in the copy."""
        before = 0.0
        for part in self.parts:
            if part.kind == "live" and at <= part.end:
                return before + at - part.start
            before += part.length
        return before

    def inserted(self) -> tuple[Distractor, ...]:
        """Return everything in the copy that is not live."""
        found, before = [], 0.0
        for part in self.parts:
            if part.kind != "live":
                end = before + part.length
                found.append(Distractor(start=before, end=end, kind=part.kind))
            before += part.length
        return tuple(found)


def make_plan(truth: Truth, seed: int) -> Plan:
    """Choose where replays, adverts and the studio go: never into a moment."""
    chance, duration = random.Random(seed), _on_frame(truth.film.duration)  # noqa: S311
    inserts: dict[float, Part] = {}
    for moment, following in zip(truth.moments, [*truth.moments[1:], None], strict=True):
        at = _on_frame(moment.end + _GAP)
        free = at < (following.start if following else duration - 1)
        if free and chance.random() < 0.5:
            start, end = max(0.0, moment.peak - _REPLAY[0]), moment.peak + _REPLAY[1]
            start, end = _on_frame(start), _on_frame(end)
            inserts[at] = Part("replay", start, end, (end - start) / _REPLAY_SPEED)
    for kind, shortest, longest in (("advert", 8, 20), ("studio", 2, 5), ("advert", 8, 20)):
        at = _on_frame(chance.uniform(0.1, 0.9) * duration)
        length = _on_frame(chance.uniform(shortest, longest))
        if not any(moment.start - 1 < at < moment.end + 1 for moment in truth.moments):
            inserts.setdefault(at, Part(kind, 0, 0, length))
    parts, since = [], 0.0
    for at in sorted(inserts):
        parts += [Part("live", since, at, at - since), inserts[at]]
        since = at
    parts.append(Part("live", since, duration, duration - since))
    muted = None
    if chance.random() < 0.5:
        start = chance.uniform(0, max(0.0, duration - 40))
        muted = (start, start + chance.uniform(15, 40))
    return Plan(tuple(parts), muted)


def move_truth(truth: Truth, plan: Plan, dressing: Sequence[str]) -> Truth:
    """Return the truth of the copy: a replay is no new moment, and an advert moves what follows."""
    return Truth(
        film=truth.film.model_copy(
            update={
                "duration": sum(part.length for part in plan.parts),
                "dressing": (*truth.film.dressing, *dressing),
            }
        ),
        moments=tuple(_moved(moment, plan) for moment in truth.moments),
        distractors=plan.inserted(),
        events=tuple(e.model_copy(update={"at": plan.position(e.at)}) for e in truth.events),
    )


def dress(video: Path, out: Path, *, seed: int, crowd: bool = False, voice: bool = False) -> Truth:
    """Write a dressed copy of a film to `out`, and its truth beside it.

    `crowd` adds recordings of crowds, `voice` a commentator who is synthetic.

    Raises:
        FileNotFoundError: the film has no truth beside it.
        FootageError: the film is a dressed one, or a font, recordings or voice are not installed.
        RecordingError: ffmpeg failed.
    """
    truth, chance = read(video.with_suffix(".json")), random.Random(f"look {seed}")  # noqa: S311
    if truth.film.dressing:
        raise FootageError(f"{video} is dressed already. Dress the original with another seed.")
    if install := missing(crowd=crowd, voice=voice):
        raise FootageError(f"Recordings or a voice are not installed. Run `{install}`.")
    plan, words = make_plan(truth, seed), chance.choice(LANGUAGES)
    look = Look(chance, words, _font(chance))
    overlays, names = look.overlays(truth, plan)
    kinds = sorted({part.kind for part in plan.parts if part.kind != "live"})
    rate = chance.choice((None, 700, 1200))
    dressing = (*names, *kinds, *(["silence"] if plan.muted else []))
    dressing += (f"{rate} kbit/s",) if rate else ()
    dressing += ("crowd",) * crowd + ("synthetic commentary",) * voice
    dressed = move_truth(truth, plan, dressing)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".dressing-") as made:
        folder = Path(made)
        look.draw_camera(folder / "camera.png")
        parts = [_render(part, video, folder, look, plan.muted) for part in plan.parts]
        listing = folder / "parts.txt"
        listing.write_text("".join(f"file '{part.name}'\n" for part in parts), encoding="utf-8")
        _soundtrack(dressed, plan, words.commentator, seed, crowd=crowd, voice=voice).tofile(
            folder / "added.raw"
        )
        added = ["-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", str(folder / "added.raw")]
        overlays += ";[0:a][2:a]amix=inputs=2:duration=first:normalize=0[sound]"
        limit = ["-maxrate", f"{rate}k", "-bufsize", f"{2 * rate}k"] if rate else []
        run_ffmpeg(
            ["-f", "concat", "-i", str(listing), "-i", str(folder / "camera.png"), *added],
            [
                *("-filter_complex", overlays, "-map", "[out]", "-map", "[sound]"),
                *(*encoding(_FPS), *limit, *SOUND),
                str(folder / "copy.mp4"),
            ],
        )
        (folder / "copy.mp4").rename(out)
    dressed.write(out.with_suffix(".json"))
    return dressed


def _soundtrack(
    dressed: Truth, plan: Plan, who: Commentator, seed: int, *, crowd: bool, voice: bool
) -> NDArray[np.int16]:
    """Return what is heard besides the film; nothing in adverts, the studio and silences."""
    duration, cues = dressed.film.duration, list[Cue]()
    if crowd:
        cues += plan_crowd(dressed, duration, seed)
    if voice:
        cues += plan_commentary(dressed, duration, who, seed)
    silent = [(d.start, d.end) for d in dressed.distractors if d.kind != "replay"]
    if plan.muted is not None:
        silent.append((plan.position(plan.muted[0]), plan.position(plan.muted[1])))
    return mix(cues, duration, bed=crowd, voice=who.voice, silent=silent)


class Look:
    """Colors, font, language and places of one copy."""

    def __init__(self, chance: random.Random, words: Language, font: Path) -> None:
        self._chance, self._words, self._font = chance, words, font
        self._ink = chance.choice(("white", "yellow", "black", "0xC8FFE0"))
        self._paper = chance.choice(("0x102040", "0x802020", "0x205030", "0x303030"))
        if self._ink == "black":
            self._paper = chance.choice(("0xF0F0F0", "0xFFD040"))

    def overlays(self, truth: Truth, plan: Plan) -> tuple[str, tuple[str, ...]]:
        """Return a filter graph from the copy and the camera to `[out]`, and what it lays over."""
        bug, ticker, camera = (self._chance.random() < share for share in (0.8, 0.5, 0.5))
        chain, names = ["[0:v]null"], []
        if bug or not (ticker or camera):
            chain += self._bug(truth, plan)
            names.append("score bug")
        if ticker:
            chain.append(self._ticker())
            names.append("odds ticker")
        graph = ",".join(chain)
        if not camera:
            return f"{graph}[out];[1:v]nullsink", tuple(names)
        x, y = self._chance.choice((20, 960)), self._chance.choice((140, 400))
        sway = "8*sin(2*t)"
        return (
            f"{graph}[film];color=c={self._paper}:s=300x190:r={_FPS}[room];"
            f"[room][1:v]overlay=x='90+{sway}':y='20+0.5*{sway}'[camera];"
            f"[film][camera]overlay=x={x}:y={y}:shortest=1[out]"
        ), (*names, "camera")

    def _bug(self, truth: Truth, plan: Plan) -> Iterator[str]:
        x, y = self._chance.choice((40, 480, 860)), self._chance.choice((24, 60))
        delay = self._chance.uniform(0.5, 2.5)
        states, end = list(_scores(truth.events, plan, delay)), sum(p.length for p in plan.parts)
        for (at, score), until in zip(states, [*(at for at, _ in states[1:]), end], strict=True):
            line = f"{self._words.home} {score[0]} - {score[1]} {self._words.away}"
            shown = f"between(t,{at:.2f},{until - 1 / _FPS:.3f})"
            yield self._text(line, x=x, y=y, size=28, enable=shown)
        yield self._text("%{pts\\:hms}", x=x, y=y + 46, size=20)

    def _ticker(self) -> str:
        words = self._words
        odds = "   ".join(
            f"{team} {self._chance.uniform(1.1, 6):.2f}" for team in (words.home, words.away) * 3
        )
        line, y = f"{words.odds}   {odds}", self._chance.choice((10, 684))
        return self._text(line, x="w-mod(90*t\\,w+tw)", y=y, size=22)

    def text_in_middle(self, line: str) -> str:
        """Return the filter that writes a large line into the middle."""
        return self._text(line, x="(w-tw)/2", y="(h-th)/2", size=64)

    def replay_mark(self) -> str:
        """Return the filter that marks a replay."""
        return self._text(self._words.replay, x=60, y=600, size=36)

    @property
    def advert(self) -> str:
        """What an advert's card says."""
        return self._words.advert

    def _text(self, line: str, *, x: int | str, y: int | str, size: int, enable: str = "") -> str:
        shown = f":enable='{enable}'" if enable else ""
        return (
            f"drawtext=fontfile='{self._font}':text='{line}':x={x}:y={y}:fontsize={size}"
            f":fontcolor={self._ink}:box=1:boxcolor={self._paper}@0.9:boxborderw=8{shown}"
        )

    def draw_camera(self, path: Path) -> None:
        """Draw the streamer that the camera shows."""
        image = Image.new("RGBA", (120, 170), (0, 0, 0, 0))
        pen = ImageDraw.Draw(image)
        skin = self._chance.choice(((222, 180, 150), (150, 105, 75), (245, 205, 175)))
        pen.rounded_rectangle((5, 110, 115, 170), 30, fill=(60, 70, 110))
        pen.ellipse((25, 15, 95, 105), fill=skin)
        for x in (45, 67):
            pen.ellipse((x, 50, x + 9, 58), fill=(30, 30, 30))
        pen.rectangle((46, 80, 74, 84), fill=(150, 60, 60))
        image.save(path)


def _render(
    part: Part, video: Path, folder: Path, look: Look, muted: tuple[float, float] | None
) -> Path:
    """Write one part, all alike in size, frame rate and sound, so that they can be joined."""
    made = folder / f"{len(list(folder.glob('*.mkv'))):04}.mkv"
    width, height = _SIZE
    if part.kind in {"live", "replay"}:
        inputs = [
            "-ss",
            f"{part.start:.4f}",
            "-t",
            f"{part.end - part.start:.4f}",
            "-i",
            str(video),
        ]
        pictures, sound = f"scale={width}:{height},fps={_FPS}", "anull"
        if part.kind == "replay":
            pictures = f"setpts=PTS/{_REPLAY_SPEED},{pictures},{look.replay_mark()}"
            sound = f"atempo={_REPLAY_SPEED}"
        elif muted is not None:
            start, end = muted[0] - part.start, muted[1] - part.start
            sound = f"volume=0:enable='between(t,{start:.2f},{end:.2f})'"
    else:
        card = f"gradients=s={width}x{height}:r={_FPS}:d={part.length + 1}:speed=0.05"
        chord = "+".join(f"0.12*sin(2*PI*{hertz}*t)" for hertz in (262, 330, 392))
        music = f"({chord})*(0.6+0.4*sin(4*PI*t))" if part.kind == "advert" else "0"
        inputs = ["-f", "lavfi", "-i", card, "-f", "lavfi", "-i", f"aevalsrc={music}:s=48000"]
        pictures = look.text_in_middle(look.advert) if part.kind == "advert" else "hue=s=0"
        sound = "anull"
    run_ffmpeg(
        inputs,
        [
            *("-vf", f"{pictures},format=yuv420p", "-af", f"{sound},apad"),
            *("-frames:v", str(round(part.length * _FPS)), "-t", f"{part.length:.4f}"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18"),
            *("-c:a", "pcm_s16le", "-ar", "48000", "-ac", "2", str(made)),
        ],
    )
    return made


def _scores(
    events: Sequence[Event], plan: Plan, delay: float
) -> Iterator[tuple[float, tuple[int, int]]]:
    """Yield the score on screen and since when, in seconds of the copy; it is a little late."""
    score = [0, 0]
    yield 0.0, (0, 0)
    for event in events:
        if event.kind == "match over":
            score = [0, 0]
        elif event.points:
            score[event.side] += event.points
        else:
            continue
        yield plan.position(event.at) + delay, (score[0], score[1])


def _moved(moment: Moment, plan: Plan) -> Moment:
    return moment.model_copy(
        update={name: plan.position(getattr(moment, name)) for name in ("start", "end", "peak")}
    )


def _on_frame(seconds: float) -> float:
    return round(seconds * _FPS) / _FPS


def _font(chance: random.Random) -> Path:
    """Return a font of this machine that has Latin and Cyrillic letters.

    Raises:
        FootageError: there is none.
    """
    known = sorted(p for p in _FONTS.rglob("*.ttf") if p.stem in _FONT_NAMES)
    if not known:
        raise FootageError(
            "No font to write scores with was found. Install one: apt-get install fonts-dejavu-core"
        )
    return chance.choice(known)
