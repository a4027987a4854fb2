"""Exports and their renditions: what to make, its result, and the messages of ExportWorkflow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from domain.exports.cards import NO_CARDS, Card, Cards, EndCard, Territory
from domain.exports.presets import PRESETS, Preset, PresetName
from domain.exports.reels import CUT, ReelPart, Transition
from domain.model import Model
from domain.text import LanguageTag, as_tuple

MOST_RENDITIONS: Final = 50
"""Of one export."""

SHORTEST: Final = 0.5
LONGEST: Final = 600.0
"""Seconds of media that an export may have."""

LONGEST_PREVIEW: Final = 10.0
"""Seconds of an animated picture; a longer source is cut off."""

DEFAULT_RESOLUTION: Final = 1080
_PREVIEW_RESOLUTION: Final = 360

Resolution = Literal[360, 480, 720, 1080]
Loudness = Literal[-14, -16]


class ExportStatus(StrEnum):
    """Status of an export, and of each of its renditions."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED: Final = frozenset({ExportStatus.READY, ExportStatus.FAILED, ExportStatus.CANCELLED})


class RenditionFormat(StrEnum):
    """Container of a rendition."""

    MP4 = "mp4"  # H.264 and AAC, index in front
    HLS = "hls"  # the same as fragmented MP4 in one file, with a playlist of byte ranges
    WEBM = "webm"  # VP9 and Opus
    WEBP = "webp"  # animated, silent
    GIF = "gif"  # animated, silent
    AUDIO = "audio"  # AAC in MP4
    THUMBNAIL = "thumbnail"  # the best picture, as JPEG
    STORYBOARD = "storyboard"  # small pictures in one JPEG, with a WebVTT index
    CAPTIONS = "captions"  # the stream's captions, as WebVTT


MOVIES: Final = frozenset({RenditionFormat.MP4, RenditionFormat.HLS, RenditionFormat.WEBM})
TIMED_BY_MOVIE: Final = frozenset({RenditionFormat.STORYBOARD, RenditionFormat.CAPTIONS})
"""Formats whose times are seconds of the movie that they are played with."""

PREVIEWS: Final = frozenset({RenditionFormat.WEBP, RenditionFormat.GIF})
STILLS: Final = frozenset({RenditionFormat.THUMBNAIL, RenditionFormat.STORYBOARD})
INDEXED: Final = frozenset({RenditionFormat.HLS, RenditionFormat.STORYBOARD})
"""Formats with an index (playlist or WebVTT) that refers to the file."""

SUFFIXES: Final = {
    RenditionFormat.MP4: ".mp4",
    RenditionFormat.HLS: ".mp4",
    RenditionFormat.WEBM: ".webm",
    RenditionFormat.WEBP: ".webp",
    RenditionFormat.GIF: ".gif",
    RenditionFormat.AUDIO: ".m4a",
    RenditionFormat.THUMBNAIL: ".jpg",
    RenditionFormat.STORYBOARD: ".jpg",
    RenditionFormat.CAPTIONS: ".vtt",
}


class Aspect(StrEnum):
    """Shape of the picture."""

    SOURCE = "source"
    WIDE = "16:9"
    VERTICAL = "9:16"
    SQUARE = "1:1"
    PORTRAIT = "4:5"


RATIOS: Final = {
    Aspect.WIDE: (16, 9),
    Aspect.VERTICAL: (9, 16),
    Aspect.SQUARE: (1, 1),
    Aspect.PORTRAIT: (4, 5),
}


class Fit(StrEnum):
    """How a picture gets another shape."""

    CROP = "crop"  # the middle is kept
    PAD = "pad"  # all is kept, on a blurred copy of itself
    TRACK = "track"  # a crop that follows the action, with the score bug at its top


