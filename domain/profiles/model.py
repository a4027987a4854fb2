"""Game profiles: what matters in one game or sport, and the limits of selection.

Profiles are written in YAML (`game_configs/`), inherit by `extends:` and are resolved by
`domain.profiles.documents`; this module is the schema of the resolved result.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import combinations
from typing import Annotated, Final, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from domain.model import Model
from domain.profiles.criteria import Criteria
from domain.score import DIMENSIONS, Unit
from domain.text import LanguageTags

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


Words = Annotated[str, Field(min_length=1, max_length=600)]


class MomentLength(Model):
    """How long a kind of moment lasts, build-up and reaction included; seconds."""

    shortest: PositiveFloat = Field(le=300.0)
    typical: PositiveFloat = Field(le=300.0)
    longest: PositiveFloat = Field(le=300.0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.shortest <= self.typical <= self.longest:
            raise PydanticCustomError(
                "lengths_unordered",
                "a moment's length must rise: shortest {shortest} <= typical {typical} "
                "<= longest {longest} does not hold",
                self.model_dump(),
            )
        return self


class MomentKind(Model):
    """One kind of moment: what it looks like, how long it lasts, what it is tagged with.

    `markets` names the betting markets whose odds it moves (keys of the profile's `markets`).
    """

    words: Words
    length: MomentLength
    tags: tuple[Slug, ...] = ()
    markets: tuple[Slug, ...] = ()


class MediaResolution(StrEnum):
    """Image resolution for a vision model; `high` if small text on the screen matters."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class PromptVocabulary(Model):
    """Description of the game for a vision or language model.

    Attributes:
        subject: one or two sentences: what is being watched.
        look_for: what counts, most telling first.
        ignore: what must not be taken for a highlight.
        terms: words of the game, and what they mean.
    """

    subject: Words = "A live broadcast."
    look_for: tuple[Words, ...] = ()
    ignore: tuple[Words, ...] = ()
    terms: dict[str, Words] = Field(default_factory=dict)


class SignalTrust(Model):
    """How far each local signal speaks for a moment in this game; 1 is neutral, 0 is ignored."""

    loudness: float = Field(default=1.0, ge=0.0, le=2.0)
    onset: float = Field(default=1.0, ge=0.0, le=2.0)
    scene_change: float = Field(default=1.0, ge=0.0, le=2.0)
    motion: float = Field(default=1.0, ge=0.0, le=2.0)
    timed_metadata: float = Field(default=1.0, ge=0.0, le=2.0)


class AnalyzerHints(Model):
    """How to watch this game.

    Attributes:
        reaction_delay: seconds by which crowd and commentary follow the event.
        signals: trust in each local signal.
        frames_per_second: frames a vision model should see, in (0, 24].
        media_resolution: how closely it should look.
    """

    reaction_delay: NonNegativeFloat = Field(default=1.0, le=10.0)
    signals: SignalTrust = SignalTrust()
    frames_per_second: PositiveFloat = Field(default=1.0, le=24.0)
    media_resolution: MediaResolution = MediaResolution.LOW


class HudKind(StrEnum):
    """What a region of the screen holds."""

    SCORE = "score"  # numbers that rise: goals, points, kills
    CLOCK = "clock"  # the clock of the match and its period
    FEED = "feed"  # lines about what happened, the newest added
    BANNER = "banner"  # words that appear for a few seconds


_HIGHEST_BOX: Final = 0.5


class HudBox(Model):
    """A box in shares of the picture's width and height, from its top left corner."""

    x: Unit
    y: Unit
    width: float = Field(ge=0.005, le=1.0)
    height: float = Field(ge=0.01, le=_HIGHEST_BOX)

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for side, start, length in (("x", self.x, self.width), ("y", self.y, self.height)):
            if start + length > 1.0 + WEIGHT_TOLERANCE:
                raise PydanticCustomError(
                    "box_outside",
                    "the box lies outside the picture: {side} {start} + {name} {length} is "
                    "{total}, and the picture ends at 1",
                    {
                        "side": side,
                        "name": "width" if side == "x" else "height",
                        "start": f"{start:g}",
                        "length": f"{length:g}",
                        "total": f"{start + length:g}",
                    },
                )
        return self

    @property
    def area(self) -> float:
        """Share of the picture, 0 to 1."""
        return self.width * self.height

    def union(self, other: HudBox) -> HudBox:
        """Return the smallest box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return HudBox(x=x, y=y, width=right - x, height=min(_HIGHEST_BOX, bottom - y))

    def overlap(self, other: HudBox) -> float:
        """Return the common share of the picture, 0 to 1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, width) * max(0.0, height)


