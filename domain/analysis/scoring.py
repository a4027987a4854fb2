"""Scores of a moment from the measurements around it.

Evidence is combined on a logistic scale, as for independent detectors: each cue adds its weight of
evidence, and no cue alone is enough if other available cues are silent. The eight dimensions are
offsets from that common value by the cues that support them. They are inferred from excitement,
not from an understanding of play, which is why the confidence is limited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from domain.analysis.fusion import FusedEvidence
from domain.analysis.screen import ScreenFact, ScreenFactKind
from domain.highlights.candidate import USUAL_IMPORTANCE, Evidence, Mark
from domain.model import Model
from domain.score import DIMENSIONS, HighlightScore


class Cues(Model):
    """Measurements around a moment; None if the stream has no such signal.

    Attributes:
        crowd: rise of the crowd level above its baseline, dB.
        crowd_sigmas: the same in spreads of the baseline.
        voice: rise of the voice level above its baseline, in spreads.
        motion: rise of motion above its baseline, in spreads.
        cuts: cuts and flashes from shortly before the peak on.
        cuts_before: cuts in the ten seconds before the moment.
        tonality: of the sound where the crowd was loudest, 0 (noise) to 1 (tones).
        decay: share of the rise that was gone when the moment was settled, 0 to 1.
        dynamics: standard deviation of the loudness while the crowd was still loud, dB.
        held: seconds in which the crowd was near its loudest.
        sustained: share of its rise that the crowd kept through most of the seconds around its
            peak, 0 to 1.
        attack: how sudden the beginning was, 0 to 1.
        known: how complete the baselines were, 0 to 1.
        quiet_before: how far the crowd level fell below its baseline just before, dB.
        record: True if nothing in the baseline was as loud.
        mark: the tenant's mark; None without one.
        damaged: share of the moment without measurements, 0 to 1.
        screen: what the screen said, in order of time.
        fused: the fitted fusion at the peak; None where it is not known yet.
    """

    crowd: float | None = None
    crowd_sigmas: float | None = None
    voice: float | None = None
    motion: float | None = None
    cuts: int = 0
    cuts_before: int = 0
    tonality: float = 0.0
    decay: float = 1.0
    dynamics: float = 3.0
    held: float = 0.0
    sustained: float = 1.0
    attack: float = 1.0
    known: float = 1.0
    quiet_before: float = 0.0
    record: bool = False
    mark: Mark | None = None
    damaged: float = 0.0
    screen: tuple[ScreenFact, ...] = ()
    fused: FusedEvidence | None = None

    def with_mark(self, mark: Mark | None) -> Cues:
        """Return the cues with a tenant's mark, or without any."""
        return self._with(mark=mark, screen=self.screen)

    def with_screen(self, screen: tuple[ScreenFact, ...]) -> Cues:
        """Return the cues with other facts from the screen."""
        return self._with(mark=self.mark, screen=screen)

    def _with(self, *, mark: Mark | None, screen: tuple[ScreenFact, ...]) -> Cues:
        return Cues(
            crowd=self.crowd,
            crowd_sigmas=self.crowd_sigmas,
            voice=self.voice,
            motion=self.motion,
            cuts=self.cuts,
            cuts_before=self.cuts_before,
            tonality=self.tonality,
            decay=self.decay,
            dynamics=self.dynamics,
            held=self.held,
            sustained=self.sustained,
            attack=self.attack,
            known=self.known,
            quiet_before=self.quiet_before,
            record=self.record,
            mark=mark,
            damaged=self.damaged,
            screen=screen,
            fused=self.fused,
        )

    def with_fused(self, fused: FusedEvidence | None) -> Cues:
        """Return the cues with the verdict of the fitted fusion."""
        return Cues.model_validate({**dict(self), "fused": fused})


_WORTH_A_WORD: Final = 0.3
_HUSH: Final = 3.0
_PRIOR: Final = -3.4
_CROWD: Final = 3.4
_VOICE: Final = 1.5
_MOTION: Final = 1.6
_CUTS: Final = 1.7
_MARK: Final = 5.0
_SCREEN: Final = 5.0
_STEADY: Final = -1.3
_CUT_DENSE: Final = -1.2
_TONAL: Final = -0.8
_ADVERT: Final = -4.2
_UNANSWERED: Final = -2.0
_GRADUAL: Final = -0.8
_YOUNG: Final = -1.0
_BRIEF: Final = -6.0
# Above this the rest counts less and less, so that exceptional scores stay rare.
_SOFT: Final = 1.6
_MOST: Final = 2.75
_EXTRAORDINARY: Final = 0.4
# What the fusion alone may reach: a probability of 0.65, below any shipped threshold.
_FUSED_MOST: Final = 0.62
_SILENT_PICTURE: Final = 3.2
_UNSEEN_SOUND: Final = 1.7