class RenditionSpec(Model):
    """One file of an export.

    Attributes:
        resolution: pixels of the shorter side, at most; the source is never enlarged. None keeps
            the source's size.
        loudness: integrated loudness (LUFS, EBU R128) to bring the sound to; None leaves it.
        preset: the network that the file is for; it gives whatever else is not set.
        watermark: whether the export's watermark is in the picture.
        lower_third: whether the export's lower third is in the picture; movies only.
        captions: whether the stream's captions are in the picture; movies only.
        cards: whether the export's intro, outro and end card are shown by a movie, and counted by
            the times of a storyboard or of captions.
    """

    format: RenditionFormat
    aspect: Aspect | None = None
    fit: Fit | None = None
    resolution: Resolution | None = None
    loudness: Loudness | None = None
    preset: PresetName | None = None
    watermark: bool = True
    lower_third: bool = True
    captions: bool = False
    cards: bool = True

    @model_validator(mode="after")
    def _check_preset(self) -> Self:
        if self.preset is not None and self.format is not RenditionFormat.MP4:
            raise ValueError(f"networks take MP4: use format mp4 with the preset {self.preset}")
        if self.loudness is not None and self.format not in {*MOVIES, RenditionFormat.AUDIO}:
            raise ValueError(f"{self.format} has no sound: leave out loudness")
        if self.captions and self.format not in MOVIES:
            raise ValueError(
                f"captions are drawn in movies only, and {self.format} is none; for a file of "
                "captions, use format captions"
            )
        return self

    @property
    def network(self) -> Preset | None:
        """What the preset's network asks for."""
        return None if self.preset is None else PRESETS[self.preset]

    @property
    def effective_aspect(self) -> Aspect:
        """The shape, the preset's if none is set."""
        if self.aspect is not None:
            return self.aspect
        return Aspect.SOURCE if self.network is None else Aspect(self.network.aspect)

    @property
    def effective_fit(self) -> Fit:
        """How the picture gets its shape: networks' pictures follow the action if none is set."""
        if self.fit is not None:
            return self.fit
        return Fit.CROP if self.network is None else Fit.TRACK

    @property
    def effective_resolution(self) -> int | None:
        """Pixels of the shorter side, by preset or format if none is set."""
        if self.resolution is not None:
            return self.resolution
        if self.network is not None:
            return self.network.resolution
        return _PREVIEW_RESOLUTION if self.format in PREVIEWS else None

    @property
    def effective_loudness(self) -> int | None:
        """LUFS, the preset's if none is set."""
        if self.loudness is not None or self.network is None:
            return self.loudness
        return self.network.loudness

    @property
    def has_picture(self) -> bool:
        """Return True unless the format is sound or text only."""
        return self.format not in {RenditionFormat.AUDIO, RenditionFormat.CAPTIONS}

    @property
    def needs_captions(self) -> bool:
        """Return True if it cannot be made of a stream without captions."""
        return self.captions or self.format is RenditionFormat.CAPTIONS

    def size_in(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height (pixels, even) of this rendition of a source of that size."""
        if self.effective_aspect is Aspect.SOURCE:
            shape_width, shape_height = width, height
        else:
            across, down = RATIOS[self.effective_aspect]
            # A crop has the pixels that are left of the source, a padded picture those around it.
            scale = (max if self.effective_fit is Fit.PAD else min)(width / across, height / down)
            shape_width, shape_height = round(scale * across), round(scale * down)
        shorter = min(shape_width, shape_height)
        limit = self.effective_resolution
        if limit is None:
            limit = shorter if self.effective_aspect is Aspect.SOURCE else DEFAULT_RESOLUTION
        factor = min(1.0, limit / shorter)
        return _even(shape_width * factor), _even(shape_height * factor)


def _even(pixels: float) -> int:
    return max(2, 2 * round(pixels / 2))


class Corner(StrEnum):
    """Where a watermark is."""

    TOP_LEFT = "top_left"
    TOP_RIGHT = "top_right"
    BOTTOM_LEFT = "bottom_left"
    BOTTOM_RIGHT = "bottom_right"


def _check_line(text: str | None) -> str | None:
    if text is not None and any(not each.isprintable() for each in text):
        raise ValueError("text is one line without control characters")
    return text


TextLine = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_line)]
Tag = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_check_line)]


class LowerThird(Model):
    """Title, score and tags at the lower left of the picture, for some seconds.

    Attributes:
        title: in any script.
        language: of title and tags that are left open, one of the stream's `languages`.
        score: such as `2-1`.
        tags: shown after the score.
        start: seconds after the beginning.
        seconds: for which it is shown.
    """

    title: TextLine | None = None
    language: LanguageTag | None = None
    score: (
        Annotated[str, Field(min_length=1, max_length=20), AfterValidator(_check_line)] | None
    ) = None
    tags: Annotated[tuple[Tag, ...], Field(max_length=5), BeforeValidator(as_tuple)] | None = None
    start: Annotated[float, Field(ge=0.0, le=LONGEST)] = 0.5
    seconds: Annotated[float, Field(ge=0.5, le=LONGEST)] = 5.0

    @property
    def has_text(self) -> bool:
        """Return True if there is anything to show."""
        return bool(self.title or self.second_line)

    @property
    def second_line(self) -> str:
        """Score and tags."""
        return " · ".join([*([self.score] if self.score else []), *(self.tags or ())])


class Watermark(Model):
    """Text or picture in a corner of the picture.

    Attributes:
        text: in any script.
        image: PNG, in base64.
        opacity: from 0 (invisible) to 1.
        margin: distance from the edges, as a part of the picture's shorter side.
        scale: height of the watermark, as a part of the picture's shorter side.
    """

    text: TextLine | None = None
    image: Annotated[str, Field(min_length=1, max_length=49_152)] | None = None
    position: Corner = Corner.TOP_RIGHT
    opacity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    margin: Annotated[float, Field(ge=0.0, le=0.25)] = 0.03
    scale: Annotated[float, Field(ge=0.02, le=0.5)] = 0.06

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if (self.text is None) == (self.image is None):
            raise ValueError("give either text or image")
        return self


class CaptionPlace(StrEnum):
    """Where captions are drawn."""

    TOP = "top"
    BOTTOM = "bottom"


class CaptionStyle(Model):
    """How captions are drawn.

    Attributes:
        scale: height of the text, as a part of the picture's shorter side.
        color: of the text, as `#RRGGBB`.
        background: opacity of the black box behind it, from 0 (none) to 1.
    """

    position: CaptionPlace = CaptionPlace.BOTTOM
    scale: Annotated[float, Field(ge=0.03, le=0.12)] = 0.05
    color: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] = "#FFFFFF"
    background: Annotated[float, Field(ge=0.0, le=1.0)] = 0.75


class Branding(Model):
    """What a tenant's exports show unless their request says otherwise."""

    watermark: Watermark | None = None
    lower_third: LowerThird | None = None
    caption_style: CaptionStyle | None = None
    intro: Card | None = None
    outro: Card | None = None
    end_card: EndCard | None = None


class BrandingChoice(StrEnum):
    """Whether an export shows the tenant's default branding."""

    DEFAULT = "default"
    NONE = "none"


class ExportSource(Model):
    """Media time `start`..`end` (s) of a stream, or a clip's file, which has those bounds.

    With `parts` it is a reel of clips; then the bounds are in seconds of the reel, and the stream
    is that of its first clip.
    """

    stream_id: UUID
    highlight_id: UUID | None = None
    clip_id: UUID | None = None
    clip_key: str | None = None
    start: NonNegativeFloat
    end: NonNegativeFloat
    parts: tuple[ReelPart, ...] = ()
    transition: Transition = CUT

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    @property
    def highlight_ids(self) -> tuple[UUID, ...]:
        """Highlights that it shows; none for a span of a stream or a clip on demand."""
        own = () if self.highlight_id is None else (self.highlight_id,)
        return own + tuple(part.highlight_id for part in self.parts)

    @property
    def other_stream_ids(self) -> tuple[UUID, ...]:
        """Streams of which a reel has clips too."""
        found = dict.fromkeys(part.stream_id for part in self.parts)
        return tuple(each for each in found if each is not None and each != self.stream_id)


class ExportSpec(Model):
    """What to make. The renditions are numbered from 1 in their order.

    With `exact`, the bounds are those of the source to the frame; without, they lie on the
    boundaries of stored segments around it, and pictures are copied.

    The branding is that of the time of the request, whatever the tenant's default is later;
    `branding_version` says which default it came from, None for none. `end_card` is that of the
    `territory`.
    """

    id: UUID
    tenant_id: UUID
    source: ExportSource
    renditions: tuple[RenditionSpec, ...] = Field(min_length=1, max_length=MOST_RENDITIONS)
    watermark: Watermark | None = None
    lower_third: LowerThird | None = None
    caption_style: CaptionStyle | None = None
    intro: Card | None = None
    outro: Card | None = None
    end_card: Card | None = None
    territory: Territory | None = None
    branding_version: PositiveInt | None = None
    exact: bool = True

    @property
    def cards(self) -> Cards:
        """The cards of its movies: the intro, then the outro and the end card."""
        return Cards(
            before=() if self.intro is None else (self.intro,),
            after=tuple(card for card in (self.outro, self.end_card) if card is not None),
        )

    def cards_of(self, rendition: RenditionSpec) -> Cards:
        """Return the cards that a rendition shows, or by which its times are later."""
        if rendition.cards and rendition.format in MOVIES | TIMED_BY_MOVIE:
            return self.cards
        return NO_CARDS

    def key(self, number: int) -> str:
        """Return the name of a rendition's file in the clip store."""
        suffix = SUFFIXES[self.renditions[number - 1].format]
        return f"{self.tenant_id}/{self.source.stream_id}/exports/{self.id}/{number}{suffix}"


class RenderedRendition(Model):
    """A rendition's finished file, or why there is none.

    Attributes:
        key: in the clip store; None if the rendition failed.
        index: playlist or WebVTT, with `{file}` where the file's URL belongs.
        start: seconds of media time.
        duration: seconds; None for still pictures.
        size: bytes.
        loudness: integrated loudness (LUFS) measured in the file, if one was asked for.
        blurhash: of a thumbnail.
        message: why it failed, for the tenant.
    """

    number: PositiveInt
    key: str | None = None
    index: str | None = None
    start: NonNegativeFloat | None = None
    duration: PositiveFloat | None = None
    size: PositiveInt | None = None
    width: int | None = None
    height: int | None = None
    has_audio: bool = False
    loudness: float | None = None
    blurhash: str | None = None
    sha256: str | None = None
    ready_at: datetime | None = None
    message: str = ""

    @property
    def status(self) -> ExportStatus:
        """Ready or failed."""
        return ExportStatus.FAILED if self.key is None else ExportStatus.READY


class RenderExportInput(Model):
    """Which renditions of an export to make together, by number."""

    spec: ExportSpec
    numbers: tuple[PositiveInt, ...] = Field(min_length=1)


class RenderedExport(Model):
    """Result of `render_export`: each rendition that was asked for."""

    renditions: tuple[RenderedRendition, ...]


class ExportRecord(Model):
    """State of an export to write: of the export, and of renditions that have finished."""

    tenant_id: UUID
    export_id: UUID
    status: ExportStatus
    renditions: tuple[RenderedRendition, ...] = ()
    message: str = ""


class ExportTiming(Model):
    """Timeouts of rendering (s) and number of attempts; see `ClipTiming`."""

    render_timeout: PositiveFloat = 1800.0
    heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 3


class ExportInput(Model):
    """Input of ExportWorkflow."""

    spec: ExportSpec
    timing: ExportTiming = ExportTiming()


def outcome(renditions: Iterable[RenderedRendition]) -> tuple[ExportStatus, str]:
    """Return the status of an export whose renditions have all finished, and a message."""
    every = list(renditions)
    failed = [each for each in every if each.status is ExportStatus.FAILED]
    if not failed:
        return ExportStatus.READY, ""
    first = failed[0]
    message = f"{len(failed)} of {len(every)} renditions failed; rendition {first.number}: "
    return ExportStatus.FAILED, message + first.message