class HudRegion(Model):
    """A region of the screen with text; `holds` says what kind of text."""

    holds: HudKind
    box: HudBox


_MOST_OVERLAP: Final = 0.5


class Hud(Model):
    """Text on the screen: where it stands and what it means.

    Attributes:
        regions: where it stands. Without regions, they are learned from what stays in its place
            while the rest of the picture moves.
        learn: False to read nothing where no regions are given.
        score: how much a change of the score speaks for a moment, 0 to 1. A change counts less in
            a stream whose score changes often.
        score_step: the most points that one event gives. A greater rise is taken for a reading
            error.
        words: words of banners and feeds, and how much each speaks for a moment, 0 to 1.
    """

    regions: dict[Slug, HudRegion] = Field(default_factory=dict, max_length=8)
    learn: bool = True
    score: Unit = 1.0
    score_step: PositiveInt = Field(default=25, le=1_000_000)
    words: dict[Annotated[str, Field(min_length=2, max_length=60)], Unit] = Field(
        default_factory=dict, max_length=100
    )

    @model_validator(mode="after")
    def _separate(self) -> Self:
        for (one, first), (other, second) in combinations(self.regions.items(), 2):
            smaller = min(first.box.area, second.box.area)
            share = first.box.overlap(second.box) / smaller
            if share > _MOST_OVERLAP:
                raise PydanticCustomError(
                    "regions_overlap",
                    "regions `{one}` and `{other}` overlap by {share} of the smaller one, so that "
                    "the same text would be read twice: separate them or remove one",
                    {"one": one, "other": other, "share": f"{share:.0%}"},
                )
        return self


WEIGHT_TOLERANCE: Final = 1e-6


DEFAULT_PROFILE: Final = "default"


class ProfileKind(StrEnum):
    """Kind of subject that a profile covers."""

    DEFAULT = "default"  # anything without a profile
    ESPORT = "esport"
    SPORT = "sport"
    BETTING = "betting"  # a variant of its parent, for moments that move odds


class DiversityMethod(StrEnum):
    """How score is traded for variety (see `SelectionLimits.diversity`)."""

    MMR = "mmr"  # maximal marginal relevance: Carbonell & Goldstein, SIGIR 1998
    COVERAGE = "coverage"  # a submodular gain for tags not shown yet


class FillMethod(StrEnum):
    """What a window shows that has fewer good moments than `SelectionLimits.fill_to`."""

    NONE = "none"  # only moments that reach the standard threshold
    BEST_OF = "best_of"  # also its best moments below it, which keep the tier `below`


class Aliases(Model):
    """Names of a game or sport in any language and script, by which its profile is found.

    Attributes:
        names: what the game itself is called. Decisive: found within longer texts and with typos.
        leagues: leagues, tournaments and teams, and words shared with other games. Found in the
            same way, but they yield to another profile's name ("Champions League" is soccer,
            "Basketball Champions League" is not).
        whole_text: short or ambiguous names that count only as the whole text ("lol", "cs").
    """

    names: tuple[Words, ...] = ()
    leagues: tuple[Words, ...] = ()
    whole_text: tuple[Words, ...] = ()


class Thresholds(Model):
    """Combined scores from which a candidate belongs to a tier."""

    exceptional: Unit = 0.95
    high_quality: Unit = 0.85
    standard: Unit = 0.70

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.standard < self.high_quality < self.exceptional:
            raise PydanticCustomError(
                "thresholds_unordered",
                "thresholds must rise: standard {standard} < high_quality {high_quality} "
                "< exceptional {exceptional} does not hold",
                self.model_dump(),
            )
        return self


