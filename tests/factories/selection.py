"""What the tests of selection are made of: candidates, profiles, and a way to deliver them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from hypothesis import strategies as st

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus, HighlightSelector, SelectionState
from domain.profiles.model import DiversityMethod, FillMethod, GameProfile, SelectionLimits
from domain.score import DIMENSIONS, HighlightScore


def profile(
    *,
    per_window: int = 5,
    per_hour: int = 40,
    min_spacing: float = 30.0,
    exceptional_per_window: int = 2,
    window: float = 300.0,
    diversity: float = 0.0,
    diversity_method: DiversityMethod = DiversityMethod.MMR,
    fill: FillMethod = FillMethod.NONE,
    fill_to: int = 4,
) -> GameProfile:
    return GameProfile(
        id="test",
        version="1",
        name="Test",
        selection=SelectionLimits(
            window=window,
            per_window=per_window,
            per_hour=max(per_hour, per_window),
            min_spacing=min_spacing,
            exceptional_per_window=exceptional_per_window,
            diversity=diversity,
            diversity_method=diversity_method,
            fill=fill,
            fill_to=fill_to,
        ),
    )


def score(value: float, confidence: float = 1.0) -> HighlightScore:
    return HighlightScore(**dict.fromkeys(DIMENSIONS, value), confidence=confidence)


def candidate(
    number: int,
    peak: float,
    value: float,
    *,
    title: str = "",
    description: str = "",
    tags: tuple[str, ...] = (),
    length: float = 4.0,
    thumbnail_hash: str | None = None,
) -> HighlightCandidate:
    return HighlightCandidate(
        id=UUID(int=number),
        start=max(0.0, peak - length / 2),
        peak=peak,
        end=peak + length / 2,
        settled_at=peak + length,
        score=score(value),
        analyzer="test",
        title=title,
        description=description,
        tags=tags,
        thumbnail_hash=thumbnail_hash,
    )


class Stream:
    """A stream's selection, call after call, with what its viewers have been told."""

    def __init__(self, rules: GameProfile) -> None:
        self.selector = HighlightSelector(rules)
        self.state = SelectionState()
        self.decisions: dict[UUID, Decision] = {}
        self.history: list[Decision] = []

    def call(
        self,
        *candidates: HighlightCandidate,
        watermark: float,
        ended: bool = False,
    ) -> dict[UUID, Decision]:
        result = self.selector.select(self.state, candidates, watermark=watermark, ended=ended)
        self.state = result.state
        self.history.extend(result.decisions)
        answer = {decision.highlight_id: decision for decision in result.decisions}
        self.decisions.update(answer)
        return answer

    def status(self, number: int) -> DecisionStatus | None:
        decision = self.decisions.get(UUID(int=number))
        return decision.status if decision else None

    def confirmed(self) -> list[Decision]:
        return sorted(
            (item for item in self.decisions.values() if item.status is DecisionStatus.CONFIRMED),
            key=lambda item: item.peak,
        )


def run(
    rules: GameProfile,
    candidates: Sequence[HighlightCandidate],
    watermarks: Iterable[float] = (),
    *,
    delays: Sequence[float] = (),
    end: float = 1e5,
) -> Stream:
    """Deliver by the contract: each no later than the call whose watermark passes its peak.

    `delays` shift a candidate's delivery to an earlier call (by media seconds before its peak).
    """
    stream = Stream(rules)
    lead = list(delays) + [0.0] * (len(candidates) - len(delays))
    left = list(zip(candidates, lead, strict=True))
    for mark in sorted(watermarks):
        due = [one for one, early in left if one.peak - early < mark]
        left = [(one, early) for one, early in left if one.peak - early >= mark]
        stream.call(*due, watermark=mark)
    stream.call(*(one for one, _ in left), watermark=end, ended=True)
    return stream


def outcome(stream: Stream) -> list[tuple[UUID, float, float, float]]:
    """What must not depend on delivery: who is confirmed, with which score and clip."""
    return [
        (item.highlight_id, item.score, item.clip_start, item.clip_end)
        for item in stream.confirmed()
    ]


VALUES = st.one_of(
    st.sampled_from([0.6, 0.7, 0.8, 0.9, 0.95, 1.0]),
    st.floats(0.65, 1.0).map(lambda value: round(value, 4)),
)
PEAKS = st.one_of(
    st.integers(0, 130).map(lambda tens: tens * 10.0),
    st.integers(250, 350).map(float),
    st.floats(0, 1300).map(lambda value: round(value, 3)),
)
TITLES = ("", "goal from the left corner", "goal from the right corner", "late save by keeper")
TAGS = ((), ("goal",), ("save",), ("goal", "corner"))


@st.composite
def candidates(draw: st.DrawFn, *, most: int = 24, plain: bool = False) -> list[HighlightCandidate]:
    """Draw candidates over some windows, crowded enough that every rule comes into play."""
    rows = draw(
        st.lists(
            st.tuples(PEAKS, VALUES, st.sampled_from(TITLES), st.sampled_from(TAGS)),
            max_size=most,
        )
    )
    return [
        candidate(
            number,
            peak,
            value,
            title="" if plain else title,
            tags=() if plain else tags,
        )
        for number, (peak, value, title, tags) in enumerate(rows, start=1)
    ]


PROFILES = st.builds(
    profile,
    per_window=st.integers(1, 8),
    per_hour=st.integers(1, 12),
    min_spacing=st.sampled_from([0.0, 10.0, 30.0, 120.0]),
    exceptional_per_window=st.integers(0, 2),
    window=st.sampled_from([120.0, 300.0]),
    diversity=st.sampled_from([0.0, 0.0, 0.4]),
    diversity_method=st.sampled_from(DiversityMethod),
    fill=st.sampled_from(FillMethod),
    fill_to=st.integers(1, 6),
)
WATERMARKS = st.one_of(
    st.lists(st.floats(0, 1500).map(lambda value: round(value, 1)), max_size=12),
    st.sampled_from([7.0, 15.0, 40.0, 100.0]).map(
        lambda step: [step * index for index in range(1, int(1500 / step))]
    ),
)
"""A few calls at any time, or one every so many seconds as in a live stream."""
