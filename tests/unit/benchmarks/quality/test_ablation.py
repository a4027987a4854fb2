"""Taking a signal away takes away that signal, and nothing else."""

from __future__ import annotations

import pytest

from benchmarks.quality.ablation import ABLATIONS, without
from domain.analysis.signals import (
    KeyPicture,
    PictureFrame,
    SegmentSignals,
    SignalFrame,
    SoundFrame,
)


def _signals() -> list[SegmentSignals | None]:
    def frame(number: int) -> SignalFrame:
        return SignalFrame(
            start=number * 0.25,
            duration=0.25,
            sound=SoundFrame(
                loudness=-30.0 + number,
                roar=-40.0 + number,
                speech_band=-35.0 + number,
                tonality=number / 10,
                onset=float(number),
                voicing=number / 20,
            ),
            picture=PictureFrame(motion=10.0 + number, jolt=number / 5),
            keys=(KeyPicture(time=0.0, luma=(1,), blue=(2,), red=(3,)),) if number == 0 else (),
        )

    whole = [frame(number) for number in range(9)]
    return [SegmentSignals(frames=tuple(whole[:4])), None, SegmentSignals(frames=tuple(whole[4:]))]


def _varying(signals: list[SegmentSignals | None]) -> set[str]:
    """Return the fields that differ between frames, and `keys` where there are any."""
    frames = [frame for each in signals if each for frame in each.frames]
    told = {"keys"} if any(frame.keys for frame in frames) else set()
    for part in ("sound", "picture"):
        values = [getattr(frame, part) for frame in frames if getattr(frame, part) is not None]
        if values:
            fields = type(values[0]).model_fields
            told |= {f for f in fields if len({getattr(value, f) for value in values}) > 1}
    return told


_SOUND = {"loudness", "roar", "speech_band", "tonality", "onset", "voicing"}
_PICTURE = {"motion", "jolt", "keys"}


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("loudness", {"loudness"}),
        ("crowd band", {"roar"}),
        ("onsets", {"onset"}),
        ("speech-like", {"speech_band", "voicing"}),
        ("tonality", {"tonality"}),
        ("scene changes", {"jolt", "keys"}),
        ("motion", {"motion"}),
        ("all sound", _SOUND),
        ("all pictures", _PICTURE),
    ],
)
def test_only_the_named_signal_stops_telling_anything(name: str, gone: set[str]) -> None:
    assert _varying(list(without(name, _signals()))) == (_SOUND | _PICTURE) - gone


def test_every_signal_of_the_analyzer_is_taken_away_by_some_ablation() -> None:
    left = [_varying(list(without(name, _signals()))) for name in ABLATIONS]
    assert set.intersection(*left) == set()


def test_a_signal_is_held_at_its_median() -> None:
    first, *_ = without("loudness", _signals())
    assert first is not None
    assert [frame.sound.loudness for frame in first.frames if frame.sound] == [-26.0] * 4


def test_what_could_not_be_decoded_stays_so() -> None:
    assert without("motion", _signals())[1] is None


def test_a_stream_without_sound_can_lose_its_loudness() -> None:
    silent = without("all sound", _signals())
    assert _varying(list(without("loudness", silent))) == _PICTURE