class SelectionLimits(Model):
    """Maximum number of highlights and minimum distance; times in seconds.

    Attributes:
        window: length of a selection window.
        per_window: most highlights with peaks in one window.
        per_hour: most highlights in any hour.
        min_spacing: least distance between two peaks.
        exceptional_per_window: how many exceptional moments of one window may ignore spacing and
            quotas.
        diversity: 0 chooses by score alone; towards 1, variety counts for more and score for less.
        diversity_method: how variety is measured.
        fill: `best_of` adds the best moments below the standard threshold to a window that has few
            good ones. They are confirmed when the window closes, with the tier `below`.
        fill_to: the number of highlights of a window up to which weak moments are added; never
            more than `per_window`.
    """

    window: PositiveFloat = Field(default=300.0, ge=30.0, le=3600.0)
    per_window: PositiveInt = Field(default=8, le=60)
    per_hour: PositiveInt = Field(default=60, le=600)
    min_spacing: NonNegativeFloat = Field(default=30.0, le=600.0)
    exceptional_per_window: int = Field(default=2, ge=0, le=20)
    diversity: Unit = 0.0
    diversity_method: DiversityMethod = DiversityMethod.MMR
    fill: FillMethod = FillMethod.NONE
    fill_to: PositiveInt = Field(default=4, le=60)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.per_hour < self.per_window:
            raise PydanticCustomError(
                "limits_contradict",
                "per_hour ({per_hour}) is below per_window ({per_window}): "
                "raise per_hour or lower per_window",
                {"per_hour": self.per_hour, "per_window": self.per_window},
            )
        if self.min_spacing > self.window:
            raise PydanticCustomError(
                "limits_contradict",
                "min_spacing ({min_spacing} s) is longer than window ({window} s)",
                {"min_spacing": self.min_spacing, "window": self.window},
            )
        return self


