"""Request and response models of exports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from api.highlights.schemas import MARKET, PERIOD, STATE, SUBJECT, MatchPeriod, ScoreAfter
from api.request_model import RequestModel
from api.services import Services
from app.services.exports import NewReel
from domain.exports.cards import MOST_TERRITORIES, Card, EndCard, Territory
from domain.exports.models import (
    FINISHED,
    LONGEST,
    MOST_RENDITIONS,
    MOVIES,
    SHORTEST,
    Aspect,
    BrandingChoice,
    CaptionStyle,
    ExportSpec,
    ExportStatus,
    Fit,
    LowerThird,
    RenderedRendition,
    RenditionFormat,
    RenditionSpec,
    Watermark,
)
from domain.exports.presets import PresetName
from domain.exports.reels import (
    CUT,
    LONGEST_REEL,
    MOST_CLIPS,
    MOST_STREAMS,
    SHORTEST_REEL,
    ReelChapter,
    ReelOrder,
    Transition,
    chapters_of_reel,
)
from domain.feed.models import MarketName, Subject
from domain.highlights.selection import DecisionStatus
from domain.text import Name
from infra.db.repositories.exports import results_of, spec_of
from infra.db.repositories.highlights import HighlightFilter
from infra.db.tables import Export
from infra.storage.signed_urls import export_path

_MOST_TAGS: Final = 20
_HIGHLIGHT: Final = "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21"
EXAMPLE_IMAGE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mM4AQAAygDJNEIn8wAAAABJRU5ErkJggg=="
)
_REQUEST: dict[str, Any] = {
    "source": {"highlight_id": _HIGHLIGHT},
    "renditions": [
        {"format": "mp4", "preset": "tiktok"},
        {"format": "hls"},
        {"format": "gif", "aspect": "1:1", "resolution": 360},
    ],
    "watermark": {"text": "tldrtv", "position": "top_right", "opacity": 0.7},
    "lower_third": {"seconds": 4},
    "intro": {"image": EXAMPLE_IMAGE, "seconds": 2},
    "territory": "DE",
}
Position = Annotated[FiniteFloat, Field(ge=0.0, le=1e9)]


class TransitionRequest(RequestModel, Transition):
    """How each clip becomes the next: `cut`, `fade` through black, or `dissolve` into it.

    Both clips are shown and heard for `duration` seconds. A cut has none.
    """

    model_config = ConfigDict(extra="forbid")


class ReelSourceRequest(RequestModel):
    """The best clips of one or more streams that fit into so many seconds, as one film.

    No two of them show the same seconds, and no other choice has a higher total score.
    """

    stream_id: UUID | None = None
    stream_ids: Annotated[list[UUID], Field(max_length=MOST_STREAMS)] = Field(
        default=[],
        description="Several streams instead of `stream_id`. Deleting one of those that are shown "
        "deletes the reel.",
    )
    seconds: Annotated[FiniteFloat, Field(ge=SHORTEST_REEL, le=LONGEST_REEL)]
    order: ReelOrder = Field(
        default=ReelOrder.TIME,
        description="`time` as in the stream, one of `stream_ids` after the other; `score` the "
        "best first.",
    )
    transition: TransitionRequest | None = Field(
        default=None, description="How each clip becomes the next; by default a cut."
    )
    tags: Annotated[list[Name], Field(max_length=_MOST_TAGS)] = Field(
        default=[], description="Highlights with one of these tags, which include kinds of moments."
    )
    text: Name | None = Field(
        default=None,
        description="Highlights with all of these words in title, description or tags, such as the "
        "name of a player.",
    )
    market: MarketName | None = Field(default=None, description=MARKET)
    subject: Subject | None = Field(default=None, description=SUBJECT)
    state: ScoreAfter | None = Field(default=None, description=STATE)
    period: MatchPeriod | None = Field(default=None, description=PERIOD)
    min_score: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    highlight_ids: Annotated[list[UUID], Field(max_length=MOST_CLIPS)] = Field(
        default=[], description="Choose among these highlights of the streams instead."
    )

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        filters = (self.text, self.market, self.subject, self.state, self.period, self.min_score)
        if self.highlight_ids and (self.tags or any(each is not None for each in filters)):
            raise ValueError(
                "name either highlight_ids, or tags, text, market, subject, state, period and "
                "min_score"
            )
        if (self.stream_id is None) == (not self.stream_ids):
            raise ValueError("name either stream_id or stream_ids")
        return self

    @property
    def wanted(self) -> NewReel:
        """The reel that is asked for."""
        single = () if self.stream_id is None else (self.stream_id,)
        streams = single or tuple(dict.fromkeys(self.stream_ids))
        return NewReel(
            stream_ids=streams,
            seconds=self.seconds,
            order=self.order,
            transition=self.transition or CUT,
            criteria=HighlightFilter(
                stream_ids=streams,
                statuses=(DecisionStatus.CONFIRMED,),
                any_tag=tuple(self.tags),
                text=self.text,
                market=self.market,
                subject=self.subject,
                state=self.state,
                period=self.period,
                min_score=self.min_score,
            ),
            highlight_ids=tuple(self.highlight_ids),
        )


class ExportSourceRequest(RequestModel):
    """What to export: a highlight's clip, a clip, a span of a stream (s), or a reel of clips."""

    model_config = ConfigDict(populate_by_name=True)

    highlight_id: UUID | None = None
    clip_id: UUID | None = None
    stream_id: UUID | None = None
    start: Position | None = Field(default=None, alias="from")
    end: Position | None = Field(default=None, alias="to")
    reel: ReelSourceRequest | None = None
    exact: bool = Field(
        default=True,
        description="False widens a span of a stream to the boundaries of stored segments, so that "
        "its pictures can be copied. A clip always has its own bounds.",
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        named = [self.highlight_id, self.clip_id, self.stream_id, self.reel]
        if sum(each is not None for each in named) != 1:
            raise ValueError("name one of highlight_id, clip_id, stream_id and reel")
        if self.stream_id is None:
            if self.start is not None or self.end is not None:
                raise ValueError("from and to belong to stream_id; a clip is exported as a whole")
            return self
        if self.start is None or self.end is None:
            raise ValueError("give from and to, in seconds of the stream's media time")
        if not SHORTEST <= self.end - self.start <= LONGEST:
            raise ValueError(f"from and to are {SHORTEST:g} to {LONGEST:g} seconds apart")
        return self


class RenditionRequest(RequestModel, RenditionSpec):
    """A file to make."""

    model_config = ConfigDict(extra="forbid")

    format: RenditionFormat = Field(
        description="`mp4` is H.264 with AAC, `webm` VP9 with Opus. `webp` and `gif` are animated "
        "and have at most 10 seconds. `storyboard` is one JPEG with a WebVTT index. `captions` is "
        "the stream's captions as WebVTT."
    )
    aspect: Aspect | None = Field(
        default=None, description="By default that of the preset, else of the source."
    )
    fit: Fit | None = Field(
        default=None,
        description="How a picture gets another shape: `crop` keeps its middle, `pad` all of it on "
        "a blurred background, `track` a part that follows the action, with the score bug at its "
        "top. By default `track` with a preset, else `crop`.",
    )
    watermark: bool = Field(
        default=True, description="False leaves the export's watermark out of this rendition."
    )
    lower_third: bool = Field(
        default=True,
        description="False leaves the export's lower third out of this rendition. Only movies "
        "have one.",
    )
    captions: bool = Field(
        default=False,
        description="True draws the stream's captions into a movie. A rendition fails if the "
        "stream has none.",
    )
    cards: bool = Field(
        default=True,
        description="False leaves the export's intro, outro and end card out of this rendition. "
        "Movies show them; `captions` and `storyboard` have the times of a movie with them.",
    )


class WatermarkRequest(RequestModel, Watermark):
    """Text in any script, or a PNG in base64. Sizes are parts of the picture's shorter side."""

    model_config = ConfigDict(extra="forbid")


class LowerThirdRequest(RequestModel, LowerThird):
    """Title, score and tags at the lower left, for some seconds from `start` on.

    What is left out is that of the highlight, if one is exported.
    """

    model_config = ConfigDict(extra="forbid")


class CaptionStyleRequest(RequestModel, CaptionStyle):
    """How captions are drawn. The height of the text is a part of the picture's shorter side."""

    model_config = ConfigDict(extra="forbid")


class CardRequest(RequestModel, Card):
    """A PNG or JPEG in base64, shown for some seconds in silence, as large as it fits."""

    model_config = ConfigDict(extra="forbid")


class EndCardRequest(RequestModel, EndCard):
    """The last card, by territory (ISO 3166-1 alpha-2); `default` for all others."""

    model_config = ConfigDict(extra="forbid")

    default: CardRequest | None = None
    territories: Annotated[dict[Territory, CardRequest], Field(max_length=MOST_TERRITORIES)] = (
        Field(default={})
    )


class BrandedRequest(RequestModel):
    """What is drawn into the pictures of an export, or of all exports of a batch."""

    watermark: WatermarkRequest | None = None
    lower_third: LowerThirdRequest | None = None
    caption_style: CaptionStyleRequest | None = Field(
        default=None, description="How captions are drawn, where a rendition has `captions`."
    )
    intro: CardRequest | None = Field(default=None, description="Before the source, in movies.")
    outro: CardRequest | None = Field(default=None, description="After the source, in movies.")
    end_card: EndCardRequest | None = Field(
        default=None, description="After the outro, in movies; that of the `territory`."
    )
    territory: Territory | None = Field(
        default=None,
        description="Where the files will be shown, as ISO 3166-1 alpha-2 code. It chooses the end "
        "card.",
    )
    branding: BrandingChoice = Field(
        default=BrandingChoice.DEFAULT,
        description="`default` takes what you leave out from your default branding (`/v1/branding`)"
        ", `none` does not.",
    )


class ExportRequest(BrandedRequest):
    """An export to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REQUEST]})

    source: ExportSourceRequest
    renditions: Annotated[list[RenditionRequest], Field(min_length=1, max_length=MOST_RENDITIONS)]

    @model_validator(mode="after")
    def _check_title(self) -> Self:
        lower = self.lower_third
        if lower is not None and lower.title is None and self.source.highlight_id is None:
            raise ValueError("give lower_third a title, or export a highlight, which has one")
        return self


class ExportSourceModel(BaseModel):
    """What is exported: bounds in seconds of the stream's media time, or of a reel."""

    stream_id: UUID
    highlight_id: UUID | None
    clip_id: UUID | None
    start: float
    end: float
    other_stream_ids: list[UUID] = Field(
        default=[], description="Streams of which a reel has clips, besides `stream_id`."
    )
    chapters: list[ReelChapter] = Field(
        default=[],
        description="The clips of a reel, in seconds of its movie; they begin after its intro.",
    )


class RenditionModel(BaseModel):
    """A file of an export; durations in seconds, size in bytes."""

    number: int = Field(description="Its place in the request, from 1.")
    format: RenditionFormat
    aspect: Aspect
    fit: Fit
    resolution: int | None = Field(description="Limit in pixels of the shorter side, if any.")
    preset: PresetName | None
    target_loudness: int | None = Field(description="LUFS (EBU R128) to bring the sound to.")
    watermark: bool
    lower_third: bool
    captions: bool
    cards: bool = Field(
        description="Whether it shows an intro, outro or end card, or its times count them."
    )
    status: ExportStatus
    url: str | None = Field(description="Signed URL of the file; needs no API key.")
    index_url: str | None = Field(
        description="Signed URL of the HLS playlist or of the storyboard's WebVTT."
    )
    start: float | None = Field(description="Seconds of the stream's media time.")
    duration: float | None
    size: int | None
    width: int | None
    height: int | None
    has_audio: bool | None
    loudness: float | None = Field(description="LUFS measured in the file, if there is a target.")
    blurhash: str | None = Field(description="Of a thumbnail.")
    sha256: str | None = Field(description="SHA-256 of the file, in hex.")
    message: str = Field(description="Why the rendition failed, if it did.")
    ready_at: datetime | None

    @classmethod
    def of(
        cls,
        row: Export,
        number: int,
        rendition: RenditionSpec,
        result: RenderedRendition | None,
        services: Services,
        *,
        spec: ExportSpec,
    ) -> Self:
        """Return a rendition; with links if it is ready."""
        made = result or RenderedRendition(number=number, message=row.message)
        export_status = ExportStatus(row.status)

        def link(exists: object, file: Any) -> str | None:  # noqa: ANN401 - a literal
            if not exists:
                return None
            path = export_path(row.id, number, file)
            return services.links.sign(path, tenant_id=row.tenant_id)

        return cls(
            number=number,
            format=rendition.format,
            aspect=rendition.effective_aspect,
            fit=rendition.effective_fit,
            resolution=rendition.effective_resolution,
            preset=rendition.preset,
            target_loudness=rendition.effective_loudness,
            watermark=spec.watermark is not None and rendition.watermark and rendition.has_picture,
            lower_third=spec.lower_third is not None
            and rendition.lower_third
            and rendition.format in MOVIES,
            captions=rendition.captions,
            cards=bool(spec.cards_of(rendition)),
            status=export_status if result is None else result.status,
            url=link(made.key, "download"),
            index_url=link(made.index, "index"),
            start=made.start,
            duration=made.duration,
            size=made.size,
            width=made.width,
            height=made.height,
            has_audio=None if made.key is None else made.has_audio,
            loudness=made.loudness,
            blurhash=made.blurhash,
            sha256=made.sha256,
            message=made.message if export_status in FINISHED else "",
            ready_at=made.ready_at,
        )


class ExportModel(BaseModel):
    """An export with its renditions."""

    id: UUID
    status: ExportStatus = Field(
        description="`ready` when all renditions are; `failed` when all have finished and one or "
        "more failed. The others can be downloaded then too."
    )
    source: ExportSourceModel
    exact: bool
    batch_id: UUID | None = Field(description="The batch that the export belongs to, if any.")
    branding_version: int | None = Field(
        description="Version of your default branding that the export shows; null for none. Later "
        "changes of the branding do not change the export."
    )
    territory: Territory | None = Field(description="It chose the end card.")
    renditions: list[RenditionModel]
    message: str = Field(description="Why the export failed, if it did.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Export, services: Services) -> Self:
        """Return an export."""
        spec, results = spec_of(row), results_of(row)
        source = spec.source
        return cls(
            id=row.id,
            status=ExportStatus(row.status),
            source=ExportSourceModel(
                stream_id=source.stream_id,
                highlight_id=source.highlight_id,
                clip_id=source.clip_id,
                start=source.start,
                end=source.end,
                other_stream_ids=list(source.other_stream_ids),
                chapters=list(
                    chapters_of_reel(source.parts, source.transition, lead=spec.cards.lead)
                ),
            ),
            exact=spec.exact,
            batch_id=row.batch_id,
            branding_version=spec.branding_version,
            territory=spec.territory,
            renditions=[
                RenditionModel.of(
                    row,
                    number,
                    rendition,
                    results.get(number),
                    services,
                    spec=spec,
                )
                for number, rendition in enumerate(spec.renditions, start=1)
            ],
            message=row.message,
            created_at=row.created_at,
            updated_at=row.updated_at,
            finished_at=row.finished_at,
        )