def support(value: float | None, *, none_at: float, full_at: float) -> float:
    """Return how much a measurement supports a moment, 0 to 1, smoothly between two levels."""
    if value is None:
        return 0.0
    x = min(1.0, max(0.0, (value - none_at) / (full_at - none_at)))
    return x * x * (3.0 - 2.0 * x)


def excitement(cues: Cues) -> float:
    """Return the weight of evidence for a moment, in nats (the logit of a probability).

    Other cues add to a tenant's mark and to what the screen says but never count against it. A
    moment that the fitted fusion found is weighed by the fusion, and is a weak one at most.
    """
    certain = max(_marked(cues), screen_weight(cues.screen)) or -math.inf
    if cues.fused is None:
        total = _PRIOR + max(sum(_parts(cues).values()), certain)
    else:
        total = max(_weak(cues.fused.logit), _PRIOR + certain)
    most = _MOST + _EXTRAORDINARY * (cues.record + (cues.mark is not None))
    if total <= _SOFT:
        return total
    return _SOFT + (most - _SOFT) * math.tanh((total - _SOFT) / (most - _SOFT))


def _weak(logit: float) -> float:
    """Return a logit of the fusion, bounded by `_FUSED_MOST` so that the order stays the same."""
    return logit if logit <= 0 else _FUSED_MOST * math.tanh(logit / _FUSED_MOST)


def _parts(cues: Cues) -> dict[str, float]:
    heard, seen = cues.crowd is not None, cues.motion is not None
    crowd, voice = _crowd_support(cues), support(cues.voice, none_at=1.0, full_at=3.5)
    brevity = _brevity(cues) if heard else 0.0
    parts = {
        "crowd": _CROWD * crowd,
        "voice": _VOICE * voice * (1.0 - brevity),
        "motion": _MOTION * support(cues.motion, none_at=0.8, full_at=2.4),
        "cuts": _CUTS * support(cues.cuts, none_at=0.0, full_at=3.0),
        "mark": _marked(cues),
        "screen": screen_weight(cues.screen),
        "steady": _STEADY * _steadiness(cues) * heard,
        "gradual": _GRADUAL * crowd * (1.0 - support(cues.attack, none_at=0.35, full_at=0.7)),
        "brief": _BRIEF * crowd * brevity,
        "unanswered": _UNANSWERED * crowd * _calm(cues) * seen,
        "young": _YOUNG * (1.0 - cues.known),
        "cut_dense": _CUT_DENSE * support(cues.cuts_before, none_at=4.0, full_at=12.0),
        "tonal": _TONAL * support(cues.tonality, none_at=0.5, full_at=0.8),
        "advert": _ADVERT
        * support(cues.tonality, none_at=0.25, full_at=0.33)
        * (1.0 - support(cues.dynamics, none_at=0.7, full_at=1.4)),
    }
    # A missing audio or video track does not count against the moment: the other cues get its
    # weight, and the confidence is lower.
    if heard and not seen:
        parts["unseen"] = _UNSEEN_SOUND * crowd
    if seen and not heard:
        parts["unheard"] = _SILENT_PICTURE * support(cues.motion, none_at=1.0, full_at=3.0)
    return parts


def _marked(cues: Cues) -> float:
    return _MARK * cues.mark.importance / USUAL_IMPORTANCE if cues.mark is not None else 0.0


def screen_weight(facts: Sequence[ScreenFact]) -> float:
    """Return how much facts from the screen speak for a moment, in nats.

    Facts about one moment are not independent (a banner follows the goal that the score counts),
    so that the doubts multiply and the weight never exceeds that of one certain fact.
    """
    doubt = 1.0
    for fact in facts:
        doubt *= 1.0 - fact.weight
    return _SCREEN * (1.0 - doubt)