class ClipShape(Model):
    """Margins and length limits of a clip around its moment, in seconds.

    `pre_roll` and `post_roll` are added before the moment's start and after its end, which
    already hold the build-up and the reaction, so they are small.
    """

    pre_roll: NonNegativeFloat = Field(default=2.0, le=30.0)
    post_roll: NonNegativeFloat = Field(default=1.5, le=30.0)
    min_length: PositiveFloat = Field(default=6.0, le=120.0)
    max_length: PositiveFloat = Field(default=40.0, le=300.0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_length > self.max_length:
            raise PydanticCustomError(
                "lengths_contradict",
                "min_length ({min_length} s) is longer than max_length ({max_length} s)",
                {"min_length": self.min_length, "max_length": self.max_length},
            )
        if self.pre_roll + self.post_roll >= self.max_length:
            raise PydanticCustomError(
                "lengths_contradict",
                "pre_roll + post_roll ({rolls} s) leave no room for the moment within "
                "max_length ({max_length} s)",
                {"rolls": self.pre_roll + self.post_roll, "max_length": self.max_length},
            )
        return self


class SimilarityThresholds(Model):
    """Limits beyond which two candidates count as the same moment.

    Attributes:
        time_overlap: intersection over union of their spans, in [0, 1].
        text: similarity of title and description by RapidFuzz, in [0, 1].
        tags: Jaccard index of their tags, in [0, 1].
        thumbnail_distance: greatest Hamming distance (bits of 64) of perceptual hashes.
    """

    time_overlap: Unit = 0.5
    text: Unit = 0.85
    tags: Unit = 0.8
    thumbnail_distance: int = Field(default=8, ge=0, le=64)


def _default_weights() -> dict[str, float]:
    return dict(zip(DIMENSIONS, (0.25, 0.20, 0.15, 0.10, 0.10, 0.08, 0.07, 0.05), strict=True))


def _weights_schema(schema: JsonDict) -> None:
    """Add the eight names for editors: the field itself is a plain mapping."""
    schema.pop("additionalProperties", None)
    schema["properties"] = {
        name: {"type": "number", "minimum": 0, "maximum": 1} for name in DIMENSIONS
    }
    schema["additionalProperties"] = False


class GameProfile(Model):
    """The complete rules for one game, after inheritance and overrides.

    Attributes:
        id: the file's name without `.yaml`.
        version: a hash of the content: the same rules have the same version everywhere.
        name: what people read.
        kind: esport, sport, or a betting variant of its parent.
        description: what matters in this game, in a sentence or two.
        extends: the parent, whose values apply where this profile has none.
        aliases: names that find this profile (not inherited).
        weights: each of the eight dimensions' share of the combined score; they sum to 1.
        tags: the taxonomy: groups of tags that moments of this game may carry.
        markets: betting markets, and what each of them is.
        moments: the kinds of moment this game has.
        hud: text on the screen.
        languages: languages of titles and tags, unless a stream asks for others.
        criteria: what a stream asked for in a sentence. No file or override gives it.
    """

    id: Slug
    version: str
    name: Words
    kind: ProfileKind = ProfileKind.DEFAULT
    description: str = ""
    extends: Slug | None = None
    aliases: Aliases = Aliases()
    weights: dict[str, Unit] = Field(
        default_factory=_default_weights, json_schema_extra=_weights_schema
    )
    thresholds: Thresholds = Thresholds()
    selection: SelectionLimits = SelectionLimits()
    clip: ClipShape = ClipShape()
    similarity: SimilarityThresholds = SimilarityThresholds()
    tags: dict[Slug, tuple[Slug, ...]] = Field(default_factory=dict)
    markets: dict[Slug, Words] = Field(default_factory=dict)
    moments: dict[Slug, MomentKind] = Field(default_factory=dict)
    prompt: PromptVocabulary = PromptVocabulary()
    analyzer: AnalyzerHints = AnalyzerHints()
    hud: Hud = Hud()
    languages: LanguageTags = ()
    criteria: Criteria | None = None

    def with_version(self, version: str) -> GameProfile:
        """Return a copy that carries `version`, the hash of its content."""
        return self._replace(version, languages=self.languages, criteria=self.criteria)

    def with_wishes(
        self, *, languages: tuple[str, ...] | None, criteria: Criteria | None
    ) -> GameProfile:
        """Return a copy with what one stream asks for, without a version.

        `languages` are those of the profile if they are None.
        """
        return self._replace(
            "",
            languages=self.languages if languages is None else languages,
            criteria=criteria,
        )

    def _replace(
        self, version: str, *, languages: tuple[str, ...], criteria: Criteria | None
    ) -> GameProfile:
        return GameProfile(
            id=self.id,
            version=version,
            name=self.name,
            kind=self.kind,
            description=self.description,
            extends=self.extends,
            aliases=self.aliases,
            weights=self.weights,
            thresholds=self.thresholds,
            selection=self.selection,
            clip=self.clip,
            similarity=self.similarity,
            tags=self.tags,
            markets=self.markets,
            moments=self.moments,
            prompt=self.prompt,
            analyzer=self.analyzer,
            hud=self.hud,
            languages=languages,
            criteria=criteria,
        )

    def all_tags(self) -> frozenset[str]:
        """Return every tag of the taxonomy."""
        return frozenset(tag for group in self.tags.values() for tag in group)

    @model_validator(mode="after")
    def _weights_complete(self) -> Self:
        for key in self.weights:
            if key not in DIMENSIONS:
                raise PydanticCustomError(
                    "unknown_key",
                    "`{key}` is not a dimension",
                    {"key": key, "path": ("weights", key), "valid": DIMENSIONS},
                )
        missing = [name for name in DIMENSIONS if name not in self.weights]
        if missing:
            raise PydanticCustomError(
                "weights_incomplete",
                "weights must name all eight dimensions; missing: {missing}",
                {"missing": ", ".join(missing), "path": ("weights",)},
            )
        total = sum(self.weights.values())
        if abs(total - 1.0) > WEIGHT_TOLERANCE:
            raise PydanticCustomError(
                "weights_sum",
                "weights must sum to 1; they sum to {total}: {advice}",
                {
                    "total": f"{total:.6g}",
                    "advice": f"{'take away' if total > 1 else 'add'} {abs(total - 1):.6g}",
                    "path": ("weights",),
                },
            )
        return self

    @model_validator(mode="after")
    def _moments_use_known_words(self) -> Self:
        tags, markets = self.all_tags(), self.markets
        for name, moment in self.moments.items():
            for field, known in (("tags", tags), ("markets", markets)):
                for index, value in enumerate(getattr(moment, field)):
                    if value not in known:
                        raise PydanticCustomError(
                            "unknown_key",
                            "`{key}` is not among the profile's {field}",
                            {
                                "key": value,
                                "field": field,
                                "path": ("moments", name, field, index),
                                "valid": tuple(sorted(known)),
                            },
                        )
        return self

    @model_validator(mode="after")
    def _betting_moves_markets(self) -> Self:
        betting = self.kind is ProfileKind.BETTING
        if betting and not any(moment.markets for moment in self.moments.values()):
            raise PydanticCustomError(
                "markets_missing",
                "a betting profile must say which markets its moments move: "
                "give `markets` and at least one moment's `markets`",
                {"path": ("markets",)},
            )
        return self
