"""Text in pictures as subtitles (ASS), and captions as WebVTT.

Subtitles are drawn with a font for each script, and from right to left where it is written so. They
reach ffmpeg as a file, so that no text is filter syntax.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from domain.exports.models import CaptionPlace, CaptionStyle, Corner, LowerThird, Watermark
from domain.media.segments import Line

_FIELDS: Final = (
    "Name,Fontname,Fontsize,PrimaryColour,OutlineColour,BorderStyle,Outline,Shadow,"
    "Alignment,MarginL,MarginR,MarginV"
)
_OUTLINED: Final = 1
_BOXED: Final = 3
_ALIGNMENTS: Final = {
    Corner.BOTTOM_LEFT: 1,
    Corner.BOTTOM_RIGHT: 3,
    Corner.TOP_LEFT: 7,
    Corner.TOP_RIGHT: 9,
}
_BOTTOM_LEFT: Final = 1
_CENTERED: Final = {CaptionPlace.BOTTOM: 2, CaptionPlace.TOP: 8}
_ALWAYS: Final = 35_999.99

# Parts of the picture's shorter side.
_TITLE: Final = 0.06
_SECOND_LINE: Final = 0.042
_MARGIN: Final = 0.05
_PADDING: Final = 0.012
_FADE: Final = 250
_LINE_SPACING: Final = 1.9
_SHORTEST_CAPTION: Final = 0.5


class Subtitles:
    """Text for pictures of one size, in pixels."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._shorter = min(width, height)
        self._styles: list[str] = []
        self._events: list[str] = []

    def __bool__(self) -> bool:
        """Return True if there is any text."""
        return bool(self._events)

    def add_watermark(self, watermark: Watermark) -> None:
        """Show a watermark's text all the time."""
        if watermark.text is None:
            return
        size = max(4, round(watermark.scale * self._shorter))
        alpha = f"&H{round(255 * (1 - watermark.opacity)):02X}"
        self._style(
            "mark",
            size,
            colors=(f"{alpha}FFFFFF", f"{alpha}000000"),
            border=(_OUTLINED, max(1, size // 16)),
            alignment=_ALIGNMENTS[watermark.position],
            margins=(round(watermark.margin * self._shorter),) * 2,
        )
        self._event("mark", 0.0, _ALWAYS, "{\\q2}" + _plain(watermark.text))

    def add_lower_third(self, lower: LowerThird) -> None:
        """Show title, score and tags for their time."""
        margin = round(_MARGIN * self._shorter)
        end = lower.start + lower.seconds
        second = lower.second_line
        rise = round(_SECOND_LINE * _LINE_SPACING * self._shorter) if second else 0
        for name, part, text, up in (
            ("title", _TITLE, lower.title or "", margin + rise),
            ("second", _SECOND_LINE, second, margin),
        ):
            if text:
                self._boxed(name, part, alignment=_BOTTOM_LEFT, margins=(margin, up))
                self._event(name, lower.start, end, f"{{\\fad({_FADE},{_FADE})}}" + _plain(text))

    def add_captions(self, lines: Iterable[Line], style: CaptionStyle) -> None:
        """Show captions; their times are in seconds of the film."""
        margin = round(_MARGIN * self._shorter)
        red, green, blue = (style.color[place : place + 2] for place in (1, 3, 5))
        box = f"&H{round(255 * (1 - style.background)):02X}000000"
        self._boxed(
            "caption",
            style.scale,
            alignment=_CENTERED[style.position],
            margins=(margin, margin),
            colors=(f"&H00{blue}{green}{red}".upper(), box),
        )
        for start, end, text in caption_spans(lines):
            self._event("caption", start, end, _plain(text))

    def document(self) -> str:
        """Return the subtitles as ASS."""
        return "\n".join(
            [
                "[Script Info]",
                "ScriptType: v4.00+",
                "WrapStyle: 0",
                f"PlayResX: {self._width}",
                f"PlayResY: {self._height}",
                "[V4+ Styles]",
                f"Format: {_FIELDS}",
                *self._styles,
                "[Events]",
                "Format: Start,End,Style,Text",
                *self._events,
                "",
            ]
        )

    def _boxed(
        self,
        name: str,
        part: float,
        *,
        alignment: int,
        margins: tuple[int, int],
        colors: tuple[str, str] = ("&H00FFFFFF", "&H40000000"),
    ) -> None:
        self._style(
            name,
            max(6, round(part * self._shorter)),
            colors=colors,
            border=(_BOXED, max(1, round(_PADDING * self._shorter))),
            alignment=alignment,
            margins=margins,
        )

    def _style(
        self,
        name: str,
        size: int,
        *,
        colors: tuple[str, str],
        border: tuple[int, int],
        alignment: int,
        margins: tuple[int, int],
    ) -> None:
        across, down = margins
        self._styles.append(
            f"Style: {name},Sans,{size},{colors[0]},{colors[1]},{border[0]},{border[1]},0,"
            f"{alignment},{across},{across},{down}"
        )

    def _event(self, style: str, start: float, end: float, text: str) -> None:
        self._events.append(f"Dialogue: {_ass_clock(start)},{_ass_clock(end)},{style},{text}")


def webvtt(lines: Iterable[Line], *, lead: float = 0.0) -> str:
    """Return captions as WebVTT; their times are in seconds of the film.

    `lead` is how many seconds of the movie come before the film.
    """
    cues = [
        f"{clock(lead + start)} --> {clock(lead + end)}\n{_escaped(text)}\n"
        for start, end, text in caption_spans(lines)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def caption_spans(lines: Iterable[Line]) -> Sequence[tuple[float, float, str]]:
    """Return begin, end and text of captions, each of which ends where the next begins."""
    ordered = sorted(lines, key=lambda line: line.at)
    spans = []
    for place, line in enumerate(ordered):
        start, end = max(0.0, line.at), max(line.until, line.at + _SHORTEST_CAPTION)
        if place + 1 < len(ordered) and ordered[place + 1].at > start:
            end = min(end, ordered[place + 1].at)
        if end > start:
            spans.append((start, end, line.text))
    return spans


def clock(seconds: float) -> str:
    """Return a time as WebVTT writes it."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


def _ass_clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 100), 6_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest // 100:02}.{rest % 100:02}"


def _plain(text: str) -> str:
    """Return text without commands: they begin with a backslash or a brace (libass, ASS tags).

    A joiner between a backslash and what follows makes it text.
    """
    return text.replace("\\", "\\\u2060").replace("{", "\\{")


def _escaped(text: str) -> str:
    """Return text of a WebVTT cue."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