def _crowd_support(cues: Cues) -> float:
    """Return how much the crowd level supports a moment, 0 to 1.

    A crowd sounds like noise. A great rise with tones is loud music, since a crowd that loud would
    mask them; a small rise may be masked by a voice.
    """
    rise = min(
        support(cues.crowd, none_at=2.5, full_at=10.0),
        support(cues.crowd_sigmas, none_at=1.0, full_at=4.0),
    )
    contradicted = max(
        support(cues.crowd, none_at=9.0, full_at=13.0)
        * support(cues.tonality, none_at=0.29, full_at=0.42)
        * (1.0 - support(cues.dynamics, none_at=1.2, full_at=2.5)),
        support(cues.tonality, none_at=0.6, full_at=0.78),
    )
    return rise * (1.0 - contradicted)


def _calm(cues: Cues) -> float:
    """Return how little commentary and direction reacted to the crowd, 0 to 1."""
    voice = support(cues.voice, none_at=0.5, full_at=2.0)
    cuts = support(cues.cuts, none_at=0.0, full_at=2.5)
    return (1.0 - voice) * (1.0 - cuts)


def _brevity(cues: Cues) -> float:
    """Return how much the sound is a bang of the game rather than a crowd, 0 to 1."""
    return 1.0 - support(cues.sustained, none_at=0.2, full_at=0.55)


def _steadiness(cues: Cues) -> float:
    """Return how much the sound is a new level rather than a fading reaction, 0 to 1."""
    undecayed = 1.0 - support(cues.decay, none_at=0.05, full_at=0.4)
    return max(undecayed, support(cues.held, none_at=5.5, full_at=8.0))


def score(cues: Cues) -> HighlightScore:
    """Return the eight dimensions and the confidence.

    Each dimension is the logistic of the common evidence plus its own offset. The offsets
    keep the mean of the dimensions equal to the logistic of the evidence, so that offsets never
    lower the total, and any sensible weights give about the same total.
    """
    base = excitement(cues)
    crowd = _crowd_support(cues) - 0.6
    voice = support(cues.voice, none_at=1.0, full_at=3.5) - 0.6
    motion = support(cues.motion, none_at=0.8, full_at=2.4) - 0.6
    cuts = support(cues.cuts, none_at=0.0, full_at=3.0) - 0.6
    leans = {
        "skill_execution": 0.4 * motion + 0.3 * voice,
        "game_impact": 0.4 * crowd + 0.3 * cuts,
        "rarity": 0.35 if cues.record else -0.15,
        "visual_spectacle": 0.5 * motion + 0.3 * cuts,
        "emotional_intensity": 0.5 * crowd + 0.4 * voice,
        "narrative_value": 0.5 * cuts + 0.2 * voice,
        "timing_importance": 0.3 * crowd + 0.2 * voice,
        "momentum_shift": 0.3 * support(cues.quiet_before, none_at=1.0, full_at=5.0) - 0.1,
    }
    if any(fact.kind is ScreenFactKind.SCORE for fact in cues.screen):
        leans["game_impact"] += 0.4
        leans["momentum_shift"] += 0.2
    centre = _centre(base, tuple(leans.values()))
    values = {name: round(_logistic(centre + leans[name]), 4) for name in DIMENSIONS}
    return HighlightScore(**values, confidence=_confidence(cues, base))


def _centre(base: float, leans: tuple[float, ...]) -> float:
    """Return the value to add the offsets to, so that the mean of the logistics is that of `base`.

    It differs from `base` minus the mean offset because the logistic is not linear. Offsets are
    below 1, where three Newton steps leave an error far below the fourth decimal.
    """
    centre = base - sum(leans) / len(leans)
    for _ in range(3):
        values = [_logistic(centre + lean) for lean in leans]
        slope = sum(value * (1.0 - value) for value in values)
        centre += (len(leans) * _logistic(base) - sum(values)) / slope
    return centre


def _confidence(cues: Cues, base: float) -> float:
    """Return the confidence of the scores, by available tracks and clarity of the evidence.

    Local signals show that something happened, not what, so that it never exceeds 0.8.
    """
    senses = 0.5 + 0.25 * (cues.crowd is not None) + 0.25 * (cues.motion is not None)
    clear = 0.5 + 0.5 * abs(2.0 * _logistic(base) - 1.0)
    told = cues.mark.importance / USUAL_IMPORTANCE if cues.mark is not None else 0.0
    read = 0.75 * screen_weight(cues.screen) / _SCREEN
    known = max(min(0.75, 0.75 * told), read)
    return round(max(0.8 * senses * clear * (1.0 - cues.damaged), known), 3)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def evidence(cues: Cues) -> tuple[Evidence, ...]:
    """Return the cues as texts, by descending weight."""
    parts = _parts(cues)
    crowd, sigmas = cues.crowd or 0.0, cues.crowd_sigmas or 0.0
    said = {
        "crowd": (sigmas, f"crowd {crowd:.0f} dB ({sigmas:.1f} sigma) above the last minutes"),
        "voice": (cues.voice or 0.0, f"voices {cues.voice or 0.0:.1f} sigma above usual"),
        "motion": (cues.motion or 0.0, f"motion {cues.motion or 0.0:.1f} sigma above usual"),
        "cuts": (float(cues.cuts), f"{cues.cuts} cuts or flashes around the peak"),
        "mark": (_marked(cues), _mark_words(cues.mark)),
        "screen": (screen_weight(cues.screen), _screen_words(cues.screen)),
        "steady": (-sigmas, "the sound stays as loud as it became"),
        "unanswered": (-sigmas, "neither voices nor cuts answer the crowd"),
        "gradual": (-sigmas, "the sound grew gradually"),
        "brief": (-sigmas, "the sound was over at once, as a bang of the game is"),
        "cut_dense": (-float(cues.cuts_before), "cut as densely as an advert before"),
        "advert": (-cues.tonality, "tones of even loudness, as in adverts"),
        "tonal": (-cues.tonality, "sounds like music rather than a crowd"),
        "young": (0.0, "too early in the stream to know what is usual"),
    }
    weighty = sorted(
        (name for name in said if abs(parts[name]) > _WORTH_A_WORD), key=lambda n: -abs(parts[n])
    )
    return (
        *(
            Evidence(signal=name, strength=round(said[name][0], 2), words=said[name][1])
            for name in weighty
        ),
        *_fused_evidence(cues),
    )


_ROSE_AND_FELL: Final = "rose and fell as around moments of other games"
_CUT_FOLLOWED: Final = "a cut followed as after moments of other games"


def _fused_evidence(cues: Cues) -> tuple[Evidence, ...]:
    """Return the channels that the fusion names, if the moment rests on the fusion."""
    if cues.fused is None:
        return ()
    return tuple(
        Evidence(
            signal=name,
            strength=part,
            words=_CUT_FOLLOWED if name == "cut" else f"{name.replace('_', ' ')} {_ROSE_AND_FELL}",
        )
        for name, part in cues.fused.parts.items()
    )


SIGNAL_TAGS: Final = frozenset(
    {
        *("loud_crowd", "excited_commentary", "fast_play", "quick_cuts", "hush_before"),
        "loudest_so_far",
        *("crowd_swell", "commentator_burst", "scene_cuts"),  # as they were called before
    }
)
"""Tags that name a signal: most good moments have most of them, so they distinguish none."""


_MOST_FACTS: Final = 3


def _screen_words(facts: Sequence[ScreenFact]) -> str:
    leading = sorted(facts, key=lambda each: -each.weight)[:_MOST_FACTS]
    return ", ".join(dict.fromkeys(each.words for each in leading))


def _mark_words(mark: Mark | None) -> str:
    if mark is None:
        return ""
    if mark.feed is not None:
        return f"{mark.feed.words} (importance {mark.importance:.1f})"
    return f"marked by the tenant: {mark.label} (importance {mark.importance:.1f})"


def tags(cues: Cues) -> tuple[str, ...]:
    """Return the tags of the moment."""
    parts = _parts(cues)
    named = (
        ("loud_crowd", parts["crowd"] > 0.4 * _CROWD),
        ("excited_commentary", parts["voice"] > 0.4 * _VOICE),
        ("fast_play", parts["motion"] > 0.4 * _MOTION),
        ("quick_cuts", cues.cuts > 1),
        ("hush_before", cues.quiet_before > _HUSH),
        ("loudest_so_far", cues.record),
        ("score_change", any(fact.kind is ScreenFactKind.SCORE for fact in cues.screen)),
        ("score_corrected", any(f.kind is ScreenFactKind.CORRECTION for f in cues.screen)),
    )
    found = tuple(tag for tag, holds in named if holds)
    return (*found, *((cues.mark.label,) if cues.mark else ()))
